/** Two hosts without a server: the transport of a MongoDB node and that of a repository, which meet over data channels only. */
import { randomBytes } from 'node:crypto';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { withDeadline } from '../../src/base/deadline.ts';
import { fromWire } from '../../src/base/failure.ts';
import { randomId } from '../../src/base/ids.ts';
import { openLog } from '../../src/base/log.ts';
import { openTransport, type Transport } from '../../src/agent/transport.ts';
import { openOrderServer, type LinkListener } from '../../src/contract/link/listen.ts';
import type { LinkIdentity } from '../../src/contract/link/trust.ts';
import type { TaskEvent, TaskInput, TaskKind, TaskOutput } from '../../src/contract/tasks.ts';
import type { ArchiveAccess, HeldLimit, RepositoryLocation, Window } from '../../src/contract/values.ts';
import { programs } from '../../src/main/installation.ts';
import { makeArchive } from '../../src/repository/repository.ts';
import { openStorage } from '../../src/repository/storage/open-storage.ts';
import { openHosts } from './data-session.ts';
import { freeRange } from './free-port.ts';

export type RunningTask<K extends TaskKind> = {
  /** Resolves with the value of a status when the task first says it. */
  status(key: string): Promise<unknown>;
  readonly output: Promise<TaskOutput<K>>;
  readonly lines: string[];
  stop(): Promise<void>;
};

export type TwoHosts = {
  /** Where the repository's transport takes orders; data channels too, when they share its port. */
  readonly orders: LinkListener;
  /** What the node shows, and what the server would. */
  readonly identity: LinkIdentity;
  readonly server: LinkIdentity;
  readonly store: string;
  start<K extends TaskKind>(host: 'node' | 'repository', kind: K, input: TaskInput<K>): Promise<RunningTask<K>>;
  /** The archive of a set, made when it is not there, as the repository's own host opens it. */
  archive(setId: string): Promise<ArchiveAccess>;
  /** What the repository's host says of an archive of its own. */
  window(access: ArchiveAccess): Promise<Window>;
  /** Serves the archive to the node while `work` runs; answers what went over the channels too. */
  served<T>(setId: string, right: 'read' | 'append', work: (access: ArchiveAccess) => Promise<T>, how?: { limits?: HeldLimit[]; /** Those of the host that serves. */ farLimits?: HeldLimit[]; singlePort?: boolean }): Promise<{ value: T; receivedBytes: number; sentBytes: number }>;
};

const taskMs = 5 * 60_000;
const repositoryKey = Buffer.alloc(32, 7);
const never = new AbortController().signal;
const call = { peer: { part: 'server', name: 'server', serial: '', validToMs: 0 } };

/** `elsewhere`: the repository is there in place of a folder of its host. */
export async function openTwoHosts(t: TestContext, say: (line: string) => void = () => {}, elsewhere?: { location: RepositoryLocation; secret: string }): Promise<TwoHosts> {
  const hosts = await openHosts(t);
  const store = join(hosts.directory, 'store');
  await mkdir(store);
  const place = elsewhere ?? { location: { kind: 'directory' as const, path: store }, secret: null };
  const open = async (name: string, identity: LinkIdentity): Promise<Transport> => {
    const identityFile = join(hosts.directory, `${name}.json`);
    const { keyPem, certificatePem, caPem } = identity;
    await writeFile(identityFile, JSON.stringify({ keyPem, certificatePem, caPem }), { mode: 0o600 });
    const transport = await openTransport({ workDirectory: join(hosts.directory, name), programs, identityFile, version: '0', log: openLog(say) });
    t.after(async () => await transport.close());
    return transport;
  };
  const transports = { node: await open('node1', hosts.node), repository: await open('store1', hosts.repository) };

  const orders = await openOrderServer({
    host: '127.0.0.1',
    port: 0,
    identity: hosts.repository,
    handlers: transports.repository.handlers,
    other: transports.repository.dataConnections,
    version: '0',
    log: openLog(say),
  });
  t.after(async () => await orders.close());

  const start: TwoHosts['start'] = async <K extends TaskKind>(host: 'node' | 'repository', kind: K, input: TaskInput<K>): Promise<RunningTask<K>> => {
    const { handlers } = transports[host];
    const taskId = randomId();
    const seen = new Map<string, PromiseWithResolvers<unknown>>();
    const slot = (key: string): PromiseWithResolvers<unknown> => {
      const known = seen.get(key) ?? Promise.withResolvers<unknown>();
      known.promise.catch(() => {});
      seen.set(key, known);
      return known;
    };
    const lines: string[] = [];
    const hear = async ({ event }: { event: TaskEvent }): Promise<void> => {
      if (event.kind === 'status') slot(event.key).resolve(event.value);
      if (event.kind === 'step') lines.push(event.step);
      if (event.kind === 'line') lines.push(event.text);
    };
    await handlers['task.start']({ taskId, kind, input }, { ...call, signal: never, emit: async () => {} });
    const output = withDeadline(`task ${kind}`, taskMs, async (signal) => {
      const state = await handlers['task.watch']({ taskId, after: 0 }, { ...call, signal, emit: hear });
      if (state.state === 'failed') throw fromWire(state.failure);
      return (state as { output: unknown }).output as TaskOutput<K>;
    });
    output.catch((error: Error) => {
      for (const one of seen.values()) one.reject(error);
    });
    return {
      lines,
      output,
      status: async (key) => await Promise.race([withDeadline(`status ${key} of task ${kind}`, taskMs, async () => await slot(key).promise), output.then(() => Promise.reject(new Error(`task ${kind} ended without status ${key}`)))]),
      stop: async () => void (await handlers['task.stop']({ taskId }, { ...call, signal: never, emit: async () => {} })),
    };
  };

  const archive: TwoHosts['archive'] = async (setId) => {
    const storage = await openStorage(place);
    const { key } = await makeArchive(storage, repositoryKey, setId, 'rs0');
    await storage.close?.();
    return { ...place, setId, keyHex: Buffer.from(key).toString('hex') };
  };

  return {
    orders,
    identity: hosts.node,
    server: await hosts.authority.issue({ part: 'server', name: 'server', hosts: [] }),
    store,
    start,
    archive,
    window: async (access) => await transports.repository.handlers['archive.window']({ archive: access }, { ...call, signal: never, emit: async () => {} }),
    async served(setId, right, work, { limits = [], farLimits = [], singlePort = false } = {}) {
      const ticket = randomBytes(32).toString('hex');
      const local = await archive(setId);
      const serving = await start('repository', 'serve-archive', {
        ...place,
        setId,
        right,
        peer: 'node1',
        isEndless: false,
        ticket,
        listen: '127.0.0.1',
        range: await freeRange(20),
        channels: 4,
        singlePort: singlePort ? orders.port : null,
        portWaitSeconds: 30,
        limits: farLimits,
      });
      const { ports } = (await serving.status('ready')) as { ports: number[] };
      const access: ArchiveAccess = { ...local, secret: null, location: { kind: 'channel', host: '127.0.0.1', name: 'store1', ports, ticket, limits } };
      try {
        const value = await work(access);
        await serving.stop();
        const { receivedBytes, sentBytes } = await serving.output;
        return { value, receivedBytes, sentBytes };
      } finally {
        await serving.stop();
        await serving.output.catch(() => {});
      }
    },
  };
}
