/**
 * The keeper of a set's oplog: one session that works for as long as the set is protected.
 *
 *   follow (task) ──ends, fails──▶ wait 1 s, doubled up to 60 s while the archive does not grow ──▶ follow again
 *        │ host gone: the next task begins on another host of the set; where none is connected the same one is waited for, without end. The task
 *        │ that is left behind loses the chain to the next writer of it, and is ended when its host is back
 *        └ broken, barrier, hole: an alarm, which asks for a new base backup (alarms.ts)
 *
 *   the node: as the policy that counts for the set says, never on a computer that is out of scope; looked at each minute, and where that has
 *   changed the task ends and the next one begins
 *
 *   every N minutes: the task ends when it has caught up, and the next one begins N minutes after it did; while a backup of the set is
 *   open at once, because its point is of no use before the oplog has come as far
 *   paused: nothing is done; whoever pauses or resumes ends this session and begins the next, and where that was cut short the session sees
 *   itself that it is not paused any more
 */
import * as z from 'zod';
import { describe, isFailure } from '../../base/failure.ts';
import { compareTimes, sayTime, showTime, type ClusterTime } from '../../base/cluster-time.ts';
import { oplogRules } from '../../contract/tasks.ts';
import { clusterTime, optime } from '../../contract/values.ts';
import { afterHearing } from '../../domain/archived-stretches.ts';
import { isOfChain } from '../../domain/point-chain.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import type { Alarms } from '../alarms.ts';
import { hostLost } from '../failures.ts';
import type { Flow, FlowContext } from '../flow.ts';
import { blameOf, oplogModeOf } from '../oplog-mode.ts';
import type { KeptStanding, OplogStandings } from '../oplog-standings.ts';
import type { Placement } from '../placement.ts';
import type { Points } from '../points.ts';
import { policyFor, wishBy } from '../policy-wish.ts';
import type { ProtectedSets } from '../protected-sets.ts';

const wish = z.object({ setId: z.string() });
export type OplogWish = z.infer<typeof wish>;

/** `since`: from which checkpoint on a point leads to `through`, `cuts`: what retention removed of the chain; services of before do not tell it. */
const chainStatus = z.object({ state: z.enum(['following', 'waiting']).default('following'), why: z.string().nullable().default(null), chain: z.string(), since: clusterTime.default({ t: 0, i: 0 }), isBehindBarrier: z.boolean().default(false), cuts: z.array(z.object({ after: clusterTime, through: clusterTime })).default([]), barriers: z.array(clusterTime).default([]), through: optime.nullable(), committed: optime.nullable().optional(), entriesPerSecond: z.number().nullable().default(null) });
const reachStatus = z.object({ members: z.array(z.object({ member: z.string(), heldSeconds: z.number().nullable(), reachSeconds: z.number().nullable() })) });
/** `isUseless`: nothing of the chain before can be used, whatever was archived. `since`: it is told again, and a point made from there on makes up for it. */
const brokenStatus = z.object({ atMs: z.number(), reason: z.string(), chain: z.string().nullable().default(null), next: z.string(), after: clusterTime, isUseless: z.boolean().default(false), since: clusterTime.nullable().default(null) });
/** What an evening's work on a host may take, and an archive must stand. */
const shortSeconds = 3_600;
/** An election is over by then: no member that could be read answers. */
const cutOffMs = 30_000;
/** How often a keeper that has nothing to do looks whether it has. */
const lookEveryMs = 2_000;
/** Entries that were archived and are gone. */
const holeStatus = z.object({ chain: z.string(), after: clusterTime, through: clusterTime });
const barrierStatus = z.object({ at: clusterTime, what: z.string(), chain: z.string(), since: clusterTime.nullable().default(null) });

type OplogServices = { catalog: Catalog; sets: ProtectedSets; points: Points; placement: Placement; standings: OplogStandings; alarms: Alarms };

