/**
 * One run of a backup copy.
 *
 *   task copy ─▶ the copies are known ─▶ retention, unless a point could not be copied: what is too much is deleted, unless it is held or in use ─▶ sweep ─▶ oplog
 */
import * as z from 'zod';
import type { Catalog } from '../../catalog/catalog.ts';
import type { CopyRow } from '../../catalog/copies.ts';
import type { RepositoryRow } from '../../catalog/repositories.ts';
import { showTime, type ClusterTime } from '../../base/cluster-time.ts';
import { describe, isFailure } from '../../base/failure.ts';
import type { TaskOutput } from '../../contract/tasks.ts';
import type { Archives } from '../archives.ts';
import type { Believed } from '../believed-time.ts';
import { keepOf, oplogRuleOf, suffixOf, type Copies } from '../copies.ts';
import { copyToItself } from '../copy-failures.ts';
import { hostLost } from '../failures.ts';
import type { Flow, FlowContext } from '../flow.ts';
import type { OplogTending, Tended } from '../oplog-tending.ts';
import type { Points } from '../points.ts';
import type { ProtectedSets } from '../protected-sets.ts';
import type { Sweeps } from '../sweeps.ts';
import { giveBack } from './give-back.ts';

const wish = z.object({ copy: z.string() });
export type CopyWish = z.infer<typeof wish>;

export type CopyServices = { copies: Copies; sets: ProtectedSets; archives: Archives; points: Points; catalog: Catalog; tending: OplogTending; sweeps: Pick<Sweeps, 'want'>; believed: Pick<Believed, 'now'>; /** The session that works with a point. */ userOf: (point: string) => Promise<string | undefined> };

/** The task that copies, on the host of the repository that gets the copy. */
export async function runCopyTask(name: string, row: CopyRow, what: 'all' | 'oplog', { sets, archives, points, catalog, believed }: Pick<CopyServices, 'sets' | 'archives' | 'points' | 'catalog' | 'believed'>, context: FlowContext): Promise<TaskOutput<'copy'>> {
  const set = await sets.find(row.set_id);
  const [source, target] = [await archives.find(set.repository), await archives.writable(row.repository)];
  if (source.id === target.id) throw copyToItself({ set: set.name, repository: target.name });
  const at = { host: target.host, repository: target.id, setId: set.id, right: 'append', from: source.id } as const;
  const done = await context.task(name, 'copy', at, async () => ({ source: { id: source.id, name: source.name }, suffix: suffixOf(target.id), what, keep: keepOf(row), nowMs: await believed.now() }));
  for (const { point, proof } of done.proved) if ((await catalog.points.find(point)) !== undefined) await points.setProof(point, proof);
  return done;
}

export function copyFlow(services: CopyServices): Flow<CopyWish> {
  const { copies, archives, points } = services;
  return {
    wish,
    async run({ copy }, context) {
      const row = await copies.find(copy);
      const target = await archives.find(row.repository);
      await context.step('copy what is new');
      const { copied, surplus, oplogFrom, outOfReach, waiting: _, proved: __, ...done } = await runCopyTask('copy', row, 'all', services, context);
      for (const point of copied) await points.add(target.id, point);
      for (const { id, copiedFrom } of copied) await context.say(`restore point ${copiedFrom?.point ?? ''} is copied as ${id}`);
      const hurt = damagedOf(done.oplog);
      if (hurt !== '') await context.say(hurt, 'warning');
      await context.say(`${copied.length} restore points and ${done.oplog.slices} slices of oplog copied${done.oplog.through === null ? '' : `, through ${showTime(done.oplog.through)}`}`);
      const isAllCopied = done.failed.length === 0;
      if (!isAllCopied && surplus.length > 0) await context.say('no copy is deleted by this run, because restore points could not be copied');
      const deleted = await applyRetention(isAllCopied ? surplus : [], row, target, services, context);
      const lighter = isAllCopied ? await freed({ row, target, oplogFrom, isDeleted: deleted.length > 0 }, services, context) : undefined;
      const isWhole = done.failed.length === 0 && outOfReach.length === 0 && done.oplog.damaged.length === 0 && lighter?.oplog.isMergeFailed !== true;
      return { state: isWhole ? 'success' : 'warning', result: { kind: 'copy', ...done, repository: target.name, points: copied.map(({ id }) => id), deleted, freedBytes: lighter?.freedBytes ?? 0, oplogMerged: lighter?.oplog.merged ?? null } };
    },
  };
}

/** What of the oplog could not be copied, in words; nothing, when all of it was. */
export function damagedOf({ damaged }: TaskOutput<'copy'>['oplog']): string {
  return damaged.length === 0 ? '' : `oplog that cannot be copied: ${damaged.map(({ object, what }) => `${object}: ${what}`).join('; ')}`;
}

async function applyRetention(surplus: readonly string[], row: CopyRow, target: RepositoryRow, { archives, catalog, userOf }: CopyServices, context: FlowContext): Promise<string[]> {
  if (surplus.length > 0) await context.step('apply the retention of the copies');
  const deleted: string[] = [];
  for (const id of surplus) {
    const archive = await archives.access(target.id, row.set_id);
    const hold = (await catalog.points.find(id))?.hold_reason ?? null;
    const user = await userOf(id);
    if (hold !== null || user !== undefined) {
      await context.say(`restore point ${id} stays: ${hold !== null ? `it is held: ${hold}` : `session ${user} works with it`}`);
      continue;
    }
    try {
      await context.order(target.host, 'point.delete', { archive, point: id }, 'promptly');
    } catch (error) {
      // It goes in a later run.
      if (!isFailure(error) || (error.code !== 'repository.object-retained' && error.code !== hostLost.code)) throw error;
      await context.say(`restore point ${id} stays: ${describe(error)}`);
      continue;
    }
    await catalog.points.remove(id);
    await context.say(`restore point ${id} is deleted, as the retention of the copies says`);
    deleted.push(id);
  }
  return deleted;
}

type Lighter = { readonly row: CopyRow; readonly target: RepositoryRow; readonly oplogFrom: ClusterTime | null; readonly isDeleted: boolean };

async function freed({ row, target, oplogFrom, isDeleted }: Lighter, { tending, sweeps }: Pick<CopyServices, 'tending' | 'sweeps'>, context: FlowContext): Promise<{ freedBytes: number; oplog: Tended }> {
  const at = { host: target.host, repository: target.id, setId: row.set_id, isDeleted };
  const tend = async (): Promise<Tended> => await tending.tend({ id: row.set_id, repository: target.id }, oplogRuleOf(row), oplogFrom, context);
  return await giveBack(at, { tend, wantSweep: async () => await sweeps.want(target.id) }, context);
}
