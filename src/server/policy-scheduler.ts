/**
 * Runs policies: opens what is due, begins parts within the limits, settles what ended, closes what is over.
 *
 *   round: due ─▶ settle ─▶ cut or stop ─▶ begin ─▶ close ─▶ wait until the next moment there is, at most a minute
 *
 * docs/design/policies.md has the moves, the order of writes and what a kill leaves. A round reads what is kept and
 * trusts no memory of the one before, so any number of servers may run it, and a simulation runs it on a turned clock.
 */
import type { OpenedRun, PartRow, PolicyBook, PolicyRow, RunRow } from '../catalog/policies.ts';
import type { Clock } from '../base/clock.ts';
import { describe } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import type { PolicyDocument } from '../contract/policies.ts';
import { countsAs } from '../domain/kept-moment.ts';
import { chooseParts, isOver, runStateOf, settlePart, type Candidate, type Limits, type PartState, type Place, type SessionEnded } from '../domain/policy-run.ts';
import { elapsed, nextOpening, nextRun } from '../domain/schedule.ts';
import type { CountingPolicy } from './policy-wish.ts';

export type Begun = { readonly kind: 'begun'; readonly session: string } | { readonly kind: 'busy' } | { readonly kind: 'refused'; readonly says: string };

/** A set, and the policy that copies it; null: none does, or nobody knows. */
export type PlaceAsked = { readonly set: string; readonly policy: PolicyDocument | null };
/** A backup that no run asks for: the new base that an alarm needs. `policy`: the one whose node rules and compression it has. */
export type AskedBackup = { readonly set: string; readonly policy: CountingPolicy | undefined; readonly sinceMs: number; readonly reason: string };

/** What a run works with: sessions of a server, or those of a simulation. */
export type PolicyWork = {
  documentOf(row: PolicyRow): PolicyDocument;
  /** The protected sets of a policy, as they are now. */
  sets(document: PolicyDocument): Promise<readonly { readonly id: string; readonly name: string }[]>;
  /** Where each is copied from and to, by what its policy says of the node, in the order asked; a set that is not protected any more has no place. */
  places(asked: readonly PlaceAsked[]): Promise<readonly (Place | undefined)[]>;
  /** Sets of which a copy is made now, whoever asked for it. */
  running(): Promise<readonly string[]>;
  asked(): Promise<readonly AskedBackup[]>;
  beginAsked(asked: AskedBackup): Promise<void>;
  /** Twice for the same try is once. */
  begin(part: PartRow, run: RunRow, policy: PolicyDocument): Promise<Begun>;
  /** The session of the try that comes next, where a server began it and was killed before it wrote that down. */
  begunFor(part: PartRow): Promise<string | undefined>;
  ended(session: string): Promise<{ readonly state: SessionEnded; readonly says: string | null } | undefined>;
  stop(session: string): Promise<void>;
};

export type SchedulerOptions = { readonly book: PolicyBook; readonly work: PolicyWork; readonly clock: Clock; readonly log: Log; /** As they are now. */ readonly limits: () => Promise<Limits>; readonly newId: () => string };
export type PolicyScheduler = ReturnType<typeof openPolicyScheduler>;

const busyMs = 60_000;

