/**
 * The transport service: answers the server's orders on this host and runs its tasks.
 *
 * Quick orders are answered here; everything that touches a database's files or may take long is a task in a mover.
 */
import { hostname, uptime } from 'node:os';
import { systemClock } from '../base/clock.ts';
import { describe } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import { dataAlpn } from '../contract/data-channel.ts';
import type { OrderHandlers } from '../contract/link/answerer.ts';
import { awaitIdentity } from '../contract/link/identity-file.ts';
import type { LinkIdentity } from '../contract/link/trust.ts';
import { contractVersion } from '../contract/orders.ts';
import { platformHere } from '../contract/packages.ts';
import type { TaskKind } from '../contract/tasks.ts';
import { dropClonesWhereTight, dropDeadClones } from '../mongo/copy/leftovers.ts';
import { removeStaleMongods } from '../mongo/mongod-marker.ts';
import { removeStaleMounts } from '../mount/stale.ts';
import { holdersOf } from '../repository/holders.ts';
import { keepConfiguration } from '../repository/configurations.ts';
import { raiseImmutable } from '../repository/immutable.ts';
import { planMerge, usualMergeLimits } from '../repository/oplog-merge-plan.ts';
import { listOnce } from '../repository/oplog-reader.ts';
import { planTrim } from '../repository/oplog-trim.ts';
import { listArchives, makeArchive } from '../repository/repository.ts';
import { readWardenAlarms } from '../repository/storage/warden-line.ts';
import { withArchiveHere, withStorage } from './archive-access.ts';
import { discover } from './discover.ts';
import { openOrMake } from './open-repository.ts';
import { lookAtSet } from './set-look.ts';
import { findings } from './findings.ts';
import { lookAround } from './look-around.ts';
import { beingUpdated } from './failures.ts';
import type { KnownServers } from './known-servers.ts';
import { undoLocksOf } from './left-locks.ts';
import { neededIn } from './needed-oplog.ts';
import { lookAtOwnNames } from './own-names.ts';
import { demandTrusted, hooksDirectory } from './hook-program.ts';
import { listenForProbes } from './port-listener.ts';
import { probePorts } from './port-probe.ts';
import type { Programs } from './task-context.ts';
import { takeBackUnfinished } from './restore-journal.ts';
import { copiesIn, keptIn, openTaskRunner, type TaskRunner } from './task-runner.ts';
import { windowOf } from './window.ts';

const minuteMs = 60_000;

/** What follows an oplog goes on until it is stopped, and the server starts it again when the service is back. */
const isEndless = (kind: TaskKind, input: unknown): boolean => kind === 'oplog' || ((kind === 'serve-archive' || kind === 'relay-channels') && (input as { isEndless?: unknown }).isEndless === true);

export type Transport = {
  readonly handlers: OrderHandlers;
  /** Connections of data channels that came to the port of orders. */
  readonly dataConnections: { readonly protocol: string; readonly onConnection: TaskRunner['handOver'] };
  /** Running tasks that end by themselves. */
  tasks(): { taskId: string; kind: TaskKind }[];
  /** No new task is taken while it is on. */
  drain(on: boolean): void;
  close(): Promise<void>;
};

