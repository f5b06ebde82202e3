/**
 * Alarms: what makes moments unreachable, kept until a new base is there.
 *
 *   raised ──no backup of the set runs that may have begun before──▶ answered by a backup ──a good point that leads on──▶ settled
 *                                                                        └ failed, stopped by an operator, or its point does not
 *                                                                          lead on or was not proved: again after 10 minutes,
 *                                                                          doubled up to 6 hours
 *
 * The waits are those of the set, counted from its oldest alarm that is open: alarms that come faster than they can be answered begin no count of
 * their own. Again means another base, unless the one that was made since only lacks its proof and would lead on: then it is that proof,
 * three times at most, because whatever keeps proofs from being made would keep them from the next base, too.
 *
 * An alarm is recorded before it is answered and has an id made from what it is about: told twice, it is raised once.
 * Any backup that was asked for after the alarm is its answer, so many alarms at once ask for one backup. One of a set that is not
 * protected any more is settled by that. Where the policies of a set want no new base, none is asked for: the alarm stays until a point
 * that somebody or a schedule had made settles it.
 */
import { createHash } from 'node:crypto';
import type { Catalog } from '../catalog/catalog.ts';
import { alreadyBegun } from '../catalog/failures.ts';
import type { SessionRow } from '../catalog/sessions.ts';
import type { AlarmRow, SetRow } from '../catalog/sets.ts';
import { sessionResult } from '../contract/sessions.ts';
import type { PointSummary } from '../contract/values.ts';
import type { Clock } from '../base/clock.ts';
import { describe, isFailure } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import { countsAs } from '../domain/kept-moment.ts';

/** What becomes of an open alarm. `without`: the policies that keep the set from a new base. */
export function whatFollows(set: string, without: readonly string[]): string {
  if (without.length === 0) return 'a new restore point is made by itself';
  return `no new restore point is made by itself ("newBase: false" in ${without.join(', ')}): run "tidemark backup run ${set}"`;
}

export type NewAlarm = { readonly setId: string; readonly key: string; readonly atMs: number; readonly what: string; readonly says: string };

export type AskingAlarm = { readonly setId: string; readonly sinceMs: number; readonly reason: string };

export type Alarms = {
  raise(alarm: NewAlarm): Promise<void>;
  /** The sets that want a backup now, and since when. Whoever begins backups asks for them (policy-scheduler.ts). */
  asking(): Promise<AskingAlarm[]>;
  /** Looks at once, because a backup was begun. */
  look(): void;
  /** Looks again and again, begins the proofs that are wanted and wakes who begins backups when one is, until the signal is aborted. */
  keepAsking(wake: () => void, signal: AbortSignal, isMine?: () => Promise<boolean>): Promise<void>;
};

export type Backup = Pick<SessionRow, 'id' | 'state' | 'created_ms' | 'ended_ms' | 'result'>;
export type Try = Pick<Backup, 'id' | 'ended_ms'>;
export type Retry = { readonly firstMs: number; readonly mostMs: number };
type MadePoint = Pick<PointSummary, 'id' | 'createdAtMs'>;

const usualRetry: Retry = { firstMs: 600_000, mostMs: 6 * 3_600_000 };
const quietFailures = 3;
const mostProofs = 3;

/** Whether the alarms of a set want something done now, given what was tried since the oldest of them was raised. */
export function isTryDue(tries: readonly Try[], nowMs: number, retry: Retry): boolean {
  const ends = tries.flatMap(({ ended_ms }) => ended_ms ?? []);
  if (ends.length < tries.length) return false;
  // One that ended while the clock was ahead is a try, and nobody knows how long ago it was.
  const lastMs = Math.max(-Infinity, ...ends.filter((ms) => countsAs(ms, nowMs) === ms));
  return nowMs - lastMs >= Math.min(retry.mostMs, retry.firstMs * 2 ** (tries.length - 1));
}

/** Whether another try comes so soon that nobody needs to hear of a failure yet. */
export function isTriedAgainSoon(backups: readonly Backup[]): boolean {
  return backups.length <= quietFailures && !backups.some(hasMadePoint);
}

const hasMadePoint = ({ state }: Backup): boolean => state === 'success' || state === 'warning';

function isLeftUnproved(backup: Backup): boolean {
  const made = hasMadePoint(backup) && backup.result !== null ? sessionResult.parse(JSON.parse(backup.result)) : undefined;
  return made?.kind === 'backup' && !made.verified;
}

export type BaseStanding = {
  /** The points of the set that count. */
  readonly good: readonly MadePoint[];
  /** None of them leads into what is archived now. */
  readonly isNeeded: boolean;
  /** The newest point, if nobody has opened it yet and one would lead there that is good. */
  readonly unproved: MadePoint | null;
};

/** The backup whose point settles an alarm, of those that were asked for since it was raised. */
export function answerOf<B extends Backup>(backups: readonly B[], { good, isNeeded }: Omit<BaseStanding, 'unproved'>): B | undefined {
  return isNeeded ? undefined : backups.find((backup) => good.some((point) => isOf(backup, point)));
}

/** One that failed says nothing of its point, which may have been proved since: two backups of a set are never at work at once. */
function isOf({ result, created_ms, ended_ms }: Backup, { id, createdAtMs }: MadePoint): boolean {
  const made = result === null ? undefined : sessionResult.parse(JSON.parse(result));
  if (made !== undefined) return made.kind === 'backup' && made.point === id;
  return ended_ms !== null && created_ms <= createdAtMs && createdAtMs <= ended_ms;
}

export type AskedProof = { readonly set: SetRow; readonly point: string; readonly reason: string; /** Begun twice for the same, it is one. */ readonly claim: string };

