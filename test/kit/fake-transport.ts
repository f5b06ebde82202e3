/** A transport service without databases: it answers orders from memory and its tasks are scripts of the test. */
import { dirname } from 'node:path';
import { dialServers } from '../../src/agent/dial-in.ts';
import { openKnownServers } from '../../src/agent/known-servers.ts';
import { verdictOf } from '../../src/domain/verdict.ts';
import { awaitIdentity } from '../../src/contract/link/identity-file.ts';
import type { OrderHandlers } from '../../src/contract/link/answerer.ts';
import { openOrderServer, type LinkListener } from '../../src/contract/link/listen.ts';
import { contractVersion, type OrderOutput } from '../../src/contract/orders.ts';
import type { OwnName, ProbeResult, ProbeTarget } from '../../src/contract/ports.ts';
import type { TaskEvent, TaskInput, TaskKind, TaskOutput, TaskState } from '../../src/contract/tasks.ts';
import type { HostLook } from '../../src/contract/host-look.ts';
import type { Discovered, MongoTarget, OplogGoing, OplogStretch, PointSummary, ServerAddress, SetLook, Window } from '../../src/contract/values.ts';
import { compareTimes, type Optime } from '../../src/base/cluster-time.ts';
import { Failure, toWire } from '../../src/base/failure.ts';
import { systemClock } from '../../src/base/clock.ts';
import { hostLabel } from '../../src/base/host-label.ts';
import { stopped } from '../../src/base/failures.ts';
import { randomId } from '../../src/base/ids.ts';
import { silentLog } from '../../src/base/log.ts';
import { machineLook, setId, usualSet, wireLookOf } from './fake-set.ts';

export type TaskVoice = { readonly taskId: string; readonly signal: AbortSignal; emit(event: TaskEvent): void };
export type Scripts = { [K in TaskKind]: (input: TaskInput<K>, voice: TaskVoice) => Promise<TaskOutput<K>> };

type Task = { kind: TaskKind; events: TaskEvent[]; state: TaskState; ends: AbortController; wake: PromiseWithResolvers<void> };

export type FakeTransport = {
  readonly scripts: Scripts;
  /** Every task that was ever begun, in order: what ran twice would be here twice. */
  readonly begun: { kind: TaskKind; taskId: string; input: unknown }[];
  readonly tasks: ReadonlyMap<string, { kind: TaskKind; state: TaskState }>;
  /** Instead of `discovered`. */
  onDiscover?: () => Promise<Discovered>;
  discovered: Discovered;
  /** What a look over the wire tells; may throw. */
  lookAtSet: (target: MongoTarget) => SetLook | Promise<SetLook>;
  look: HostLook;
  /** What a warden on its host would tell. */
  wardenAlarms: OrderOutput<'warden.alarms'>['alarms'];
  readonly points: PointSummary[];
  readonly damaged: Window['damaged'];
  readonly spans: Window['spans'];
  readonly barriers: Window['barriers'];
  /** What of the oplog is not needed any more, and what of that is cut and not emptied yet. */
  readonly oplogGoes: OplogGoing['goes'];
  readonly oplogCut: OplogStretch[];
  /** Slices that are to be merged, or that stand inside a merged one. */
  oplogParts: number;
  readonly archives: { setId: string; setName: string; keyHex: string }[];
  readonly holders: OrderOutput<'archive.holders'>['holders'];
  /** Sealed configurations of servers, as they came. */
  readonly configurations: { name: string; bytes: string }[];
  readonly proofs: { point: string; ok: boolean; says: string }[];
  /** The newest archived entry, as the oplog script tells it. */
  through: Optime;
  /** What a try of a port meets. */
  probe: (target: ProbeTarget) => ProbeResult | Promise<ProbeResult>;
  /** A program that is not in its directory of hooks. */
  lacksHook?: string;
  /** What the host's own resolver makes of a name. */
  ownName: (name: string) => OwnName;
  /** Orders that were answered, by name. */
  readonly answered: string[];
  /** Called when a start is heard, before it is acknowledged; may throw. */
  onStart?: (taskId: string) => void;
  /** Ends every link, as a cut cable does; tasks go on. */
  cut(): Promise<void>;
  /** Listens again after `cut`. */
  mend(): Promise<void>;
  /** As a server told them last. */
  servers: readonly ServerAddress[];
  /** A restart: every task is gone. */
  restart(): Promise<void>;
  close(): Promise<void>;
};