export function openPolicyScheduler(options: SchedulerOptions) {
  const { book, clock, log } = options;
  /** Waits that no clock which was ahead has set, as was seen at that moment: later on they are none either. */
  let fit = { nowMs: -Infinity, waits: new Set<string>() };

  async function round(): Promise<number> {
    const nowMs = clock.now();
    for (const row of await book.due(nowMs)) await alone(row.name, async () => await openDue(row, nowMs, options));
    let isFollowed = false;
    const open = await book.openRuns();
    const known = nowMs < fit.nowMs ? new Set<string>() : fit.waits;
    fit = { nowMs, waits: new Set() };
    for (const one of open) {
      const waits = longWaits(one, nowMs).map(keyOf);
      const areFit = waits.every((wait) => known.has(wait));
      if (areFit) for (const wait of waits) fit.waits.add(wait);
      if (areFit && !needsLook(one, nowMs)) continue;
      await alone(one.run.id, async () => {
        await rebase(one, nowMs, options);
        for (const part of longWaits(one, nowMs)) fit.waits.add(keyOf(part));
        await settle(one, nowMs, options);
        await cutOrStop(one, nowMs, options);
      });
    }
    await begin(open, nowMs, options);
    for (const one of open) if (isDone(one)) await alone(one.run.id, async () => void (isFollowed = (await close(one, nowMs, options)) || isFollowed));
    return isFollowed ? 0 : waitFrom(nowMs, await book.nextMs(), open);
  }

  function waitFrom(nowMs: number, nextMs: number | null, open: readonly OpenedRun[]): number {
    const moments: (number | null)[] = [nextMs];
    for (const { run, parts } of open) {
      if (run.state !== 'open') continue;
      moments.push(run.opens_ms > nowMs ? run.opens_ms : run.closes_ms);
      for (const { state, not_before_ms: notBefore } of parts) if (state === 'waiting' && notBefore > nowMs) moments.push(notBefore);
    }
    return Math.min(...moments.flatMap((at) => (at === null || at <= nowMs ? [] : [at - nowMs])));
  }

  /** What goes wrong with one policy holds up no other. */
  async function alone(what: string, act: () => Promise<void>): Promise<void> {
    await act().catch((error: unknown) => log.error('a policy could not be run', { what, why: describe(error) }));
  }

  return {
    /** Does what is to be done now; answers in how many milliseconds the clock alone brings more, perhaps Infinity. */
    round,
    /** Opens a run by hand. False while one of the policy is open. */
    async run(row: PolicyRow, wish: { why: string; fullRead: boolean; only?: ReadonlySet<string> }): Promise<RunRow | undefined> {
      const opened = await makeRun(row, { nowMs: clock.now(), dueMs: clock.now(), missed: 0, isFree: true, ...wish }, options);
      return (await book.openRun(opened, null)) ? opened.run : undefined;
    },
  };
}

type RunWish = { nowMs: number; dueMs: number; missed: number; why: string; fullRead: boolean; /** Has no window. */ isFree: boolean; only?: ReadonlySet<string> };

async function makeRun(row: PolicyRow, { nowMs, dueMs, missed, why, fullRead, isFree, only }: RunWish, { work, newId }: SchedulerOptions): Promise<OpenedRun> {
  const document = work.documentOf(row);
  const id = newId();
  const sets = (await work.sets(document)).filter((set) => only?.has(set.id) ?? true);
  const opening = isFree || document.window === null ? null : nextOpening(document.window, document.timeZone, nowMs);
  const run: RunRow = { id, policy: row.id, state: 'open', why, due_ms: dueMs, missed, skipped: 0, opens_ms: opening?.opensMs ?? nowMs, closes_ms: opening?.closesMs ?? null, full_read: fullRead ? 1 : 0, stopping: 0, added_ms: nowMs, ended_ms: null, says: null };
  return { run, parts: sets.map((set) => ({ run: id, set_id: set.id, set_name: set.name, state: 'waiting', attempt: 0, not_before_ms: nowMs, session: null, says: null })) };
}

/** All moments up to now are accounted for, whether they make a run or meet one that is open. */
async function openDue(row: PolicyRow, nowMs: number, options: SchedulerOptions): Promise<void> {
  const { book, work } = options;
  const { schedule, timeZone } = work.documentOf(row);
  // A clock that was set back must not put a policy to sleep until it has caught up.
  const { moments, lastMs, nextMs } = row.counts_from_ms > nowMs ? elapsed(schedule, timeZone, nowMs, nowMs) : elapsed(schedule, timeZone, row.counts_from_ms, nowMs);
  const counting = { policy: row.id, wasMs: row.counts_from_ms, fromMs: nowMs, nextMs };
  if (lastMs === null) return void (await book.count(counting));
  const inTheWay = await book.openRunOf(row.id);
  if (inTheWay !== undefined) return void (await book.skip(inTheWay.id, moments, counting));
  const wish: RunWish = { nowMs, dueMs: lastMs, missed: moments - 1, why: moments > 1 ? `its schedule, which was missed ${moments - 1} times` : 'its schedule', fullRead: false, isFree: false };
  // One that runs all the time counts on when it has ended.
  await book.openRun(await makeRun(row, wish, options), schedule.kind === 'continuous' ? { ...counting, nextMs: null } : counting);
}

