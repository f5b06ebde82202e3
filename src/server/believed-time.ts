/** The time that is believed, kept across restarts: one server looks at its clocks each minute and writes down what to believe (domain/believed-time.ts). */
import * as z from 'zod';
import type { Catalog } from '../catalog/catalog.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { believe, believedNow, type BelievedTime } from '../domain/believed-time.ts';
import { keepRounds } from './rounds.ts';

const key = 'clock.confirmed';
const everyMs = 60_000;
const shape = z.object({ confirmedMs: z.number(), leaps: z.array(z.object({ aheadMs: z.number(), stoodMs: z.number() })) });

export type Believed = {
  /** What time it is at the latest. */
  now(): Promise<number>;
  keep(isMine: () => Promise<boolean>, signal: AbortSignal): void;
};

export function openBelievedTime({ catalog, clock, log }: { catalog: Pick<Catalog, 'settings'>; clock: Clock; log: Log }): Believed {
  let lookedMs: number | undefined;

  async function read(): Promise<BelievedTime | undefined> {
    const kept = await catalog.settings.get(key);
    return kept === undefined ? undefined : shape.parse(JSON.parse(kept));
  }

  async function look(): Promise<number> {
    const [before, monotonicMs, wallMs] = [await read(), clock.monotonicMs(), clock.now()];
    // Of another server, or an earlier life of this one, nobody knows how much of the time between was lived through.
    const livedMs = lookedMs === undefined ? 0 : monotonicMs - lookedMs;
    lookedMs = monotonicMs;
    const after = before === undefined ? { confirmedMs: wallMs, leaps: [] } : believe(before, wallMs, livedMs);
    if (after.leaps.length > (before?.leaps.length ?? 0)) {
      const hours = Math.round(after.leaps.at(-1)!.aheadMs / 3_600_000);
      log.warn('the clock of this machine has gone ahead of the time that this server was there: until it has stood for as long, no restore point grows older by that', { hours });
    }
    await catalog.settings.put(key, JSON.stringify(after));
    return everyMs;
  }

  return {
    async now() {
      const known = await read();
      return known === undefined ? clock.now() : believedNow(known, clock.now());
    },
    keep(isMine, signal) {
      const isMineStill = async (): Promise<boolean> => {
        const mine = await isMine();
        if (!mine) lookedMs = undefined;
        return mine;
      };
      keepRounds('the time', look, { clock, log, isMine: isMineStill, signal });
    },
  };
}
