/** Looks at every set each minute: one that is not as promised for 15 minutes is news, and so is its return. */
import type { Catalog } from '../../catalog/catalog.ts';
import type { Clock } from '../../base/clock.ts';
import { describe } from '../../base/failure.ts';
import type { Log } from '../../base/log.ts';
import type { Reports } from './reports.ts';

const patienceMs = 15 * 60_000;
const againMs = 7 * 86_400_000;

export type ProtectionWatch = { look(): Promise<void>; run(signal: AbortSignal, isMine: () => Promise<boolean>): Promise<void> };

export function openProtectionWatch({ catalog, reports, clock, log, everyMs = 60_000, patience = patienceMs }: { catalog: Catalog; reports: Reports; clock: Clock; log: Log; everyMs?: number; patience?: number }): ProtectionWatch {
  /** By the monotonic clock: one that is put forward makes nobody unprotected. */
  const since = new Map<string, number>();

  async function look(): Promise<void> {
    for (const set of await catalog.sets.list()) {
      const { isProtected, reasons } = await reports.standing(set, 0);
      const last = await catalog.news.newest(['unprotected', 'protected'], set.id);
      if (isProtected) {
        since.delete(set.id);
        if (last?.kind === 'unprotected') await catalog.news.add({ kind: 'protected', ref: set.id, at_ms: clock.now() });
        continue;
      }
      const beganMs = since.get(set.id) ?? clock.monotonicMs();
      since.set(set.id, beganMs);
      const isTold = last?.kind === 'unprotected' && clock.now() - last.at_ms < againMs;
      if (isTold || clock.monotonicMs() - beganMs < patience) continue;
      log.error('a set is not protected as promised', { set: set.name, why: reasons.join('; ') });
      await catalog.news.add({ kind: 'unprotected', ref: set.id, at_ms: clock.now() });
    }
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