const keyHex = 'ab'.repeat(32);

export const failWith = (code: string, message = code): Failure => new Failure({ code, message, hint: 'a hint', retry: 'later', details: {} });

/** With `dial` it opens the link itself, to where the server takes hosts that dial in. */
export async function openFakeTransport(options: { identityFile: string; port: number; host?: string; version?: string; dial?: { host: string; port: number } }): Promise<FakeTransport> {
  const tasks = new Map<string, Task>();
  const fake: FakeTransport = {
    scripts: usualScripts(() => fake),
    begun: [],
    tasks,
    discovered: usualSet(),
    lookAtSet: () => wireLookOf(fake.discovered),
    look: machineLook('fake'),
    wardenAlarms: [],
    points: [],
    damaged: [],
    spans: [{ chain: 'c1', after: { t: 1000, i: 1 }, through: { t: 1000, i: 1 } }],
    barriers: [],
    oplogGoes: [],
    oplogCut: [],
    oplogParts: 0,
    archives: [{ setId, setName: 'rs0', keyHex }],
    holders: [],
    configurations: [],
    proofs: [],
    through: { t: 2000, i: 1, term: 1 },
    probe: ({ host }) => ({ outcome: 'good', says: 'as wanted', address: host, ms: 1 }),
    ownName: (name) => ({ name, addresses: [], says: 'no such name', ms: 1 }),
    answered: [],
    servers: [],
    cut: async () => await listener.close(),
    mend: async () => void (listener = await listen()),
    async restart() {
      await listener.close();
      for (const task of tasks.values()) task.ends.abort(stopped({ what: 'the task' }));
      tasks.clear();
      listener = await listen();
    },
    async close() {
      for (const task of tasks.values()) task.ends.abort(stopped({ what: 'the task' }));
      await listener.close();
    },
  };
  const handlers = counted(handlersOf(fake, tasks, new Set()), fake.answered);
  const listen = async (): Promise<Pick<LinkListener, 'close'>> => {
    const identity = await awaitIdentity(options.identityFile, 30_000);
    if (options.dial !== undefined) {
      const ends = new AbortController();
      const servers = openKnownServers({ workDirectory: dirname(options.identityFile), known: { server: '127.0.0.1:1', dial: hostLabel(options.dial), servers: [], worked: null }, given: {} });
      const told: OrderHandlers['host.servers'] = async ({ servers: all }) => {
        fake.servers = all;
        await servers.learn(all);
        return {};
      };
      const dialling = dialServers(servers, { identity: () => identity, handlers: { ...handlers, 'host.servers': told }, version: 'fake', clock: systemClock, log: silentLog, signal: ends.signal });
      return {
        close: async () => {
          ends.abort(stopped({ what: 'the host' }));
          await dialling;
        },
      };
    }
    return await openOrderServer({ host: options.host ?? '127.0.0.1', port: options.port, identity, handlers, version: options.version ?? 'fake', log: silentLog });
  };
  let listener = await listen();
  return fake;
}

function counted(handlers: OrderHandlers, answered: string[]): OrderHandlers {
  const entries = Object.entries(handlers).map(([name, handler]) => [
    name,
    async (input: never, call: never) => {
      answered.push(name);
      return await (handler as (input: never, call: never) => Promise<unknown>)(input, call);
    },
  ]);
  return Object.fromEntries(entries) as OrderHandlers;
}