export function oplogFlow({ catalog, sets, points, placement, standings, alarms }: OplogServices): Flow<OplogWish> {
  return {
    wish,
    async run({ setId }, context) {
      await using _ = { [Symbol.asyncDispose]: async () => await standings.leave(setId) };
      await whilePaused(setId, { sets, standings }, context);
      const set = await sets.find(setId);
      const { session, clock, signal } = context;
      const mode = oplogModeOf(set);
      let round = await context.note('round', () => 1);
      let saidLast = '';
      let saidShort: string | undefined;
      let waitsSinceMs: number | undefined;
      const rulesNow = async (): Promise<OplogRules> => await oplogRulesOf(setId, catalog, placement);
      /** What a task keeps as it began: when it has changed, another one is begun. */
      const standing = async (host: string) => ({ rules: await rulesNow(), traffic: await trafficOf(host, set.repository, catalog) });
      let follows: { name: string; host: string; by: string } | undefined;
      const endIfChanged = async (): Promise<void> => {
        if (follows === undefined || JSON.stringify(await standing(follows.host)) === follows.by) return;
        const task = await catalog.sessions.task(session, follows.name);
        // A host that does not hear it is asked again at its next look.
        if (task !== undefined) await context.order(follows.host, 'task.stop', { taskId: task.task_id }).catch(() => {});
      };
      /** An alarm that was settled may be history that is not kept any more, or of a catalog that was recovered: it is not raised anew. */
      const isMadeUpFor = async (chain: string, since: ClusterTime): Promise<boolean> => points.good(await points.list(setId), set.repository).some((point) => isOfChain(point, chain) && compareTimes(since, point.checkpoint) <= 0);
      const onStatus = async (key: string, value: unknown): Promise<void> => {
        if (key === 'chain') {
          const { state, why, chain, since, isBehindBarrier, cuts, barriers, through, committed, entriesPerSecond } = chainStatus.parse(value);
          const after = ({ stretches }: KeptStanding): KeptStanding['stretches'] => (through === null ? stretches : afterHearing(stretches, { chain, from: since, through: { t: through.t, i: through.i }, isBehindBarrier, barriers, cuts: cuts.map((cut) => ({ chain, ...cut })) }));
          waitsSinceMs = state === 'waiting' ? (waitsSinceMs ?? clock.monotonicMs()) : undefined;
          const isCutOff = waitsSinceMs !== undefined && clock.monotonicMs() - waitsSinceMs >= cutOffMs;
          if (isCutOff && why !== saidLast) await context.tell(`the oplog is not followed: ${why}; it is tried again all the time`, 'warning');
          if (isCutOff) saidLast = why ?? '';
          await standings.change(setId, (known) => ({ state: isCutOff ? 'waiting' : 'following', chain, through, committed: committed ?? null, stretches: after(known), says: isCutOff ? why : null, session, entriesPerSecond }));
        } else if (key === 'reach') {
          const { members } = reachStatus.parse(value);
          await standings.change(setId, { members });
          const short = shortReach(members);
          if (short !== undefined && short.member !== saidShort) await context.tell(`at this rate the oplog of ${short.member} covers ${Math.round(short.reachSeconds / 60)} minutes: an archive that stands still for longer loses its chain there; give the oplog more room (replSetResizeOplog)`, 'warning');
          saidShort = short?.member;
          await endIfChanged();
        } else if (key === 'broken') {
          const { atMs, reason, chain, next, after, isUseless, since } = brokenStatus.parse(value);
          await standings.change(setId, ({ stretches }) => ({ ...(since === null && { state: 'broken', says: reason }), stretches: stretches.filter((stretch) => !isUseless || stretch.chain !== chain), session }));
          if (since !== null && (await isMadeUpFor(next, since))) return;
          await alarms.raise({ setId, key: `broken:${next}`, atMs, what: 'oplog chain broken', says: `${reason}${blameOf(mode, after.t)}; what happened after ${sayTime(after)} until the new chain begins cannot be reached` });
        } else if (key === 'barrier') {
          const { at, what, chain, since } = barrierStatus.parse(value);
          if (since !== null && (await isMadeUpFor(chain, since))) return;
          await alarms.raise({ setId, key: `barrier:${chain}:${showTime(at)}`, atMs: at.t * 1000, what: 'oplog barrier', says: `${what} at ${showTime(at)} cannot be replayed over` });
        } else if (key === 'hole') {
          const { chain, after, through } = holeStatus.parse(value);
          await alarms.raise({ setId, key: `hole:${chain}:${showTime(after)}:${showTime(through)}`, atMs: after.t * 1000, what: 'archived oplog missing', says: `entries from ${showTime(after)} to ${showTime(through)} are missing in the repository: restore points of before lead no further; "tidemark repository repair REPOSITORY --from OTHER" brings them back where another repository has them` });
        }
      };
      let dueMs = clock.monotonicMs();
      for (let waitMs = 1_000; ; waitMs = Math.min(60_000, waitMs * 2)) {
        const { through: before } = await standings.now(setId);
        const name = `follow ${round}`;
        let says: string;
        const beganMs = clock.monotonicMs();
        try {
          const host = await context.note(`${name}: host`, async () => await placement.near(await sets.find(setId)));
          const at = { host, repository: set.repository, setId, right: 'append' } as const;
          const { rules, traffic } = await context.note(`${name}: stands by`, async () => await standing(host));
          follows = { name, host, by: JSON.stringify({ rules, traffic }) };
          await context.task(name, 'oplog', at, async () => Promise.resolve({ target: sets.target(set), setName: set.name, flushSeconds: 5, untilCaughtUp: mode.everyMinutes !== null, rules }), onStatus);
          signal.throwIfAborted();
          if (mode.everyMinutes !== null) {
            dueMs = beganMs + mode.everyMinutes * 60_000;
            await standings.change(setId, { state: 'resting', says: `it is taken every ${mode.everyMinutes} minutes`, session });
            await rest(dueMs, async () => (await catalog.sessions.unfinishedOf('backup')).some(({ set_id }) => set_id === setId), context);
            await context.dropTask(name);
            await context.setNote('round', ++round);
            waitMs = 500;
            continue;
          }
          says = follows.by === JSON.stringify(await standing(host)) ? 'the task ended by itself' : 'what its policy or its group says of the node, or a bandwidth limit, has changed';
        } catch (error) {
          signal.throwIfAborted();
          says = describe(error);
          if (isFailure(error, hostLost)) {
            await standings.change(setId, { state: 'waiting', says, session });
            const other = follows === undefined ? undefined : await placement.besides(await sets.find(setId), follows.host);
            if (other === undefined) continue;
            if (says !== saidLast) await context.tell(`${says}; the oplog is followed from another host of the set`, 'warning');
            saidLast = says;
            await context.dropTask(name);
            await context.setNote('round', ++round);
            await context.note(`follow ${round}: host`, () => other);
            continue;
          }
        }
        const { through: after } = await standings.now(setId);
        if (after !== null && (before === null || compareTimes(after, before) > 0)) waitMs = 1_000;
        await standings.change(setId, { state: 'waiting', says, session });
        if (says !== saidLast) await context.tell(`the oplog is not followed: ${says}; it is tried again all the time`, 'warning');
        saidLast = says;
        await clock.wait(waitMs, signal);
        await context.dropTask(name);
        await context.setNote('round', ++round);
      }
    },
  };
}

