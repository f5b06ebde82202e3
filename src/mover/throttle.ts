/** Bandwidth limits by the hours of the host's day, shared by all channels of a task: a token bucket that holds a quarter of a second. */
import type { Clock } from '../base/clock.ts';
import type { BandwidthLimit } from '../contract/values.ts';

const burstMs = 250;

export type Throttle = {
  /** Resolves when so many bytes may pass; first come, first served. */
  take(bytes: number): Promise<void>;
};

export function openThrottle(limits: readonly BandwidthLimit[], clock: Clock, signal?: AbortSignal): Throttle {
  let emptyMs = 0;
  let last: Promise<void> = Promise.resolve();
  const pass = async (before: Promise<void>, startMs: number): Promise<void> => {
    await before;
    const now = clock.monotonicMs();
    if (startMs > now) await clock.wait(startMs - now, signal);
  };
  return {
    async take(bytes) {
      if (limits.length === 0) return;
      const rate = bytesPerMs(limits, new Date(clock.now()));
      const startMs = rate === undefined ? 0 : Math.max(emptyMs, clock.monotonicMs() - burstMs);
      if (rate !== undefined) emptyMs = startMs + bytes / rate;
      // Timers that end in the same millisecond keep no order, and what passes are pieces of files.
      const mine = pass(last, startMs);
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