/** A clock that was set back: what a run waits for that began behind that, or a part for longer than any does, is reckoned again. */
async function rebase(opened: OpenedRun, nowMs: number, { book, work }: SchedulerOptions): Promise<void> {
  const { run, parts } = opened;
  const isAhead = run.added_ms > nowMs;
  if (!isAhead && longWaits(opened, nowMs).length === 0) return;
  const row = await book.policy(run.policy);
  const document = row === undefined ? undefined : work.documentOf(row);
  if (isAhead) {
    const opening = run.closes_ms === null || document === undefined || document.window === null ? null : nextOpening(document.window, document.timeZone, nowMs);
    const change = { added_ms: nowMs, opens_ms: opening?.opensMs ?? nowMs, closes_ms: opening?.closesMs ?? null };
    await book.changeRun(run.id, change);
    Object.assign(run, change);
  }
  const longestMs = isAhead ? 0 : Math.max(busyMs, (document?.retry.minutes ?? 0) * 60_000);
  for (const part of parts) {
    const notBeforeMs = countsAs(part.not_before_ms, nowMs, longestMs);
    if (part.state === 'waiting' && notBeforeMs !== part.not_before_ms) await move(part, { not_before_ms: notBeforeMs }, book);
  }
}

async function settle({ run, parts }: OpenedRun, nowMs: number, { book, work }: SchedulerOptions): Promise<void> {
  for (const part of parts) {
    if (part.state !== 'running' || part.session === null) continue;
    const end = await work.ended(part.session);
    if (end === undefined) continue;
    const row = await book.policy(run.policy);
    const retry = row === undefined || run.stopping === 1 ? { times: 0, minutes: 1 } : work.documentOf(row).retry;
    const next = settlePart(standingOf(part), end.state, retry, nowMs, isClosed(run, nowMs));
    await move(part, { state: next.state, attempt: next.attempt, not_before_ms: next.notBeforeMs, says: end.says }, book);
  }
}

/** Outside its window, or when somebody stops it: what has not begun never does, what runs is asked to end. */
async function cutOrStop({ run, parts }: OpenedRun, nowMs: number, { book, work, log }: SchedulerOptions): Promise<void> {
  const isCut = isClosed(run, nowMs);
  if (!isCut && run.stopping === 0) return;
  for (const part of parts) {
    const begun = part.state === 'waiting' ? await work.begunFor(part) : undefined;
    if (begun !== undefined) await move(part, { state: 'running', session: begun, says: null }, book);
    if (part.state === 'waiting') await move(part, { state: isCut ? 'cut' : 'stopped', says: isCut ? 'the backup window closed before it was its turn' : 'the run was stopped' }, book);
    if (part.state === 'running' && part.session !== null) await work.stop(part.session).catch((error: unknown) => log.info('a session could not be asked to stop', { session: part.session, why: describe(error) }));
  }
}

type Waiting = Candidate & ({ readonly part: PartRow; readonly run: RunRow; readonly document: PolicyDocument } | { readonly asked: AskedBackup });

async function begin(open: readonly OpenedRun[], nowMs: number, options: SchedulerOptions): Promise<void> {
  const { book, work, log } = options;
  const ready = open.flatMap(({ run, parts }) => (run.opens_ms > nowMs || isClosed(run, nowMs) || run.stopping === 1 ? [] : parts.filter((part) => part.state === 'waiting' && part.not_before_ms <= nowMs).map((part) => ({ run, part }))));
  const started = open.reduce((sum, { parts }) => sum + parts.filter(({ state }) => state === 'running').length, 0);
  const asked = await work.asked();
  if (ready.length === 0 && asked.length === 0) return;
  const limits = await options.limits();
  if (started >= limits.server) return;
  const own = new Map(open.flatMap(({ run, parts }) => parts.filter(({ state }) => state === 'running').map((part) => [part.set_id, run.policy] as const)));
  const busy = [...new Set([...own.keys(), ...(await work.running())])];
  const policies = await documentsOf([...own.values(), ...ready.map(({ run }) => run.policy)], options);
  const documentFor = (policy: string | undefined): PolicyDocument | null => (policy === undefined ? null : (policies.get(policy) ?? null));
  const places = await work.places([
    ...ready.map(({ run, part }) => ({ set: part.set_id, policy: documentFor(run.policy) })),
    ...asked.map(({ set, policy }) => ({ set, policy: policy?.document ?? null })),
    ...busy.map((set) => ({ set, policy: documentFor(own.get(set)) })),
  ]);
  const candidates: Waiting[] = [];
  for (const [at, { run, part }] of ready.entries()) {
    const [place, document] = [places[at], policies.get(run.policy)];
    if (place === undefined || document === undefined) await move(part, { state: 'failed', says: place === undefined ? 'the set is not protected any more' : 'the policy is not there any more' }, book);
    else candidates.push({ policy: run.policy, isHigh: document.highPriority, dueMs: run.due_ms, set: part.set_id, place, run, part, document });
  }
  // A set that nothing leads on in comes before one whose next point is only due.
  for (const [at, one] of asked.entries()) {
    const place = places[ready.length + at];
    if (place !== undefined) candidates.push({ policy: one.policy?.row.id ?? '', isHigh: true, dueMs: one.sinceMs, set: one.set, place, asked: one });
  }
  const taken = busy.flatMap((set, at) => {
    const place = places[ready.length + asked.length + at];
    return place === undefined ? [] : [{ ...place, policy: own.get(set) ?? null, set }];
  });
  for (const one of chooseParts(candidates, taken, limits)) {
    if ('part' in one) await beginPart(one, nowMs, options);
    else await work.beginAsked(one.asked).catch((error: unknown) => log.warn('an alarm could not be answered', { set: one.set, why: describe(error) }));
  }
}

