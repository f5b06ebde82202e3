/**
 * One restore point, proved.
 *
 *   look at the set ─▶ choose the source ─▶ task backup ─▶ the archived oplog reaches the copy's top ─▶ task prove ─▶ success
 *
 * The point exists in the repository when the backup task has ended. Success is said only after a real mongod opened
 * it, or that nobody did, where a policy has no proof made; whatever goes wrong behind the copy leaves the point stored, unproved or
 * marked as bad, and the session failed.
 */
import * as z from 'zod';
import { compareTimes, showTime, type ClusterTime } from '../../base/cluster-time.ts';
import { hostLabel } from '../../base/host-label.ts';
import { until } from '../../base/deadline.ts';
import { isFailure } from '../../base/failure.ts';
import type { SetRow } from '../../catalog/sets.ts';
import { policyDocument } from '../../contract/policies.ts';
import type { SessionResult } from '../../contract/sessions.ts';
import { copyMethod, heldLimit, hostAndPort, type Discovered } from '../../contract/values.ts';
import { noSourceNode } from '../../domain/failures.ts';
import { chooseSource, type SourceMember } from '../../domain/source-node.ts';
import { oplogBehind } from '../failures.ts';
import type { Finished, Flow, FlowContext } from '../flow.ts';
import type { OplogStandings } from '../oplog-standings.ts';
import type { Archives } from '../archives.ts';
import type { Hooks } from '../hooks.ts';
import type { Copies } from '../copies.ts';
import type { Placement } from '../placement.ts';
import type { Points } from '../points.ts';
import type { ProtectedSets } from '../protected-sets.ts';
import type { Retention } from '../retention.ts';
import { provePoint } from '../proving.ts';

const usualNode = { preferred: null, failOver: true, primaryAllowed: false, hiddenFirst: false, lagLimitSeconds: 30 };

const wish = z.object({
  setId: z.string(),
  fullRead: z.boolean(),
  method: copyMethod.nullable(),
  dropClone: z.boolean(),
  windowSeconds: z.number(),
  compression: z.enum(['none', 'fast', 'balanced', 'strong']),
  source: z.string().nullable(),
  /** What a policy says of the node. */
  node: z.object({ preferred: z.string().nullable(), failOver: z.boolean(), primaryAllowed: z.boolean(), hiddenFirst: z.boolean(), lagLimitSeconds: z.number() }).default(usualNode),
  /** The name of the policy that node, compression and limits are of, where none of its runs asks for the backup. */
  policy: z.string().nullable().default(null),
  /** Of the policy; `on` is the id of a host. */
  hooks: policyDocument.shape.hooks,
  proof: policyDocument.shape.proof,
  limits: z.array(heldLimit).default([]),
});
export type BackupWish = z.infer<typeof wish>;

export const plainBackup = (setId: string): BackupWish => ({ setId, fullRead: false, method: null, dropClone: false, windowSeconds: 60, compression: 'balanced', source: null, node: usualNode, policy: null, hooks: [], proof: 'open', limits: [] });

export type BackupServices = { archives: Archives; placement: Placement; sets: ProtectedSets; points: Points; standings: OplogStandings; copies: Copies; hooks: Hooks; retention: Retention; oplogWaitMs?: number };

export function backupFlow(services: BackupServices): Flow<BackupWish> {
  return {
    wish,
    async run(asked, context) {
      const set = await services.sets.find(asked.setId);
      return await services.hooks.around(set, asked.hooks, context, async () => await backUp(set, asked, context, services), ({ result }) => result.point);
    },
  };
}

type BackedUp = Finished & { readonly result: Extract<SessionResult, { kind: 'backup' }> };

