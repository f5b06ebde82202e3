/**
 * A task and the archive it works with, wherever the two are.
 *
 *   same host     the task gets the archive's path
 *   other host    data session (task serve-archive) on the repository's host ──ready {ports}──▶ the task, on its own host
 *                                        └────────── stopped when the task has ended ◀──────────┘
 *
 * Both are tasks of the session and survive a restart of the server; the ticket is made once, as a note. When the data
 * session ends first, the task is stopped and fails with the reason.
 */
import { isIP } from 'node:net';
import { randomBytes } from 'node:crypto';
import * as z from 'zod';
import { stopped } from '../base/failures.ts';
import type { taskKinds, TaskKind, TaskOutput } from '../contract/tasks.ts';
import type { ArchiveAccess } from '../contract/values.ts';
import { limitsOf, type Archives } from './archives.ts';
import { dataSessionEnded } from './failures.ts';
import type { Hosts } from './hosts.ts';
import { followTask, type OnStatus, type TaskFollowing } from './session-task.ts';

/** The archive, and the host whose task needs it. `append` may add restore points and oplog, and delete nothing. */
export type ArchiveReach = { readonly host: string; readonly repository: string; readonly setId: string; readonly right: 'read' | 'append' };

type Input<K extends TaskKind> = z.input<(typeof taskKinds)[K]['input']>;
/** Kinds of tasks that work with an archive. */
export type ArchiveTaskKind = { [K in TaskKind]: 'archive' extends keyof Input<K> ? K : never }[TaskKind];
/** Kinds that work on their own host alone. */
export type HostTaskKind = Exclude<TaskKind, ArchiveTaskKind | 'serve-archive'>;
export type HostTaskInput<K extends HostTaskKind> = Input<K>;
export type WithoutArchive<K extends ArchiveTaskKind> = Omit<Input<K>, 'archive'>;

type Noting = <T>(name: string, make: () => T) => Promise<T>;
type Around = { readonly archives: Archives; readonly hosts: Hosts; readonly following: TaskFollowing; readonly note: Noting };

const ready = z.object({ ports: z.array(z.int()).min(1) });

export async function runArchiveTask<K extends ArchiveTaskKind>(
  name: string,
  kind: K,
  at: ArchiveReach,
  input: () => Promise<WithoutArchive<K>>,
  around: Around,
  onStatus?: OnStatus,
): Promise<TaskOutput<K>> {
  const { archives, following } = around;
  const withArchive = async (archive: ArchiveAccess): Promise<Input<K>> => ({ ...(await input()), archive }) as unknown as Input<K>;
  const { host } = await archives.find(at.repository);
  const isNear = host === at.host || (await following.catalog.sessions.task(following.session, name))?.outcome != null;
  if (isNear) return await followTask(name, kind, at.host, async () => await withArchive(await archives.access(at.repository, at.setId)), following, onStatus);
  const session = await openDataSession(name, kind, host, at, around);
  // Without its archive the task would only wait until its channels are given up.
  const work = { ...following, stop: AbortSignal.any([following.stop, session.lost]) };
  try {
    return await followTask(name, kind, at.host, async () => await withArchive(await session.access()), work, onStatus);
  } catch (error) {
    throw session.lost.aborted && !following.stop.aborted ? session.lost.reason : error;
  } finally {
    await session.end();
  }
}

export const dataTaskOf = (name: string): string => `${name}: data`;

type DataSession = {
  access(): Promise<ArchiveAccess>;
  /** Aborted when the session ended before the work did. */
  readonly lost: AbortSignal;
  end(): Promise<void>;
};

async function openDataSession(name: string, kind: TaskKind, host: string, at: ArchiveReach, { archives, hosts, following, note }: Around): Promise<DataSession> {
  const server = await hosts.find(host);
  const ticket = await note(`${name}: ticket`, () => randomBytes(32).toString('hex'));
  const near = await archives.access(at.repository, at.setId);
  const limits = limitsOf(await archives.find(at.repository));
  if (near.location.kind !== 'directory') throw new Error('an archive of the catalog has a directory');
  const { path } = near.location;
  const ends = new AbortController();
  const lost = new AbortController();
  const ports = Promise.withResolvers<number[]>();
  ports.promise.catch(() => {});
  const serving = followTask(
    dataTaskOf(name),
    'serve-archive',
    host,
    async () => ({
      directory: path,
      setId: at.setId,
      right: at.right,
      peer: at.host,
      isEndless: kind === 'oplog',
      ticket,
      // A name may lead to a loopback address on the host itself.
      listen: isIP(server.address) === 0 ? '0.0.0.0' : server.address,
      range: { from: server.data_from, to: server.data_to },
      limits,
    }),
    { ...following, stop: ends.signal },
    (key, value) => {
      if (key === 'ready') ports.resolve(ready.parse(value).ports);
    },
  );
  const lose = (why: unknown): void => {
    ports.reject(why);
    if (!ends.signal.aborted && !following.closing.aborted) lost.abort(why);
  };
  serving.then(
    () => lose(dataSessionEnded({ host: server.name })),
    (error: unknown) => lose(error),
  );
  return {
    access: async () => ({ ...near, location: { kind: 'channel', host: server.address, name: server.id, ports: await ports.promise, ticket, limits } }),
    lost: lost.signal,
    async end() {
      ends.abort(stopped({ what: 'the data session' }));
      await serving.catch(() => {
        // The work has its own outcome, and what was left of the session ends by itself.
      });
    },
  };
}
