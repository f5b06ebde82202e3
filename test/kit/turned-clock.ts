import type { Clock } from '../../src/base/clock.ts';

/** A clock that only a test moves. Waits end when `turn` passes them. */
export type TurnedClock = Clock & { turn(ms: number): void };

export function turnedClock(startMs = 1_800_000_000_000): TurnedClock {
  let nowMs = startMs;
  const waits = new Set<{ untilMs: number; end: () => void }>();
  return {
    now: () => nowMs,
    monotonicMs: () => nowMs - startMs,
    wait: async (ms, signal) =>
      await new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason as Error);
        const one = { untilMs: nowMs + ms, end: () => resolve() };
        waits.add(one);
        signal?.addEventListener('abort', () => {
          waits.delete(one);
          reject(signal.reason as Error);
        });
      }),
    turn(ms) {
      nowMs += ms;
      for (const one of [...waits]) {
        if (one.untilMs > nowMs) continue;
        waits.delete(one);
        one.end();
      }
    },
  };
}
