import type { PointSummary } from '../contract/values.ts';
import { plural, showBytes, showClusterTime, showMoment } from './format.ts';
import { showTable } from './table.ts';

type Row = PointSummary & { readonly hold?: unknown; readonly lost?: boolean; readonly hurt?: boolean };

export function pointTable(points: readonly Row[], timeZone: string): string {
  return showTable<Row>(
    [
      { title: 'POINT', cell: (point) => point.id },
      { title: 'SET', cell: (point) => point.setName },
      { title: 'MOMENT', cell: (point) => showClusterTime(point.top, timeZone) },
      { title: 'WAY', cell: (point) => (point.copied === null ? point.method : `${point.copied}, ${point.method}`) },
      { title: 'SIZE', cell: (point) => showBytes(point.bytes.processed), right: true },
      { title: 'STORED', cell: (point) => showBytes(point.bytes.stored), right: true },
      { title: 'PROOF', cell: (point) => proofOf(point, timeZone) },
    ],
    points,
  );
}

/** `full, 3 checks`; of checks that do not all hold, how many do. */
export function showDepth({ level, checks = [] }: NonNullable<PointSummary['proof']>): string {
  const held = checks.filter(({ ok }) => ok).length;
  return checks.length === 0 ? level : `${level}, ${held === checks.length ? plural(held, 'check') : `${held} of ${plural(checks.length, 'check')}`}`;
}

function proofOf(point: Row, timeZone: string): string {
  const marks = [...(point.lost === true ? ['LOST'] : []), ...(point.hurt === true ? ['HURT'] : []), ...(point.hold === undefined || point.hold === null ? [] : ['held'])];
  const { proof: found } = point;
  const proof = found === null ? 'none' : !found.ok ? `FAILED (${showDepth(found)})` : found.level === 'open' ? showDepth(found) : `verified ${showMoment(found.atMs, timeZone).slice(0, 10)}, ${showDepth(found)}`;
  return [proof, ...marks].join(', ');
}
