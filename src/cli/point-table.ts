import type { PointSummary } from '../contract/values.ts';
import { showBytes, showClusterTime } from './format.ts';
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
      { title: 'PROOF', cell: proofOf },
    ],
    points,
  );
}

function proofOf(point: Row): string {
  const marks = [...(point.lost === true ? ['LOST'] : []), ...(point.hurt === true ? ['HURT'] : []), ...(point.hold === undefined || point.hold === null ? [] : ['held'])];
  const proof = point.proof === null ? 'none' : point.proof.ok ? point.proof.level : `FAILED (${point.proof.level})`;
  return [proof, ...marks].join(', ');
}
