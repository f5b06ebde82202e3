/** What the policies of a server work with: its sets, its sessions and the loop that has them run. */
import type { Catalog } from '../catalog/catalog.ts';
import { alreadyBegun, laneTaken } from '../catalog/failures.ts';
import type { PartRow, RunRow } from '../catalog/policies.ts';
import type { PointRow } from '../catalog/points.ts';
import type { SetRow } from '../catalog/sets.ts';
import type { Clock } from '../base/clock.ts';
import { describe, isFailure } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import type { PolicyDocument } from '../contract/policies.ts';
import { discovered, wireFailure } from '../contract/values.ts';
import type { Place, SessionEnded } from '../domain/policy-run.ts';
import { chooseSource } from '../domain/source-node.ts';
import { hasEnded, type SessionState } from '../domain/session.ts';
import type { Alarms } from './alarms.ts';
import { membersOf, plainBackup, type BackupWish } from './flows/backup.ts';
import type { Placement } from './placement.ts';
import type { OplogTending } from './oplog-tending.ts';
import type { Points } from './points.ts';
import { documentOf, protectedBy } from './policy-objects.ts';
import type { AskedBackup, Begun, PolicyScheduler, PolicyWork } from './policy-scheduler.ts';
import { policyFor, wishBy, wishOutsideRuns } from './policy-wish.ts';
import type { ProtectedSets } from './protected-sets.ts';
import type { Retention, RetentionSet } from './retention.ts';
import { keepRounds, type Rounds, type RoundsOptions } from './rounds.ts';
import { laneOf, type SessionEngine } from './session-engine.ts';

type WorkOptions = { catalog: Catalog; engine: Pick<SessionEngine, 'start' | 'stop' | 'ended'>; sets: Pick<ProtectedSets, 'find'>; points: Pick<Points, 'summary'>; placement: Pick<Placement, 'near' | 'ofMember' | 'leftOut'>; alarms: Pick<Alarms, 'asking' | 'look'>; wake: () => void };

/** Of a try, so that it is begun once (docs/design/policies.md). */
const claimOf = ({ run, set_id, attempt }: PartRow): string => `${run}/${set_id}/${attempt}`;

type Reckoned = { readonly place: Place };

