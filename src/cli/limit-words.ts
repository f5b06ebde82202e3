/** The words of the `limit` commands as the contract has them, and back. */
import type { BandwidthLimit } from '../contract/values.ts';
import type { Invocation } from './command.ts';
import { plural } from './format.ts';
import { hoursFrom, numberOf, usageOf } from './numbers.ts';

/** `200`, `50@08:00-18:00`, or `none` alone; undefined where nothing was said. */
export function bandwidthFrom(invocation: Invocation, words: readonly string[]): BandwidthLimit[] | undefined {
  if (words.length === 0) return undefined;
  return words.length === 1 && words[0] === 'none' ? [] : words.map((word) => limitFrom(invocation, word));
}

function limitFrom(invocation: Invocation, word: string): BandwidthLimit {
  const [rate = '', hours = '00:00-00:00', ...more] = word.split('@');
  const [mbitPerSecond, held] = [/^\d+(\.\d+)?$/.test(rate) ? Number(rate) : 0, hoursFrom(hours)];
  if (!(mbitPerSecond > 0) || held === undefined || more.length > 0) throw usageOf(invocation, `a limit is Mbit/s above 0, with hours behind an @ if it does not hold all day, such as 200 or 50@08:00-18:00, or "none", not "${word}"`);
  return { mbitPerSecond, ...held };
}

export function showBandwidth(limits: readonly BandwidthLimit[]): string {
  if (limits.length === 0) return 'not limited';
  return limits.map(({ mbitPerSecond, from, to }) => `${mbitPerSecond} Mbit/s${from === to ? '' : ` from ${from} to ${to}`}`).join(', ');
}

/** An option that counts something. */
export function countOf(invocation: Invocation, name: 'copies' | 'connections', bounds: { from: number; to: number }): number | undefined {
  const count = numberOf(invocation, name, bounds);
  if (count !== undefined && !Number.isInteger(count)) throw usageOf(invocation, `--${name} takes a whole number, not "${count}"`);
  return count;
}

export function showCopies(count: number): string {
  return `${plural(count, 'set')} at once`;
}