function handlersOf(fake: FakeTransport, tasks: Map<string, Task>, forgotten: Set<string>): OrderHandlers {
  const find = (taskId: string): Task => {
    const task = tasks.get(taskId);
    if (task === undefined) throw failWith('agent.task-unknown', `no task ${taskId}`);
    return task;
  };
  return {
    'host.describe': async () => ({ version: 'fake', contract: contractVersion, hostname: 'fake', platform: 'linux-x64', timeMs: systemClock.now(), findings: [{ what: 'mongod', ok: true, says: '6.0.5' }] }),
    'host.servers': async ({ servers }) => {
      fake.servers = servers;
      return {};
    },
    'host.look': async () => ({ look: fake.look }),
    'warden.alarms': async () => ({ alarms: fake.wardenAlarms }),
    'set.look': async ({ target }) => await fake.lookAtSet(target),
    'set.discover': async () => (await fake.onDiscover?.()) ?? fake.discovered,
    'set.undo-leftovers': async () => ({ undone: [] }),
    'repository.open': async ({ location, create }) => ({ repositoryId: `repo-${(location.kind === 'directory' ? location.path : JSON.stringify(location)).length}`, keyHex, created: create, immutable: null }),
    'repository.try': async () => ({}),
    'repository.raise': async () => ({}),
    'archive.open': async () => ({ keyHex }),
    'archive.window': async () => windowOf(fake),
    'repository.keep-configuration': async ({ name, bytes }) => {
      fake.configurations.push({ name, bytes });
      return { newest: fake.configurations.map((copy) => copy.name).sort().at(-1)! };
    },
    'repository.archives': async () => ({ archives: [...fake.archives] }),
    'archive.holders': async () => ({ holders: [...fake.holders] }),
    'archive.oplog-plan': async ({ rule }) => ({ goes: rule === null ? [] : [...fake.oplogGoes], retainedBytes: 0, retainedUntilMs: null, full: fake.oplogCut.length, merges: fake.oplogParts, says: rule === null ? 'no rule says how long the oplog is kept' : null }),
    'point.delete': async ({ point }) => {
      fake.points.splice(fake.points.findIndex(({ id }) => id === point), 1);
      return {};
    },
    'point.record-proof': async ({ point, proof }) => {
      fake.proofs.push({ point, ok: proof.ok, says: proof.says });
      const at = fake.points.findIndex(({ id }) => id === point);
      if (at >= 0) fake.points[at] = { ...fake.points[at]!, proof: verdictOf([fake.points[at]!.proof ?? proof, proof]) };
      return {};
    },
    'ports.probe': async ({ targets }) => ({ results: await Promise.all(targets.map(async (target) => await fake.probe(target))) }),
    'ports.listen': async ({ range }, { signal, emit }) => {
      await emit({ ports: [range.from, range.to] });
      await new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
      return {};
    },
    'hook.judge': async ({ program }) => {
      if (fake.lacksHook !== program) return {};
      throw failWith('agent.hook-not-trusted', `the hook ${program} is not run: it does not exist`);
    },
    'names.look': async ({ names }) => ({ addresses: [], resolver: { servers: [], search: [], timeoutSeconds: 5, attempts: 2 }, found: names.map((name) => fake.ownName(name)) }),
    'task.start': async ({ taskId, kind, input }) => {
      if (forgotten.has(taskId)) throw failWith('agent.task-unknown', `task ${taskId} was forgotten`);
      if (!tasks.has(taskId)) begin(fake, tasks, taskId, kind, input);
      fake.onStart?.(taskId);
      return {};
    },
    'task.watch': async ({ taskId, after }, { signal, emit }) => {
      const task = find(taskId);
      for (let next = after; ; ) {
        while (next < task.events.length) await emit({ number: next + 1, event: task.events[next++]! });
        if (task.state.state !== 'running') return task.state;
        await Promise.race([task.wake.promise, new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true }))]);
      }
    },
    'task.stop': async ({ taskId }) => {
      find(taskId).ends.abort(stopped({ what: 'the task' }));
      return {};
    },
    'task.list': async () => ({ tasks: [...tasks].map(([taskId, { kind, state }]) => ({ taskId, kind, state })) }),
    'task.forget': async ({ taskId }) => {
      if (find(taskId).state.state === 'running') return {};
      tasks.delete(taskId);
      forgotten.add(taskId);
      return {};
    },
  };
}

function begin(fake: FakeTransport, tasks: Map<string, Task>, taskId: string, kind: TaskKind, input: unknown): void {
  const task: Task = { kind, events: [], state: { state: 'running' }, ends: new AbortController(), wake: Promise.withResolvers() };
  tasks.set(taskId, task);
  fake.begun.push({ kind, taskId, input });
  const stir = (): void => {
    task.wake.resolve();
    task.wake = Promise.withResolvers();
  };
  const voice: TaskVoice = {
    taskId,
    signal: task.ends.signal,
    emit: (event) => {
      task.events.push(event);
      stir();
    },
  };
  void (fake.scripts[kind] as (input: unknown, voice: TaskVoice) => Promise<unknown>)(input, voice).then(
    (output) => {
      task.state = { state: 'finished', output };
      stir();
    },
    (error: unknown) => {
      task.state = { state: 'failed', failure: toWire(error) };
      stir();
    },
  );
}

