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
