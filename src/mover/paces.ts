/**
 * The rates of a host: for each name one line, which all who ask by that name stand in. The transport holds it for its tasks, a
 * mover for the mount that it starts; a program of its own for itself.
 */
import { systemClock, type Clock } from '../base/clock.ts';

/** What nobody used is there for a quarter of a second. */
const burstMs = 250;
const namesKept = 100;

/** Room for so many bytes at so many a millisecond, in the line of that name: the milliseconds until they may pass. */
export type AskPace = (of: string, bytes: number, bytesPerMs: number) => Promise<number>;

export function openPaces(clock: Clock = systemClock): AskPace {
  const emptyMs = new Map<string, number>();
  return async (of, bytes, bytesPerMs) => {
    const now = clock.monotonicMs();
    if (emptyMs.size > namesKept) for (const [name, ms] of emptyMs) if (ms < now - burstMs) emptyMs.delete(name);
    const startMs = Math.max(emptyMs.get(of) ?? 0, now - burstMs);
    emptyMs.set(of, startMs + bytes / bytesPerMs);
    return await Promise.resolve(Math.max(0, startMs - now));
  };
}

/** The same over the pipe between a process and the one that started it. */
export type PaceAsked = { readonly kind: 'pace'; readonly ask: number; readonly of: string; readonly bytes: number; readonly bytesPerMs: number };
export type PaceAnswer = { readonly kind: 'paced'; readonly ask: number; readonly waitMs: number };

export type PacePipe = { readonly ask: AskPace; hear(answer: PaceAnswer): void; /** Nobody answers any more: who waits, and whoever asks, may pass. */ gone(): void };

export function openPacePipe(send: (asked: PaceAsked) => void): PacePipe {
  const waiting = new Map<number, (waitMs: number) => void>();
  let asks = 0;
  let isGone = false;
  return {
    ask: async (of, bytes, bytesPerMs) => {
      if (isGone) return 0;
      const ask = ++asks;
      return await new Promise((resolve) => {
        waiting.set(ask, resolve);
        send({ kind: 'pace', ask, of, bytes, bytesPerMs });
      });
    },
    hear({ ask, waitMs }) {
      waiting.get(ask)?.(waitMs);
      waiting.delete(ask);
    },
    gone() {
      isGone = true;
      for (const resolve of waiting.values()) resolve(0);
      waiting.clear();
    },
  };
}

export async function answerPace({ ask, of, bytes, bytesPerMs }: PaceAsked, pace: AskPace): Promise<PaceAnswer> {
  return { kind: 'paced', ask, waitMs: await pace(of, bytes, bytesPerMs) };
}