type Wanted = { readonly kind: 'backup'; readonly asked: AskingAlarm } | { readonly kind: 'proof'; readonly asked: AskedProof };

type AlarmsOptions = { catalog: Catalog; clock: Clock; log: Log; baseOf: (set: SetRow) => Promise<BaseStanding>; prove: (asked: AskedProof) => Promise<unknown>; /** Policies that keep a set from a new base. */ withoutNewBase: (setId: string) => Promise<readonly string[]>; everyMs?: number; retry?: Retry };

export function openAlarms(options: AlarmsOptions): Alarms {
  const { catalog, clock, log, baseOf, prove, withoutNewBase, retry = usualRetry } = options;
  let news = Promise.withResolvers<void>();

  /** Settles what is answered; answers those that are not. */
  async function settle(alarms: readonly AlarmRow[], backups: readonly SessionRow[], standing: BaseStanding): Promise<AlarmRow[]> {
    const open: AlarmRow[] = [];
    for (const alarm of alarms) {
      const own = backups.filter(({ created_ms }) => created_ms >= alarm.raised_ms);
      const answer = answerOf(own, standing);
      const session = (answer ?? own[0])?.id ?? alarm.backup_session;
      if (answer !== undefined || session !== alarm.backup_session) await catalog.sets.answerAlarm(alarm.id, { backup_session: session, is_settled: answer === undefined ? 0 : 1 });
      if (answer === undefined) open.push(alarm);
    }
    return open;
  }

  /** `alarms`: the open ones of a set, oldest first. */
  async function wantedBy(setId: string, alarms: readonly [AlarmRow, ...AlarmRow[]]): Promise<Wanted | undefined> {
    const set = await catalog.sets.find(setId);
    if (set === undefined) {
      for (const { id } of alarms) await catalog.sets.answerAlarm(id, { is_settled: 1 });
      return undefined;
    }
    const standing = await baseOf(set);
    const [oldest] = await settle(alarms, await catalog.sessions.backupsSince(setId, alarms[0].raised_ms, clock.now()), standing);
    if (oldest === undefined) return undefined;
    const { raised_ms: sinceMs, what, says } = oldest;
    const [backups, proofs, reason] = [await catalog.sessions.backupsSince(setId, sinceMs, clock.now()), await catalog.sessions.proofsSince(setId, sinceMs, clock.now()), `${what}: ${says}`];
    // What a policy leaves unproved is no answer that failed: it waits for its proof here.
    if (!isTryDue([...backups.filter((backup) => !isLeftUnproved(backup)), ...proofs], clock.now(), retry)) return undefined;
    const { unproved } = standing;
    const tried = proofs.filter(({ object_id }) => object_id === unproved?.id).length;
    if (unproved === null || tried >= mostProofs || !backups.some((backup) => isOf(backup, unproved))) return (await withoutNewBase(setId)).length > 0 ? undefined : { kind: 'backup', asked: { setId, sinceMs, reason } };
    return { kind: 'proof', asked: { set, point: unproved.id, reason, claim: `alarm/${oldest.id}/${unproved.id}/${tried}` } };
  }

  /** One that was raised while the clock was ahead is raised now: until then no backup would count as its try or its answer. */
  async function unsettled(): Promise<AlarmRow[]> {
    const nowMs = clock.now();
    const kept = await catalog.sets.unsettledAlarms();
    for (const { id, raised_ms } of kept) if (countsAs(raised_ms, nowMs) !== raised_ms) await catalog.sets.countAlarmFrom(id, nowMs);
    return kept.map((alarm) => ({ ...alarm, raised_ms: countsAs(alarm.raised_ms, nowMs) }));
  }

  async function look(): Promise<Wanted[]> {
    const found: Wanted[] = [];
    for (const [setId, [first, ...others]] of Map.groupBy(await unsettled(), (alarm) => alarm.set_id)) {
      const wanted = first === undefined ? undefined : await wantedBy(setId, [first, ...others]);
      if (wanted !== undefined) found.push(wanted);
    }
    return found;
  }

  /** Begins the proofs that are wanted; answers how many backups are. */
  async function answer(): Promise<number> {
    const wanted = await look();
    for (const one of wanted) if (one.kind === 'proof') await prove(one.asked).catch((error: unknown) => isFailure(error, alreadyBegun) || log.warn('a proof was not begun', { point: one.asked.point, why: describe(error) }));
    return wanted.filter(({ kind }) => kind === 'backup').length;
  }

  return {
    async raise({ setId, key, atMs, what, says }) {
      const id = createHash('sha256').update(`${setId} ${key}`).digest('hex').slice(0, 24);
      const isNew = await catalog.sets.raiseAlarm({ id, set_id: setId, at_ms: atMs, raised_ms: clock.now(), what, says, backup_session: null, is_settled: 0 });
      if (!isNew) return;
      log.error('alarm', { set: setId, what, says });
      news.resolve();
    },
    asking: async () => (await look()).flatMap((one) => (one.kind === 'backup' ? [one.asked] : [])),
    look: () => news.resolve(),
    async keepAsking(wake, signal, isMine = async () => await Promise.resolve(true)) {
      while (!signal.aborted) {
        news = Promise.withResolvers<void>();
        const wanted = async (): Promise<number> => ((await isMine()) ? await answer() : 0);
        const count = await wanted().catch((error: unknown) => {
          log.warn('the alarms could not be looked at', { why: describe(error) });
          return 0;
        });
        if (count > 0) wake();
        await Promise.race([news.promise, clock.wait(options.everyMs ?? 10_000, signal).catch(() => {})]);
      }
    },
  };
}
