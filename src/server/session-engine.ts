/**
 * The session engine: opens sessions, runs their flows, stops them, and takes up after a restart what was open.
 * The states are those of domain/session.ts; docs/design/sessions.md has the promises.
 */
import type { Catalog } from '../catalog/catalog.ts';
import type { SessionRow } from '../catalog/sessions.ts';
import type { Clock } from '../base/clock.ts';
import { describe, isFailure } from '../base/failure.ts';
import { stopped } from '../base/failures.ts';
import { sortableId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import { linkLost } from '../contract/failures.ts';
import { endlessSessionKinds, hostSessionKinds, sessionResult, type SessionKind } from '../contract/sessions.ts';
import { hostLost, hostUnreachable, leaseUnsure, sessionContinuous, sessionEnded, sessionNotFailed, sessionUnknown } from './failures.ts';
import { chosenMoment, type Flow, type FlowContext, type Side } from './flow.ts';
import type { Sealer } from './sealing.ts';
import type { SessionLog } from './session-log.ts';
import { runArchiveTask } from './archive-task.ts';
import type { Archives } from './archives.ts';
import type { Hosts } from './hosts.ts';
import type { Links } from './links.ts';
import { alwaysSure, type Sureness } from './membership.ts';
import { failedEnding, finishedEnding, stoppedEnding, writeEnd, type Ending } from './session-end.ts';
import { openSharedProgress } from './session-progress.ts';
import { followTask, untilSure, type TaskFollowing } from './session-task.ts';

export type SessionObject = { readonly kind: 'set' | 'repository' | 'point' | 'host' | 'group' | 'copy'; readonly id: string; readonly name: string };

export type NewSessionWish = {
  readonly kind: SessionKind;
  readonly object: SessionObject;
  readonly setId: string | null;
  /** What it has for itself while it is open; null when it bothers nobody. */
  readonly lane: string | null;
  readonly wish: unknown;
  readonly reason?: string;
  readonly retryOf?: string;
  /** Begun once for this, whoever asks how often: fails with catalog.already-begun, which names that session. */
  readonly claim?: string;
  /** What came before it, as the first line of its log. */
  readonly says?: string | null;
};

export type SessionEngine = {
  /** Opens the session, does what has to be there before its flow, and lets that begin. Fails with catalog.lane-taken when another has its lane. */
  start(wish: NewSessionWish, before?: (id: string) => Promise<void>): Promise<SessionRow>;
  stop(id: string): Promise<SessionRow>;
  retry(id: string): Promise<SessionRow>;
  find(id: string): Promise<SessionRow>;
  /** What it was asked to do. */
  wishOf(id: string): Promise<unknown>;
  /** The point that a session works with, as far as it is chosen yet. */
  pointOf(row: SessionRow): Promise<unknown>;
  /** Stops a session of any kind and waits for its end. */
  end(id: string): Promise<void>;
  /** Waits for its end, or for that of this server. */
  ended(id: string): Promise<SessionRow>;
  /** An open session that works with this restore point. */
  userOf(point: string): Promise<string | undefined>;
  /** The same of every point that an open session works with, read once. */
  users(): Promise<ReadonlyMap<string, string>>;
  /** Takes up open sessions that are nobody's, and own ones that are not at work, and hears what was asked of those that are its own at other servers. */
  look(): Promise<void>;
  /** Leaves what runs to run; the next server takes it up. */
  close(): Promise<void>;
};

export type Timing = { hostWaitMs: number; hostLostMs: number; stopWithinMs: number; silentMs?: number; /** How old the look may be that an order rests on. */ promptMs?: number };

/** A host that was away for five minutes is not lost: it has a minute to be dialled again. */
const usualPromptMs = 10_000;
export const usualTiming: Timing = { hostWaitMs: 120_000, hostLostMs: 360_000, stopWithinMs: 90_000 };

export type EngineOptions = {
  catalog: Catalog;
  sessionLog: SessionLog;
  sealer: Sealer;
  links: Links;
  hosts: Hosts;
  archives: Archives;
  flows: Readonly<Record<SessionKind, Flow>>;
  clock: Clock;
  log: Log;
  timing?: Partial<Timing>;
  /** Whether no other server can have taken this one's place yet. */
  sureness?: Sureness;
};

const lanes: ReadonlySet<SessionKind> = new Set<SessionKind>(['backup', 'oplog', 'restore-collections', 'sweep', 'repair', 'copy', 'copy-oplog', 'rescan', 'retention']);

/** Kinds that say themselves how they wait for hosts. */
const withoutHosts: ReadonlySet<string> = new Set<SessionKind>(['oplog', 'copy-oplog', 'rescan', ...hostSessionKinds]);

type Running = { readonly stop: AbortController; readonly done: Promise<void> };

const wishPlace = (id: string): string => `sessions.wish:${id}`;
const notePlace = (session: string, name: string): string => `session_notes:${session}:${name}`;

export function openSessionEngine(options: EngineOptions): SessionEngine {
  const { catalog, sealer, clock, sessionLog } = options;
  const timing = { ...usualTiming, ...options.timing };
  const running = new Map<string, Running>();
  /** Ids of those that are being opened or taken up, as often as that is under way. */
  const begun: string[] = [];
  const closing = new AbortController();
  /** From one time that the catalog was away to the next: what runs in it is taken up again in the next, as after a restart. */
  let era = new AbortController();
  catalog.onAway((why) => {
    if (era.signal.aborted) return;
    era.abort(why);
    for (const { stop } of running.values()) stop.abort(why);
  });

  async function takeUpAgain(): Promise<void> {
    if (!era.signal.aborted || closing.signal.aborted) return;
    const why = describe(era.signal.reason);
    const own = await catalog.sessions.own();
    const before = new Map(own.map(({ id }) => [id, running.get(id)?.done]));
    era = new AbortController();
    const now = era.signal;
    for (const { id } of own) {
      goOn(id, before.get(id), why, now).catch((error: unknown) => now.aborted || options.log.error('a session could not be taken up again', { session: id, why: describe(error) }));
    }
  }

  /** Each as soon as it has let go: one whose end takes long holds up no other, nor the work of this server. */
  async function goOn(id: string, before: Promise<void> | undefined, why: string, now: AbortSignal): Promise<void> {
    using _ = beginning(id);
    await before;
    const row = await catalog.sessions.find(id);
    if (now.aborted || row === undefined || row.ended_ms !== null || running.has(id)) return;
    await sessionLog.keep(id, { kind: 'line', level: 'info', text: `${why}; it answers again, and the session goes on` });
    if (!now.aborted && !running.has(id)) run(row);
  }

  /** What is this server's, open, and not at work: whatever kept it from being begun. Read when nobody else can begin it, so none is run twice. */
  async function takeUpIdle(): Promise<void> {
    const now = era.signal;
    for (const { id } of await catalog.sessions.own()) {
      if (running.has(id) || begun.includes(id)) continue;
      using _ = beginning(id);
      const row = await catalog.sessions.find(id);
      if (now.aborted || closing.signal.aborted) return;
      if (row === undefined || row.ended_ms !== null || running.has(id)) continue;
      options.log.warn('a session was not at work; it is taken up', { session: id });
      run(row);
    }
  }

  function beginning(id: string): Disposable {
    begun.push(id);
    return { [Symbol.dispose]: () => void begun.splice(begun.indexOf(id), 1) };
  }

  function run(row: SessionRow): void {
    const stop = new AbortController();
    if (row.stopping === 1) stop.abort(stopped({ what: `session ${row.id}` }));
    keepRunning(row.id, stop, life(row, stop, untilAway(), timing, options));
  }

  const untilAway = (): AbortSignal => AbortSignal.any([closing.signal, era.signal]);

  function keepRunning(id: string, stop: AbortController, work: Promise<void>): void {
    const done = work.catch((error: unknown) => options.log.error('a session was given up', { session: id, why: describe(error) })).finally(() => running.delete(id));
    running.set(id, { stop, done });
  }

  const openWish = (row: SessionRow): unknown => JSON.parse(sealer.open(row.sealed_wish, wishPlace(row.id))) as unknown;

  /** Of its wish; one that chooses it itself has noted it. */
  async function pointOf(row: SessionRow): Promise<unknown> {
    const { point } = openWish(row) as { point?: unknown };
    if (point !== null) return point;
    const kept = await catalog.sessions.note(row.id, chosenMoment);
    return kept === undefined ? undefined : (JSON.parse(sealer.open(kept, notePlace(row.id, chosenMoment))) as { point: string }).point;
  }

  /** Keepers work with no point, and there is one for each set. */
  async function users(): Promise<Map<string, string>> {
    const found = new Map<string, string>();
    for (const row of await catalog.sessions.unfinished()) {
      const point = endlessSessionKinds.has(row.kind) ? undefined : await pointOf(row);
      if (typeof point === 'string' && !found.has(point)) found.set(point, row.id);
    }
    return found;
  }

  async function find(id: string): Promise<SessionRow> {
    const row = await catalog.sessions.find(id);
    if (row === undefined) throw sessionUnknown({ session: id });
    return row;
  }

  async function start(wish: NewSessionWish, before?: (id: string) => Promise<void>): Promise<SessionRow> {
    closing.signal.throwIfAborted();
    const id = sortableId(clock);
    const { kind, object, setId, lane } = wish;
    const flow = options.flows[kind] as Flow<unknown>;
    using _ = beginning(id);
    await catalog.sessions.open({
      id, kind, lane,
      object_kind: object.kind,
      object_id: object.id,
      object_name: object.name,
      set_id: setId,
      sealed_wish: sealer.seal(JSON.stringify(wish.wish), wishPlace(id)),
      created_ms: clock.now(),
      reason: wish.reason ?? null,
      retry_of: wish.retryOf ?? null,
      claim: wish.claim ?? null,
      isPlan: flow.isPlan?.(flow.wish.parse(wish.wish)) ?? false,
    });
    try {
      if (typeof wish.says === 'string') await sessionLog.keep(id, { kind: 'line', level: 'info', text: wish.says });
      await before?.(id);
      const row = await find(id);
      run(row);
      return row;
    } catch (error) {
      // It is there, and whoever asked hears that it is not: it must not keep its lane.
      keepRunning(id, new AbortController(), writeEnd(id, failedEnding(error), options, untilAway(), options.log.with({ session: id, kind })));
      throw error;
    }
  }

  /** At whatever server it runs. */
  async function untilEnded(id: string): Promise<SessionRow> {
    for (;;) {
      await running.get(id)?.done;
      const row = await find(id);
      if (row.ended_ms !== null || row.server === null || closing.signal.aborted || catalog.kind === 'sqlite') return row;
      await clock.wait(200, closing.signal).catch(() => {});
    }
  }

  async function ask(id: string): Promise<void> {
    const moved = await catalog.sessions.move(id, { kind: 'ask-to-stop' }, clock.now());
    sessionLog.wake(id);
    if (moved !== 'refused') running.get(id)?.stop.abort(stopped({ what: `session ${id}` }));
  }

  return {
    start,
    find,
    async stop(id) {
      const row = await find(id);
      if (row.ended_ms !== null) throw sessionEnded({ session: id, state: row.state });
      if (endlessSessionKinds.has(row.kind)) throw sessionContinuous({ session: id });
      await ask(id);
      return await find(id);
    },
    async end(id) {
      await ask(id);
      await untilEnded(id);
    },
    ended: untilEnded,
    async retry(id) {
      const row = await find(id);
      if (endlessSessionKinds.has(row.kind)) throw sessionContinuous({ session: id });
      const kind = row.kind as SessionKind;
      const flow = options.flows[kind] as Flow<unknown>;
      const wish = openWish(row);
      const again = wishAgain(row, flow, wish);
      if (again === null) throw sessionNotFailed({ session: id, state: row.state });
      return await start({
        kind,
        object: { kind: row.object_kind as SessionObject['kind'], id: row.object_id, name: row.object_name },
        setId: row.set_id,
        lane: laneOf(kind, row.object_id) ?? flow.laneOf?.(flow.wish.parse(wish)) ?? null,
        wish: again,
        reason: row.reason ?? undefined,
        retryOf: id,
      });
    },
    wishOf: async (id) => openWish(await find(id)),
    pointOf,
    users,
    userOf: async (point) => (await users()).get(point),
    async look() {
      await takeUpAgain();
      await takeUpIdle();
      for (const id of await catalog.sessions.askedToStop()) running.get(id)?.stop.abort(stopped({ what: `session ${id}` }));
      // A few at a time where servers share them.
      const most = catalog.kind === 'postgres' ? 8 : 1_000;
      for (let some = await catalog.sessions.claim(most); some.length > 0; some = await catalog.sessions.claim(most)) {
        for (const row of some) run(row);
      }
    },
    async close() {
      closing.abort(stopped({ what: 'the server' }));
      for (const { stop } of running.values()) stop.abort(closing.signal.reason);
      await Promise.all([...running.values()].map(({ done }) => done));
    },
  };
}

/** Of one that failed or was stopped everything, of one with a warning what failed; null: it is not tried again. */
function wishAgain({ state, result }: SessionRow, flow: Flow<unknown>, wish: unknown): unknown {
  if (state === 'failed' || state === 'stopped') return wish;
  return state === 'warning' && result !== null ? (flow.failedOnly?.(flow.wish.parse(wish), sessionResult.parse(JSON.parse(result))) ?? null) : null;
}

/** One of a kind at a time: backups and oplogs of a set, restores into a set, sweeps and repairs of a repository, runs of a copy, rescans of a group; one change of a host's services. */
export function laneOf(kind: SessionKind, objectId: string): string | null {
  if (hostSessionKinds.has(kind)) return `host:${objectId}`;
  return lanes.has(kind) ? `${kind}:${objectId}` : null;
}

async function life(row: SessionRow, stop: AbortController, closing: AbortSignal, timing: Timing, options: EngineOptions): Promise<void> {
  const { catalog, clock, sessionLog, links } = options;
  const { id } = row;
  const log = options.log.with({ session: id, kind: row.kind });
  let ending: Ending;
  try {
    if (row.state === 'waiting') {
      if (!withoutHosts.has(row.kind)) await links.anyConnected(timing.hostWaitMs, stop.signal);
      if ((await catalog.sessions.move(id, { kind: 'start' }, clock.now())) === 'refused') return;
      sessionLog.wake(id);
    }
    const flow = options.flows[row.kind as SessionKind] as Flow<unknown>;
    const wish = flow.wish.parse(JSON.parse(options.sealer.open(row.sealed_wish, wishPlace(id))));
    ending = finishedEnding(await flow.run(wish, await contextOf(row, stop.signal, closing, timing, options, log)));
  } catch (error) {
    if (closing.aborted) return;
    const isStopped = stop.signal.aborted && (error === stop.signal.reason || isFailure(error, stopped));
    if (!isFailure(error)) log.error('unexpected error in a session', { why: describe(error), stack: error instanceof Error ? error.stack : undefined });
    ending = isStopped ? stoppedEnding(error) : failedEnding(error);
  }
  await writeEnd(id, ending, options, closing, log);
}

async function contextOf(row: SessionRow, stop: AbortSignal, closing: AbortSignal, timing: Timing, options: EngineOptions, log: Log): Promise<FlowContext> {
  const { catalog, sessionLog, sealer, links, clock } = options;
  const session = row.id;
  const place = (name: string): string => notePlace(session, name);
  const following: TaskFollowing = { session, catalog, sessionLog, links, clock, log, stop, closing, hostLostMs: timing.hostLostMs, stopWithinMs: timing.stopWithinMs, silentMs: timing.silentMs, sureness: options.sureness ?? alwaysSure };
  const progress = openSharedProgress();
  const beside = (side: Side | undefined): TaskFollowing => (side === undefined ? following : { ...following, stop: AbortSignal.any([stop, side.stop]), side: { name: side.name, progress } });
  const setNote = async (name: string, value: unknown): Promise<void> => await catalog.sessions.putNote(session, name, sealer.seal(JSON.stringify(value), place(name)));
  const readNote = async (name: string): Promise<{ value: unknown } | undefined> => {
    const kept = await catalog.sessions.note(session, name);
    return kept === undefined ? undefined : { value: JSON.parse(sealer.open(kept, place(name))) as unknown };
  };
  const saidBefore = Number((await readNote('said'))?.value ?? 0);
  let said = 0;
  const speak = async (event: { kind: 'step'; step: string } | { kind: 'line'; level: 'info' | 'warning' | 'error'; text: string }): Promise<void> => {
    stop.throwIfAborted();
    if (++said <= saidBefore) return;
    await sessionLog.keep(session, event);
    await setNote('said', said);
  };
  const note = async <T>(name: string, make: () => Promise<T> | T): Promise<T> => {
    const kept = await readNote(name);
    if (kept !== undefined) return kept.value as T;
    stop.throwIfAborted();
    const value = await make();
    await setNote(name, value);
    return value;
  };
  return {
    session,
    clock,
    log,
    signal: stop,
    isClosing: () => closing.aborted,
    step: async (step) => await speak({ kind: 'step', step }),
    say: async (text, level = 'info') => await speak({ kind: 'line', level, text }),
    tell: async (text, level = 'info') => await sessionLog.keep(session, { kind: 'line', level, text }),
    setNote,
    note,
    async order(host, name, input, how) {
      const link = links.of(host);
      const patienceMs = how === 'promptly' ? Math.min(timing.promptMs ?? usualPromptMs, timing.hostLostMs) : timing.hostLostMs;
      const deadline = clock.monotonicMs() + patienceMs;
      const leftMs = (): number => deadline - clock.monotonicMs();
      const lost = (error: Error): Error => hostLost({ host: link.host, seconds: Math.round(patienceMs / 1000), lastStep: name, why: describe(error) }, error);
      for (;;) {
        try {
          const sure = await untilSure(following.sureness, clock, stop, leftMs());
          return await link.call(name, input, { signal: AbortSignal.any([stop, sure]), waitMs: Math.max(1, leftMs()) });
        } catch (error) {
          if (isFailure(error, leaseUnsure) && leftMs() > 0) continue;
          // The orders that flows give may be given twice.
          if (isFailure(error, hostUnreachable)) throw lost(error);
          if (!isFailure(error, linkLost)) throw error;
          await clock.wait(50, stop);
          // It may be there again, but what the order rests on is too old.
          if (leftMs() <= 0) throw lost(error);
        }
      }
    },
    task: async (name, kind, at, input, onStatus, side) => await runArchiveTask(name, kind, at, input, { archives: options.archives, hosts: options.hosts, following: beside(side), note }, onStatus),
    hostTask: async (name, kind, host, input, side) => {
      const { evenWhenStopped } = side;
      const patience = evenWhenStopped === true ? { stop: side.stop, hostLostMs: timing.stopWithinMs } : {};
      return await followTask(name, kind, host, async () => await Promise.resolve(input), { ...beside(side), ...patience });
    },
    dropTask: async (name) => await catalog.sessions.dropWork(session, name),
  };
}
