/** Looks at every set each minute: one that is not as promised for 15 minutes is news, and so is its return. */
import type { Catalog } from '../../catalog/catalog.ts';
import type { Clock } from '../../base/clock.ts';
import { describe } from '../../base/failure.ts';
import type { Log } from '../../base/log.ts';
import { countsAs } from '../../domain/kept-moment.ts';
import type { Reports } from './reports.ts';

const patienceMs = 15 * 60_000;
const againMs = 7 * 86_400_000;

export type ProtectionWatch = { look(): Promise<void>; run(signal: AbortSignal, isMine: () => Promise<boolean>): Promise<void> };

export function openProtectionWatch({ catalog, reports, clock, log, everyMs = 60_000, patience = patienceMs }: { catalog: Catalog; reports: Reports; clock: Clock; log: Log; everyMs?: number; patience?: number }): ProtectionWatch {
  /** By the monotonic clock: one that is put forward makes nobody unprotected. */
  const since = new Map<string, number>();

  async function look(): Promise<void> {
    const told = await catalog.news.toldUnprotected();
    const gone = new Set(told.keys());
    for await (const { id, standing: { set, isProtected, reasons } } of reports.each(0)) {
      gone.delete(id);
      const keptMs = told.get(id);
      const toldMs = keptMs === undefined ? undefined : countsAs(keptMs, clock.now());
      if (isProtected) {
        since.delete(id);
        if (toldMs !== undefined) await catalog.news.addProtection('protected', id, clock.now());
        continue;
      }
      if (toldMs !== undefined && toldMs !== keptMs) await catalog.news.keepTold(id, toldMs);
      const beganMs = since.get(id) ?? clock.monotonicMs();
      since.set(id, beganMs);
      const isTold = toldMs !== undefined && clock.now() - toldMs < againMs;
      if (isTold || clock.monotonicMs() - beganMs < patience) continue;
      log.error('a set is not protected as promised', { set, why: reasons.join('; ') });
      await catalog.news.addProtection('unprotected', id, clock.now());
    }
    for (const id of gone) await catalog.news.keepTold(id, null);
  }

  return {
    look,
    async run(signal, isMine) {
      const lookIfMine = async (): Promise<void> => ((await isMine()) ? await look() : undefined);
      while (!signal.aborted) {
        await lookIfMine().catch((error: unknown) => {
          if (!signal.aborted) log.error('the protection of sets could not be looked at', { why: describe(error) });
        });
        await clock.wait(everyMs, signal).catch(() => {});
      }
    },
  };
}