type OplogRules = z.infer<typeof oplogRules>;

/** Without a policy nothing is said against a member but that its computer is out of scope. */
async function oplogRulesOf(setId: string, catalog: Catalog, placement: Placement): Promise<OplogRules> {
  const leftOut = [...(await placement.leftOut(setId))];
  const policy = await policyFor(setId, catalog);
  if (policy === undefined) return { primaryAllowed: true, hiddenFirst: false, lagLimitSeconds: 30, preferred: null, leftOut };
  const { primaryAllowed, hiddenFirst, lagLimitSeconds, preferred } = wishBy(policy.document, setId).node;
  return { primaryAllowed, hiddenFirst, lagLimitSeconds, preferred, leftOut };
}

/** Bandwidth limits of both ends. */
async function trafficOf(host: string, repository: string, { hosts, repositories }: Catalog): Promise<(string | null)[]> {
  const at = await repositories.find(repository);
  return [at?.limits ?? null, (await hosts.find(host))?.limits ?? null, (await hosts.find(at?.host ?? ''))?.limits ?? null];
}

/** Until it is resumed, or the session is ended by whoever does that. */
async function whilePaused(setId: string, { sets, standings }: Pick<OplogServices, 'sets' | 'standings'>, { session, clock, signal, tell }: FlowContext): Promise<void> {
  let saidLast = '';
  for (;;) {
    const { paused } = oplogModeOf(await sets.find(setId));
    if (paused === null) return;
    const says = `${paused.by} has paused it since ${new Date(paused.sinceMs).toISOString()}: ${paused.reason}`;
    if (says !== saidLast) await tell(`nothing is archived: ${says}; what the oplogs of the members drop until it is resumed is a gap`, 'warning');
    saidLast = says;
    await standings.change(setId, { state: 'paused', says, session });
    await clock.wait(lookEveryMs, signal);
  }
}

/** Until it is due again, or a backup waits for what it archives. */
async function rest(dueMs: number, isAsked: () => Promise<boolean>, { clock, signal }: FlowContext): Promise<void> {
  do await clock.wait(Math.max(0, Math.min(lookEveryMs, dueMs - clock.monotonicMs())), signal);
  while (clock.monotonicMs() < dueMs && !(await isAsked()));
}

/** The member whose oplog covers least, where that is less than an hour. */
function shortReach(members: z.infer<typeof reachStatus>['members']): { member: string; reachSeconds: number } | undefined {
  const known = members.flatMap(({ member, reachSeconds }) => (reachSeconds === null ? [] : [{ member, reachSeconds }]));
  const least = known.sort((a, b) => a.reachSeconds - b.reachSeconds)[0];
  return least !== undefined && least.reachSeconds < shortSeconds ? least : undefined;
}
