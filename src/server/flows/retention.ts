/**
 * Retention of one set.
 *
 *   what is there ─▶ plan ─▶ each point that goes: may it still? ─▶ its manifest ─▶ forgotten ─▶ sweep, when one went ─▶ oplog
 *
 * The plan is not kept: a flow that runs again plans anew, from the rules and points as they are then. What is deleted
 * is noted before and behind it, so that the sweep is not left out.
 */
import * as z from 'zod';
import type { Catalog } from '../../catalog/catalog.ts';
import { describe } from '../../base/failure.ts';
import { isLost } from '../../catalog/points.ts';
import { smallestLeapMs } from '../../domain/believed-time.ts';
import type { Archives } from '../archives.ts';
import type { Flow, FlowContext } from '../flow.ts';
import type { OplogTending } from '../oplog-tending.ts';
import type { Points } from '../points.ts';
import type { Retention } from '../retention.ts';
import type { Sweeps } from '../sweeps.ts';
import { giveBack } from './give-back.ts';

const wish = z.object({ setId: z.string(), name: z.string(), repository: z.string() });
export type RetentionWish = z.infer<typeof wish>;

type RetentionServices = { retention: Retention; tending: OplogTending; archives: Archives; points: Points; catalog: Catalog; sweeps: Pick<Sweeps, 'want'> };

export function retentionFlow(services: RetentionServices): Flow<RetentionWish> {
  const { retention, tending, archives, points, sweeps } = services;
  return {
    wish,
    async run({ setId, name, repository }, context) {
      const { host } = await archives.find(repository);
      await context.step('see what is there');
      const set = { id: setId, repository };
      await points.mirror(set, await context.order(host, 'archive.window', { archive: await archives.access(repository, setId) }));
      await context.step('apply the retention');
      const plan = await retention.plan({ ...set, name });
      await context.tell(`${plan.goes.length} restore points go and ${plan.stays.length} stay, by ${plan.rules.join(', ') || 'no rule'}`);
      if (plan.doubtedMs > smallestLeapMs) await context.tell(`the clock is ${Math.round(plan.doubtedMs / 3_600_000)} h ahead of the time that this server was there; until it has stood for as long, no restore point grows older by that`, 'warning');
      const deleted = await context.note('deleted', (): string[] => []);
      const begun = await context.note('deleting', (): string | null => null);
      // The server died before it heard what became of it.
      if (begun !== null && !deleted.includes(begun) && (await points.list(setId)).every(({ id, lost }) => id !== begun || lost === isLost)) await wasDeleted(begun, deleted, services, context);
      const refused: { point: string; why: string }[] = [];
      for (const id of plan.goes) {
        await context.setNote('deleting', id);
        const why = await remove(id, host, services, context);
        if (why !== undefined) {
          refused.push({ point: id, why });
          await context.tell(`restore point ${id} stays: ${why}`, 'warning');
          continue;
        }
        await wasDeleted(id, deleted, services, context);
      }
      const { freedBytes, oplog } = await giveBack({ host, repository, setId, isDeleted: deleted.length > 0 }, { tend: async () => await tending.tend(set, await retention.oplogRuleOf(setId), null, context), wantSweep: async () => await sweeps.want(repository) }, context);
      return { state: refused.length === 0 && !oplog.isMergeFailed ? 'success' : 'warning', result: { kind: 'retention', deleted, refused, freedBytes, oplogBytes: oplog.freedBytes, oplogWaiting: oplog.waiting, oplogMerged: oplog.merged } };
    },
  };
}

async function wasDeleted(id: string, deleted: string[], { catalog }: RetentionServices, context: FlowContext): Promise<void> {
  deleted.push(id);
  await context.setNote('deleted', deleted);
  await catalog.points.remove(id);
  await context.tell(`restore point ${id} is deleted`);
}

/** Deletes one point, or says why it stays: what has been decided since the plan counts. */
async function remove(id: string, host: string, { retention, archives, catalog }: RetentionServices, context: FlowContext): Promise<string | undefined> {
  const row = await catalog.points.find(id);
  if (row === undefined) return 'it is not there any more';
  const archive = await archives.access(row.repository, row.set_id);
  const [bound] = await retention.boundBy(row);
  if (bound !== undefined) return bound;
  try {
    await context.order(host, 'point.delete', { archive, point: id }, 'promptly');
  } catch (error) {
    context.signal.throwIfAborted();
    return describe(error);
  }
  return undefined;
}