function windowOf(fake: FakeTransport): Window {
  const spans = fake.spans.map((span, at) => (at === fake.spans.length - 1 ? { ...span, through: { t: fake.through.t, i: fake.through.i } } : span));
  return {
    from: fake.points[0]?.checkpoint ?? null,
    to: fake.points.length === 0 ? null : { t: fake.through.t, i: fake.through.i },
    lossIfDisasterNowSeconds: 1,
    spans,
    gaps: [],
    barriers: [...fake.barriers],
    points: [...fake.points].sort((a, b) => compareTimes(a.checkpoint, b.checkpoint)),
    damaged: [...fake.damaged],
  };
}

/** Resolves when the task is asked to stop. */
export async function untilStopped(voice: TaskVoice): Promise<void> {
  if (voice.signal.aborted) return;
  await new Promise<void>((resolve) => voice.signal.addEventListener('abort', () => resolve(), { once: true }));
}

export function say(voice: TaskVoice, text: string, level: 'info' | 'warning' | 'error' = 'info'): void {
  voice.emit({ kind: 'line', atMs: systemClock.now(), level, text });
}

export function makePoint(fake: FakeTransport, at = fake.through): PointSummary {
  return {
    id: randomId().slice(0, 16),
    setId,
    setName: 'rs0',
    createdAtMs: systemClock.now(),
    checkpoint: { t: at.t - 5, i: 1 },
    top: { ...at },
    method: 'clone',
    copied: 'full',
    source: '127.0.0.1:27018',
    mongoVersion: '6.0.5',
    featureCompatibilityVersion: '6.0',
    chain: fake.spans.findLast(({ after }) => compareTimes(after, at) < 0)?.chain ?? null,
    bytes: { processed: 1000, read: 800, transferred: 300, stored: 200 },
    files: 12,
    proof: null,
    copiedFrom: null,
  };
}

