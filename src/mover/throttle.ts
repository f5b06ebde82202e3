/** Bandwidth limits by the hours of the host's day. The lines of a limit are held by `pace`, which may hold them for other tasks as well. */
import type { Clock } from '../base/clock.ts';
import type { BandwidthLimit, HeldLimit } from '../contract/values.ts';
import { openPaces, type AskPace } from './paces.ts';

export type Throttle = {
  /** Resolves when so many bytes may pass by all limits; first come, first served. */
  take(bytes: number): Promise<void>;
};

/** Who stands in a line asks for so much at once: what passes in this time, or so many bytes. */
const turnMs = 10;
const leastTurn = 16 << 10;

export type ThrottleOptions = { readonly signal?: AbortSignal | undefined; readonly pace?: AskPace | undefined };

export function openThrottle(limits: readonly HeldLimit[], clock: Clock, { signal, pace = openPaces(clock) }: ThrottleOptions = {}): Throttle {
  const owners = [...Map.groupBy(limits, ({ of = '' }) => of)];
  // What is nobody's is of services of before, which mean it for this task alone.
  const alone = openPaces(clock);
  let last: Promise<void> = Promise.resolve();
  const pass = async (before: Promise<void>, bytes: number): Promise<void> => {
    await before;
    // One turn at a time: tasks that share a line take turns, a small read has not to wait for large writes, and who dies leaves no more than a turn.
    for (let left = bytes; left > 0; ) {
      const rates = owners.map(([of, own]) => ({ of, rate: bytesPerMs(own, new Date(clock.now())) }));
      const turn = Math.min(left, Math.max(leastTurn, turnMs * Math.min(...rates.map(({ rate }) => rate ?? Infinity))));
      const waits = await Promise.all(rates.map(async ({ of, rate }) => (rate === undefined ? 0 : await (of === '' ? alone : pace)(of, turn, rate))));
      const waitMs = Math.max(...waits);
      if (waitMs > 0) await clock.wait(waitMs, signal);
      left -= turn;
    }
  };
  return {
    async take(bytes) {
      if (owners.length === 0) return;
      // Timers that end in the same millisecond keep no order, and what passes are pieces of files.
      const mine = pass(last, bytes);
      last = mine.catch(() => {});
      await mine;
    },
  };
}

/** The lowest limit of this time of day. */
export function bytesPerMs(limits: readonly BandwidthLimit[], at: Date): number | undefined {
  const minute = at.getHours() * 60 + at.getMinutes();
  const holding = limits.filter(({ from, to }) => isWithin(minute, minuteOf(from), minuteOf(to)));
  return holding.length === 0 ? undefined : Math.min(...holding.map(({ mbitPerSecond }) => mbitPerSecond)) * 125;
}

function isWithin(minute: number, from: number, to: number): boolean {
  if (from === to) return true;
  return from < to ? minute >= from && minute < to : minute >= from || minute < to;
}

function minuteOf(time: string): number {
  return Number(time.slice(0, 2)) * 60 + Number(time.slice(3));
}