async function backUp(set: SetRow, asked: BackupWish, context: FlowContext, services: BackupServices): Promise<BackedUp> {
  const { sets, points, standings } = services;
  await context.step('look at the set');
  if (asked.policy !== null) await context.say(`node, compression, bandwidth and hooks as policy ${asked.policy} has them, where nothing else was asked for`);
  const chosen = await context.note('source', async () => await lookAndChoose(set, asked, services, context));
  await context.say(chosen.says);

  await context.step('make the copy');
  const at = { host: chosen.host, repository: set.repository, setId: set.id } as const;
  const { point, lockedMs, seconds } = await context.task('backup', 'backup', { ...at, right: 'append', limits: asked.limits }, async () => ({
    target: sets.target(set),
    source: addressOf(chosen.address),
    method: asked.method,
    fullRead: asked.fullRead,
    dropClone: asked.dropClone,
    windowSeconds: asked.windowSeconds,
    compression: asked.compression,
  }));
  await points.add(set.repository, point);
  await context.say(`restore point ${point.id}: method ${point.method}, checkpoint ${showTime(point.checkpoint)}, top ${showTime(point.top)}`);

  try {
    await context.step('wait for the archived oplog');
    await oplogReaches(set, point.top, standings, context, services.oplogWaitMs ?? 120_000);
    if (asked.proof === 'none') await context.say(`restore point ${point.id} is NOT PROVED: its policy has "proof: none"; a verification of its set may prove it, or "tidemark point verify ${point.id}"`);
    else {
      await context.step('prove the restore point');
      await provePoint({ at: { ...at, right: 'read' }, point: point.id, level: 'open', moment: null }, services.archives, points, context);
    }
  } catch (error) {
    if (context.signal.aborted && !context.isClosing()) await context.tell(`restore point ${point.id} is stored and NOT PROVED; run "tidemark point verify ${point.id}"`, 'warning');
    throw error;
  }
  await services.copies.afterBackup(set.id);
  await services.retention.afterBackup(set);
  return { state: 'success', result: { kind: 'backup', point: point.id, method: point.method, copied: point.copied, bytes: point.bytes, seconds, lockedMs, verified: asked.proof === 'open' } };
}

/** A host whose link was lost is back within a minute, when it lives. */
const linksBackMs = 120_000;

async function lookAndChoose(set: SetRow, asked: BackupWish, { sets, points, placement }: BackupServices, { clock, signal }: FlowContext): Promise<{ address: string; host: string; says: string }> {
  const found = await placement.discover(sets.target(set), { clock, signal, waitMs: linksBackMs });
  await sets.refresh(set, found);
  const last = (await points.list(set.id)).filter(({ lost, repository }) => lost === 0 && repository === set.repository).at(-1);
  const choice = chooseSource(membersOf(found, await placement.leftOut(set.id)), {
    only: asked.source ?? undefined,
    last: last === undefined ? undefined : points.summary(last).source,
    ...asked.node,
    preferred: asked.node.preferred ?? undefined,
  });
  if (choice.kind === 'none') throw noSourceNode({ set: set.name, reasons: choice.reasons.join('; ') });
  return { ...choice, host: placement.ofMember(found, choice.address) };
}

export function membersOf(found: Discovered, leftOut: readonly string[]): SourceMember[] {
  const within = new Set(found.local.filter(({ methods }) => methods.some(({ possible }) => possible)).map(({ member }) => member));
  return found.members.map(({ host, port, ...member }) => ({ ...member, address: hostLabel({ host, port }), withinReach: within.has(hostLabel({ host, port })), isLeftOut: leftOut.includes(host) }));
}

function addressOf(address: string): z.infer<typeof hostAndPort> {
  const colon = address.lastIndexOf(':');
  return { host: address.slice(0, colon), port: Number(address.slice(colon + 1)) };
}

/** The proof replays up to the copy's top, so the archive must hold it; the oplog task flushes within seconds. */
async function oplogReaches(set: SetRow, top: ClusterTime, standings: OplogStandings, context: FlowContext, ms: number): Promise<void> {
  try {
    await until(`the archived oplog of ${set.name}`, ms, async () => {
      const { through } = await standings.now(set.id);
      return through !== null && compareTimes(through, top) >= 0 ? true : undefined;
    }, { everyMs: 100, signal: context.signal, clock: context.clock });
  } catch (error) {
    if (context.signal.aborted || !isFailure(error, { code: 'base.deadline-passed' })) throw error;
    const { through, says } = await standings.now(set.id);
    throw oplogBehind({ set: set.name, seconds: Math.round(ms / 1000), need: showTime(top), have: through === null ? 'nothing' : showTime(through), why: says ?? '' }, error);
  }
}