function usualScripts(fakeOf: () => FakeTransport): Scripts {
  const restored = (at: { t: number; i: number }, apply: boolean) => ({ at, documents: 10, seconds: 1, plan: ['one', 'two'], applied: apply });
  return {
    oplog: async (_input, voice) => {
      while (!voice.signal.aborted) {
        const { through, spans } = fakeOf();
        const { chain, after: since } = spans.at(-1)!;
        voice.emit({ kind: 'status', atMs: systemClock.now(), key: 'chain', value: { chain, since, through, committed: through, node: '127.0.0.1:27018', entriesPerSecond: 1, atMs: systemClock.now() } });
        await systemClock.wait(50, voice.signal).catch(() => {});
      }
      return { through: fakeOf().through };
    },
    backup: async (_input, voice) => {
      const fake = fakeOf();
      voice.emit({ kind: 'step', atMs: systemClock.now(), step: 'copy the files' });
      say(voice, 'method: clone');
      voice.emit({ kind: 'progress', atMs: systemClock.now(), processed: 1000, read: 800, transferred: 300, stored: 200, expected: 1000, bottleneck: 'source read' });
      const point = makePoint(fake);
      fake.points.push(point);
      return { point, lockedMs: 0, seconds: 1.5 };
    },
    prove: async ({ level, at }) => ({ at: at ?? { t: 2000, i: 1 }, level, collections: [{ ns: 'shop.orders', documents: 42, counted: true, validated: true }], dbHash: level === 'full' ? { shop: 'abc' } : null, mount: 'fuse', seconds: 0.5 }),
    publish: async ({ port, at, withUsers, expiresMs }, voice) => {
      voice.emit({ kind: 'status', atMs: systemClock.now(), key: 'ready', value: { port: port ?? 31000, uri: `mongodb://127.0.0.1:${port ?? 31000}/?directConnection=true`, at, mount: 'fuse', withUsers } });
      const expired = systemClock.wait(expiresMs, voice.signal).then(() => 'expired' as const, () => 'stopped' as const);
      return { why: await expired };
    },
    'restore-set': async ({ at, apply }) => ({ ...restored(at, apply), startCommands: [['mongod', '--port', '1']], keptAside: [] }),
    'lay-members': async ({ at, members }) => ({ at, planOfSet: ['one'], plan: members.flatMap(({ directory, isHere }) => (isHere ? [directory] : [])), startCommands: members.flatMap(({ port, isHere }) => (isHere ? [['mongod', '--port', String(port)]] : [])), needsKey: true }),
    'run-hook': async () => ({ ok: true, status: 'exit code 0' }),
    'place-members': async ({ what, members }) => ({ keptAside: what === 'place' ? members.map(({ directory }) => `${directory}.before`) : [] }),
    'start-members': async () => ({}),
    'restore-collections': async ({ at, apply }) => restored(at, apply),
    check: async () => ({ ok: true, points: 1, chunks: 5, packs: 1, readBytes: 100, damage: [], hurtPoints: [], hurtOplog: [] }),
    'test-storage': async () => ({ ok: true, findings: [{ what: 'clock', level: 'good', says: 'as here' }], speeds: [], freeBytes: 1000, clockApartMs: 0 }),
    'tend-oplog': async ({ wish }) => {
      const { oplogGoes, oplogCut } = fakeOf();
      if (wish.what === 'cut') {
        oplogCut.push(...oplogGoes.map(({ chain, after, through }) => ({ chain, after, through })));
        return { what: 'cut', goes: oplogGoes.splice(0), full: [...oplogCut], retainedBytes: 0, retainedUntilMs: null, says: null };
      }
      if (wish.what === 'merge') {
        const slices = fakeOf().oplogParts;
        return { what: 'merge', slices, into: slices === 0 ? 0 : 1, bytes: 500, files: 3 + slices + (slices === 0 ? 0 : 1), full: slices === 0 ? [] : [{ chain: 'c1', after: { t: 950, i: 1 }, through: { t: 990, i: 1 } }], left: 0, held: null, stays: 0 };
      }
      if (wish.what === 'remove-merged') {
        const slices = fakeOf().oplogParts;
        fakeOf().oplogParts = 0;
        return { what: 'remove-merged', slices, freedBytes: 1000, stays: 0 };
      }
      for (const cut of wish.cuts) oplogCut.splice(oplogCut.findIndex(({ through }) => through.t === cut.through.t), 1);
      return { what: 'empty', freedBytes: 33 * wish.cuts.length, slices: 2 * wish.cuts.length, chains: 0 };
    },
    sweep: async () => ({ freedBytes: 77, deletedPacks: 1, rewrittenPacks: 0, keptBytes: 1000, retainedBytes: 0, retainedUntilMs: null }),
    copy: async ({ source, suffix, what, archive }) => {
      const copied = what === 'oplog' ? [] : fakeOf().points.filter(({ copiedFrom }) => copiedFrom === null).map((point) => ({ ...point, id: `${point.id}-${suffix}`, setId: archive.setId, copiedFrom: { repository: source.id, repositoryName: source.name, point: point.id } }));
      return { copied, failed: [], outOfReach: [], waiting: 0, surplus: [], oplogFrom: null, proved: [], oplog: { slices: 2, bytes: 10, through: { t: 2000, i: 1 }, damaged: [] }, bytes: { processed: 1000, read: 10, transferred: 10, stored: 10 }, seconds: 1 };
    },
    repair: async () => ({ ok: true, objects: [], wholeAgain: [], stillHurt: [], hurtOplog: [], storedBytes: 0 }),
    'oplog-find': async () => ({ matches: [{ at: { t: 1990, i: 2, term: 1 }, wallMs: 1, op: 'c', ns: 'shop.$cmd', what: 'drop orders', entry: '{}' }], examined: 10, truncated: false, searchedThrough: { t: fakeOf().through.t, i: fakeOf().through.i } }),
    'serve-archive': async (_input, voice) => {
      voice.emit({ kind: 'status', atMs: systemClock.now(), key: 'ready', value: { ports: [2500, 2501] } });
      if (!voice.signal.aborted) await new Promise((resolve) => voice.signal.addEventListener('abort', resolve, { once: true }));
      return { why: 'stopped' as const, receivedBytes: 0, sentBytes: 0 };
    },
    'relay-channels': async (_input, voice) => {
      voice.emit({ kind: 'status', atMs: systemClock.now(), key: 'ready', value: { ports: [2600, 2601] } });
      if (!voice.signal.aborted) await new Promise((resolve) => voice.signal.addEventListener('abort', resolve, { once: true }));
      return { why: 'stopped' as const, relayedBytes: 0 };
    },
  };
}
