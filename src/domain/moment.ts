/** What an operator may write for a moment, and what it stands for. */
import { parseTime, type ClusterTime } from '../base/cluster-time.ts';
import { justBefore } from './oplog-chain.ts';
import { momentNotUnderstood, momentWithoutZone } from './failures.ts';

export type Wanted =
  | { readonly kind: 'latest' }
  | { readonly kind: 'point'; readonly point: string }
  /** The state just after the last operation at or before this cluster time. */
  | { readonly kind: 'time'; readonly at: ClusterTime }
  /** All of this second: the state after its last operation, or as the beginning of a search, before its first. */
  | { readonly kind: 'second'; readonly t: number };

const largest = 0xffffffff;

const iso = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2}(?:[.,]\d+)?)?))?\s*(Z|[+-]\d{2}:?\d{2})?(?:\[[^\]]+\])?$/i;

/**
 * An ISO time stands for the whole second it lies in, because the wall clock cannot tell the operations of one second
 * apart: so a time that a list of operations prints leads to the state with that operation in it.
 */
export function parseMoment(text: string, points: ReadonlySet<string>): Wanted {
  const given = text.trim();
  if (given === 'latest') return { kind: 'latest' };
  if (points.has(given)) return { kind: 'point', point: given };
  const isBefore = given.startsWith('before:');
  const time = parseTime(isBefore ? given.slice('before:'.length) : given);
  if (time !== undefined) {
    if (isBefore && time.t === 0 && time.i === 0) throw momentNotUnderstood({ text });
    return { kind: 'time', at: isBefore ? justBefore(time) : time };
  }
  const match = iso.exec(given);
  if (match === null) throw momentNotUnderstood({ text });
  if (match[3] === undefined) throw momentWithoutZone({ text });
  const zone = /^z$/i.test(match[3]) ? 'Z' : match[3].replace(/^([+-]\d{2}):?(\d{2})$/, '$1:$2');
  const ms = Date.parse(`${match[1]}T${(match[2] ?? '00:00').replace(',', '.')}${zone}`);
  const seconds = Math.floor(ms / 1000);
  if (!Number.isFinite(ms) || seconds < 1 || seconds > largest) throw momentNotUnderstood({ text });
  return { kind: 'second', t: seconds };
}

/** The moment a time stands for. */
export function endOf(wanted: Extract<Wanted, { kind: 'time' | 'second' }>): ClusterTime {
  return wanted.kind === 'time' ? wanted.at : { t: wanted.t, i: largest };
}