export async function openTransport(options: { workDirectory: string; programs: Programs; identityFile?: string; dataPorts?: { from: number; to: number }; version: string; log: Log; /** An open file for movers' log lines. */ output?: number; onServers?: KnownServers['learn'] }): Promise<Transport> {
  const { workDirectory, log } = options;
  const cleanUp = async (directory: string): Promise<void> => {
    await removeStaleMongods(directory, log);
    await removeStaleMounts(directory, log);
  };
  const runner = await openTaskRunner({ workDirectory, programs: options.programs, identityFile: options.identityFile, log, output: options.output, cleanUp, keepMover: true });
  await takeBackUnfinished(keptIn(workDirectory), log);
  const copies = copiesIn(workDirectory);
  let draining = false;
  const endless = new Set<string>();
  for (const sentence of await dropDeadClones(copies)) log.warn(sentence);
  const tight = setInterval(() => {
    dropClonesWhereTight(copies, log).catch((error: unknown) => log.warn('kept clones could not be looked at', { why: describe(error) }));
  }, minuteMs);
  /** As it is now: it is renewed while the service runs. */
  const ownIdentity = async (): Promise<LinkIdentity> => await awaitIdentity(options.identityFile ?? '', 5_000);
  const handlers: OrderHandlers = {
    'host.describe': async () => ({
      version: options.version,
      contract: contractVersion,
      hostname: hostname(),
      platform: platformHere,
      timeMs: systemClock.now(),
      findings: await findings(workDirectory),
      dataPorts: options.dataPorts,
    }),
    'host.servers': async ({ servers }) => {
      await options.onServers?.(servers);
      return {};
    },
    'warden.alarms': async () => ({ alarms: [...(await readWardenAlarms(uptime() * 1000))] }),
    'hook.judge': async ({ program }) => {
      await demandTrusted(hooksDirectory, program);
      return {};
    },
    'host.look': async () => ({ look: await lookAround() }),
    'set.look': async ({ target }) => await lookAtSet(target),
    'set.discover': async ({ target }) => await discover(target, copies),
    'set.undo-leftovers': async ({ target }) => ({ undone: await undoLocksOf(target, copies, log) }),
    'repository.open': openOrMake,
    'repository.try': async (place) => await withStorage(place, { isNew: true }, async () => ({})),
    'repository.raise': async ({ days, ...place }) =>
      await withStorage(place, {}, async (storage) => {
        await raiseImmutable(storage, days);
        return {};
      }),
    'archive.open': async ({ location, secret, repositoryKeyHex, setId, setName }) =>
      await withStorage({ location, secret }, { create: false }, async (storage) => {
        const { key } = await makeArchive(storage, Buffer.from(repositoryKeyHex, 'hex'), setId, setName);
        return { keyHex: Buffer.from(key).toString('hex') };
      }),
    'repository.archives': async ({ location, secret, repositoryKeyHex }) =>
      await withStorage({ location, secret }, { create: false }, async (storage) => {
        const archives = await listArchives(storage, Buffer.from(repositoryKeyHex, 'hex'));
        return { archives: archives.map(({ setId, setName, key }) => ({ setId, setName, keyHex: Buffer.from(key).toString('hex') })) };
      }),
    'archive.holders': async ({ archive }) => await withArchiveHere(archive, async (opened) => ({ holders: await holdersOf(opened.parts, systemClock) })),
    'repository.keep-configuration': async ({ location, secret, name, bytes, keep }) =>
      await withStorage({ location, secret }, { create: false }, async (storage) => ({ newest: await keepConfiguration(storage, name, Buffer.from(bytes, 'base64'), keep) })),
    'archive.window': async ({ archive }) => await withArchiveHere(archive, async (opened) => await windowOf(opened, systemClock.now())),
    'archive.oplog-plan': async ({ archive, ...wish }) =>
      await withArchiveHere(archive, async (opened) => {
        const { isNeeded, says } = await neededIn(opened, wish, systemClock.now());
        const list = listOnce(opened.parts);
        const { goes, full, retainedBytes, retainedUntilMs } = await planTrim(opened.parts, isNeeded, list);
        const merges = (await planMerge(opened.parts, usualMergeLimits, list)).reduce((sum, { groups, full: others }) => sum + groups.flat().length + others.length, 0);
        return { goes: [...goes], retainedBytes, retainedUntilMs, says, full: full.length, merges };
      }),
    'point.delete': async ({ archive, point }) => {
      await withArchiveHere(archive, async (opened) => await opened.deletePoint(point));
      return {};
    },
    'point.record-proof': async ({ archive, point, proof }) => {
      await withArchiveHere(archive, async (opened) => await opened.recordProof(point, proof));
      return {};
    },
    'ports.probe': async ({ targets, eachMs }, { signal }) => ({ results: await probePorts(targets, { identity: await ownIdentity(), eachMs, signal }) }),
    'ports.listen': async (wanted, { signal, emit }) => {
      await listenForProbes(wanted, await ownIdentity(), async (ports) => await emit({ ports }), signal);
      return {};
    },
    'names.look': async (wanted, { signal }) => await lookAtOwnNames(wanted, signal),
    'task.start': async ({ taskId, kind, input, session }) => {
      if (draining && !runner.list().some((task) => task.taskId === taskId)) throw beingUpdated({});
      await runner.start(taskId, kind, input, session);
      if (isEndless(kind, input)) endless.add(taskId);
      return {};
    },
    'task.watch': async ({ taskId, after }, { signal, emit }) =>
      await runner.watch(taskId, after, async (number, event) => await emit({ number, event }), signal),
    'task.stop': async ({ taskId }) => {
      runner.stop(taskId);
      return {};
    },
    'task.list': async () => ({ tasks: runner.list() }),
    'task.forget': async ({ taskId }) => {
      endless.delete(taskId);
      runner.forget(taskId);
      return {};
    },
  };
  const close = async (): Promise<void> => {
    clearInterval(tight);
    await runner.close();
  };
  return {
    handlers,
    dataConnections: { protocol: dataAlpn, onConnection: runner.handOver },
    close,
    tasks: () => runner.list().filter(({ taskId, state }) => state.state === 'running' && !endless.has(taskId)),
    drain: (on) => void (draining = on),
  };
}
