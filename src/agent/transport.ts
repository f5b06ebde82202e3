/**
 * The transport service: answers the server's orders on this host and runs its tasks.
 *
 * Quick orders are answered here; everything that touches a database's files or may take long is a task in a mover.
 */
import { hostname } from 'node:os';
import { systemClock } from '../base/clock.ts';
import { describe } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import { dataAlpn } from '../contract/data-channel.ts';
import type { OrderHandlers } from '../contract/link/answerer.ts';
import { contractVersion } from '../contract/orders.ts';
import { dropClonesWhereTight } from '../mongo/copy/leftovers.ts';
import { removeStaleMongods } from '../mongo/mongod-marker.ts';
import { removeStaleMounts } from '../mount/stale.ts';
import { createRepository, makeArchive, openRepository } from '../repository/repository.ts';
import { openArchiveHere, openStorage } from './archive-access.ts';
import { discover } from './discover.ts';
import { findings } from './findings.ts';
import type { Programs } from './task-context.ts';
import { copiesIn, openTaskRunner, type TaskRunner } from './task-runner.ts';
import { windowOf } from './window.ts';

const minuteMs = 60_000;

export type Transport = {
  readonly handlers: OrderHandlers;
  /** Connections of data channels that came to the port of orders. */
  readonly dataConnections: { readonly protocol: string; readonly onConnection: TaskRunner['handOver'] };
  close(): Promise<void>;
};

export async function openTransport(options: { workDirectory: string; programs: Programs; identityFile?: string; version: string; log: Log }): Promise<Transport> {
  const { workDirectory, log } = options;
  const cleanUp = async (directory: string): Promise<void> => {
    await removeStaleMongods(directory, log);
    await removeStaleMounts(directory, log);
  };
  const runner = await openTaskRunner({ workDirectory, programs: options.programs, identityFile: options.identityFile, log, cleanUp });
  const copies = copiesIn(workDirectory);
  const tight = setInterval(() => {
    dropClonesWhereTight(copies, log).catch((error: unknown) => log.warn('kept clones could not be looked at', { why: describe(error) }));
  }, minuteMs);
  const handlers: OrderHandlers = {
    'host.describe': async () => ({
      version: options.version,
      contract: contractVersion,
      hostname: hostname(),
      platform: `${process.platform}-${process.arch}`,
      timeMs: systemClock.now(),
      findings: await findings(workDirectory),
    }),
    'set.discover': async ({ target }) => await discover(target, copies),
    'repository.open': async ({ location, passphrase, create }) => {
      const storage = await openStorage(location, { create });
      const made = create && (await storage.stat('tidemark.json')) === undefined;
      const { id, key } = made ? await createRepository(storage, passphrase) : await openRepository(storage, passphrase);
      return { repositoryId: id, keyHex: Buffer.from(key).toString('hex'), created: made };
    },
    'archive.open': async ({ location, repositoryKeyHex, setId, setName }) => {
      const { key } = await makeArchive(await openStorage(location), Buffer.from(repositoryKeyHex, 'hex'), setId, setName);
      return { archive: { location, setId, keyHex: Buffer.from(key).toString('hex') } };
    },
    'archive.window': async ({ archive }) => await windowOf(await openArchiveHere(archive), systemClock.now()),
    'point.delete': async ({ archive, point }) => {
      await (await openArchiveHere(archive)).deletePoint(point);
      return {};
    },
    'point.record-proof': async ({ archive, point, proof }) => {
      await (await openArchiveHere(archive)).recordProof(point, proof);
      return {};
    },
    'task.start': async ({ taskId, kind, input }) => {
      await runner.start(taskId, kind, input);
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
      runner.forget(taskId);
      return {};
    },
  };
  const close = async (): Promise<void> => {
    clearInterval(tight);
    await runner.close();
  };
  return { handlers, dataConnections: { protocol: dataAlpn, onConnection: runner.handOver }, close };
}
