import { randomBytes } from 'node:crypto';
import { systemClock, type Clock } from './clock.ts';

/** A random 128-bit id as 32 hex digits. */
export function randomId(): string {
  return randomBytes(16).toString('hex');
}

/** An id whose text sorts by the millisecond it was made in: 12 hex digits of time, 12 of chance. */
export function sortableId(clock: Clock = systemClock): string {
  return clock.now().toString(16).padStart(12, '0') + randomBytes(6).toString('hex');
}

/** An id that sorts behind all of `there`, which are in order, though the clock was turned back or did not move meanwhile. */
export function nextSortableId(there: readonly string[], clock: Clock = systemClock): string {
  const id = sortableId(clock);
  const last = there.findLast((one) => sortableIdForm.test(one));
  if (last === undefined || last < id) return id;
  const atMs = Number.parseInt(last.slice(0, 12), 16) + 1;
  return sortableId({ ...clock, now: () => atMs });
}

/** But for the last millisecond there is: another name may be anybody's. */
const sortableIdForm = /^(?!f{12})[0-9a-f]{24}$/;