async function documentsOf(policies: readonly string[], { book, work }: SchedulerOptions): Promise<Map<string, PolicyDocument>> {
  const rows = await Promise.all([...new Set(policies)].map(async (policy) => await book.policy(policy)));
  return new Map(rows.flatMap((row) => (row === undefined ? [] : [[row.id, work.documentOf(row)] as const])));
}

async function beginPart({ part, run, document }: { part: PartRow; run: RunRow; document: PolicyDocument }, nowMs: number, { book, work, log }: SchedulerOptions): Promise<void> {
  const begun = await work.begin(part, run, document).catch((error: unknown) => ({ kind: 'refused', says: describe(error) }) as const);
  if (begun.kind === 'begun') await move(part, { state: 'running', session: begun.session, says: null }, book);
  else if (begun.kind === 'busy') await move(part, { not_before_ms: nowMs + busyMs, says: 'another backup of the set is at work' }, book);
  else {
    log.warn('a part of a policy was not begun', { policy: document.name, set: part.set_name, why: begun.says });
    const next = settlePart(standingOf(part), 'failed', document.retry, nowMs, false);
    await move(part, { state: next.state, attempt: next.attempt, not_before_ms: next.notBeforeMs, says: begun.says }, book);
  }
}

/** Whether runs follow it. */
async function close({ run, parts }: OpenedRun, nowMs: number, options: SchedulerOptions): Promise<boolean> {
  const { book, work } = options;
  const state = runStateOf(parts.map((part) => ({ state: part.state as PartState })));
  const row = await book.policy(run.policy);
  const hasPoint = parts.some((part) => part.state === 'success' || part.state === 'warning');
  const following: OpenedRun[] = [];
  for (const next of hasPoint ? await book.followers(run.policy) : []) following.push(await makeRun(next, { nowMs, dueMs: nowMs, missed: 0, why: `policy ${row?.name ?? run.policy} has ended`, fullRead: false, isFree: false }, options));
  const document = row === undefined ? undefined : work.documentOf(row);
  const counting = row === undefined || document?.schedule.kind !== 'continuous' ? null : { policy: row.id, wasMs: row.counts_from_ms, fromMs: nowMs, nextMs: nextRun(document.schedule, document.timeZone, nowMs) };
  const end = { state, ended_ms: nowMs, says: saysOf(parts) };
  if (await book.endRun(run.id, end, counting, following)) Object.assign(run, end);
  return following.length > 0;
}

function saysOf(parts: readonly PartRow[]): string {
  if (parts.length === 0) return 'no set of the policy is protected';
  const counts = Map.groupBy(parts, ({ state }) => state);
  return [...counts].map(([state, of]) => `${of.length} ${state}`).join(', ');
}

/** Parts that wait for longer than a set that is busy: as their policy says, or as a clock has said that was ahead. */
const longWaits = ({ parts }: OpenedRun, nowMs: number): PartRow[] => parts.filter(({ state, not_before_ms: notBefore }) => state === 'waiting' && notBefore > nowMs + busyMs);
const keyOf = (part: PartRow): string => `${part.run}/${part.set_id}/${part.not_before_ms}`;

/** Most runs that are open wait for a window or a second try. */
const needsLook = ({ run, parts }: OpenedRun, nowMs: number): boolean => run.added_ms > nowMs || run.stopping === 1 || isClosed(run, nowMs) || parts.some(({ state }) => state === 'running');
const isDone = ({ parts }: OpenedRun): boolean => parts.every(({ state }) => isOver(state as PartState));

const isClosed = (run: RunRow, nowMs: number): boolean => run.closes_ms !== null && nowMs >= run.closes_ms;

const standingOf = (part: PartRow) => ({ state: part.state as PartState, attempt: part.attempt, notBeforeMs: part.not_before_ms });

async function move(part: PartRow, change: Partial<PartRow>, book: PolicyBook): Promise<void> {
  if (await book.movePart(part, change)) Object.assign(part, change);
}
