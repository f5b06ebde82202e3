/**
 * The keeper of a copied oplog: one session that works for as long as an immediate copy is there.
 *
 *   copy what is new (task) ──▶ wait 30 s ──▶ again
 *        └ restore points wait to be copied, and no run is under way: one is started
 *
 * A round that fails is followed by the next one like any other; the same reason, or the same damage, is told once.
 */
import * as z from 'zod';
import { describe, isFailure } from '../../base/failure.ts';
import { copyBusy } from '../copy-failures.ts';
import type { Flow } from '../flow.ts';
import { damagedOf, runCopyTask, type CopyServices, type CopyWish } from './copy.ts';

const wish = z.object({ copy: z.string() });
const everyMs = 30_000;

export function copyOplogFlow(services: Pick<CopyServices, 'copies' | 'sets' | 'archives' | 'points' | 'catalog' | 'believed'> & { copyEveryMs?: number }): Flow<CopyWish> {
  const { copies, copyEveryMs = everyMs } = services;
  return {
    wish,
    async run({ copy }, context) {
      const { clock, signal } = context;
      const row = await copies.find(copy);
      let round = await context.note('round', () => 1);
      let saidLast = '';
      const sayOnce = async (says: string): Promise<void> => {
        if (says !== saidLast && says !== '') await context.tell(says, 'warning');
        saidLast = says;
      };
      for (;;) {
        const name = `copy ${round}`;
        try {
          const { waiting, oplog } = await runCopyTask(name, row, 'oplog', services, context);
          if (waiting > 0) await copies.start(row, 'restore points wait to be copied').catch(ignoreBusy);
          await sayOnce(damagedOf(oplog));
        } catch (error) {
          signal.throwIfAborted();
          await sayOnce(`the oplog is not copied: ${describe(error)}; it is tried again every ${Math.round(copyEveryMs / 1000)} s`);
        }
        await clock.wait(copyEveryMs, signal);
        await context.dropTask(name);
        await context.setNote('round', ++round);
      }
    },
  };
}

function ignoreBusy(error: unknown): void {
  if (!isFailure(error, copyBusy)) throw error;
}