export function openPolicyWork({ catalog, engine, sets, points, placement, alarms, wake }: WorkOptions): PolicyWork {
  const watched = new Set<string>();
  /** The next round is to see the end at once, and not when a minute has passed. */
  const watch = (session: string): void => {
    if (watched.has(session)) return;
    watched.add(session);
    void engine.ended(session).catch(() => {}).finally(() => {
      watched.delete(session);
      wake();
    });
  };

  /** Places of those that were asked about last, and what they were reckoned from: while thousands of parts wait, rounds follow each other closely. */
  let reckoned = new Map<string, Reckoned>();

  /** As its session would choose it by what was seen last. */
  async function reckon(row: SetRow, node: BackupWish['node'], last: PointRow | undefined): Promise<Place> {
    const found = discovered.parse(JSON.parse(row.discovered));
    const choice = chooseSource(membersOf(found, await placement.leftOut(row.id)), { last: last === undefined ? undefined : points.summary(last).source, ...node, preferred: node.preferred ?? undefined });
    return { repository: row.repository, host: choice.kind === 'chosen' ? placement.ofMember(found, choice.address) : await placement.near(row) };
  }

  async function begin(part: PartRow, run: RunRow, policy: PolicyDocument): Promise<Begun> {
    const set = await sets.find(part.set_id);
    const wish: BackupWish = { ...wishBy(policy, set.id), fullRead: run.full_read === 1 };
    try {
      const session = await engine.start({
        kind: 'backup', object: { kind: 'set', id: set.id, name: set.name }, setId: set.id, lane: laneOf('backup', set.id), wish,
        claim: claimOf(part), reason: `policy ${policy.name}: ${run.why}`, ...(part.session !== null && { retryOf: part.session }),
      });
      watch(session.id);
      return { kind: 'begun', session: session.id };
    } catch (error) {
      if (isFailure(error, alreadyBegun)) return { kind: 'begun', session: String(error.details['session']) };
      if (isFailure(error, laneTaken)) return { kind: 'busy' };
      throw error;
    }
  }

  async function beginAsked({ set: setId, policy, reason }: AskedBackup): Promise<void> {
    const set = await sets.find(setId);
    try {
      const session = await engine.start({ kind: 'backup', object: { kind: 'set', id: set.id, name: set.name }, setId: set.id, lane: laneOf('backup', set.id), wish: wishOutsideRuns(policy, set.id), reason });
      watch(session.id);
      alarms.look();
    } catch (error) {
      // A backup that may have begun before the alarm is no answer; the next one is.
      if (!isFailure(error, laneTaken)) throw error;
    }
  }

  return {
    documentOf,
    asked: async () => await Promise.all((await alarms.asking()).map(async ({ setId, ...asked }) => ({ ...asked, set: setId, policy: await policyFor(setId, catalog) }))),
    beginAsked,
    sets: async (document) => await protectedBy(document, catalog),
    async places(asked) {
      const ids = [...new Set(asked.map(({ set }) => set))];
      const [rows, newest] = [new Map((await catalog.sets.some(ids)).map((row) => [row.id, row])), await catalog.points.newestOf(ids)];
      const [before, now] = [reckoned, new Map<string, Reckoned>()];
      const places: (Place | undefined)[] = [];
      for (const { set, policy } of asked) {
        const row = rows.get(set);
        if (row === undefined) {
          places.push(undefined);
          continue;
        }
        const { node } = policy === null ? plainBackup(set) : wishBy(policy, set);
        const from = JSON.stringify([row.repository, row.refreshed_ms, newest.get(set)?.id, node]);
        const known = now.get(`${set} ${from}`) ?? before.get(`${set} ${from}`) ?? { place: await reckon(row, node, newest.get(set)) };
        now.set(`${set} ${from}`, known);
        places.push(known.place);
      }
      reckoned = now;
      return places;
    },
    begunFor: async (part) => await catalog.sessions.begunFor(claimOf(part)),
    running: async () => (await catalog.sessions.unfinishedOf('backup')).flatMap(({ set_id }) => set_id ?? []),
    begin,
    async ended(session) {
      const row = await catalog.sessions.find(session);
      if (row === undefined) return { state: 'failed', says: 'its session is not there any more' };
      if (!hasEnded(row.state as SessionState)) {
        watch(session);
        return undefined;
      }
      return { state: row.state as SessionEnded, says: row.failure === null ? null : wireFailure.parse(JSON.parse(row.failure)).message };
    },
    stop: async (session) => {
      const row = await catalog.sessions.find(session);
      if (row !== undefined && !hasEnded(row.state as SessionState)) await engine.stop(session);
    },
  };
}

export function keepPoliciesRunning(scheduler: PolicyScheduler, options: RoundsOptions): Rounds {
  return keepRounds('the policies', async () => await scheduler.round(), options);
}

const retentionKey = 'retention.day';

/** Once a day of UTC, for sets whose points grow old without new ones, too. */
export function keepRetentionApplied({ catalog, retention, tending, clock, log, isMine, signal }: { catalog: Catalog; retention: Retention; tending: OplogTending; clock: Clock; log: Log; isMine: () => Promise<boolean>; signal: AbortSignal }): void {
  const isToBeTended = async (set: RetentionSet): Promise<boolean> => {
    try {
      return await tending.isDue(set, await retention.oplogRuleOf(set.id));
    } catch (error) {
      log.info('nobody knows whether archived oplog is to go; it is looked at tomorrow', { set: set.name, why: describe(error) });
      return false;
    }
  };
  const look = async (): Promise<void> => {
    const today = Temporal.Instant.fromEpochMilliseconds(clock.now()).toString().slice(0, 10);
    if (!(await isMine()) || (await catalog.settings.get(retentionKey)) === today) return;
    for (const set of await retention.sets()) {
      if ((await retention.plan(set)).goes.length === 0 && !(await isToBeTended(set))) continue;
      await retention.start(set, 'once a day').catch((error: unknown) => log.info('retention was not begun', { set: set.name, why: describe(error) }));
    }
    await catalog.settings.put(retentionKey, today);
  };
  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      await look().catch((error: unknown) => signal.aborted || log.error('retention could not be applied', { why: describe(error) }));
      await clock.wait(3_600_000, signal).catch(() => {});
    }
  };
  void run();
}
