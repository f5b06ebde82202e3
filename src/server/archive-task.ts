/**
 * A task and the archive it works with, wherever the two are.
 *
 *   same host     the task gets the archive's place; so it does wherever each host opens the place by itself
 *   other host    data session (task serve-archive) on the repository's host ──ready {ports}──▶ the task, on its own host
 *                                        └────────── stopped when the task has ended ◀──────────┘
 *   by a gateway  data session ──ready {ports}──▶ task relay-channels on the gateway ──ready {ports}──▶ the task
 *
 * A task that reads a second archive (`from`) is given that one in the same way, by a data session of its own where it is elsewhere.
 *
 * All are tasks of the session and survive a restart of the server; the ticket is made once, as a note, and so is the choice
 * of the gateway. When the data session or the gateway's part of it ends first, the task is stopped and fails with the reason.
 */
import { randomBytes } from 'node:crypto';
import { isIP } from 'node:net';
import * as z from 'zod';
import { stopped } from '../base/failures.ts';
import type { HostRow } from '../catalog/hosts.ts';
import { dataSessionName } from '../contract/data-channel.ts';
import { isOpenedStraight } from '../contract/repository-place.ts';
import type { taskKinds, TaskKind, TaskOutput } from '../contract/tasks.ts';
import type { ArchiveAccess, HeldLimit } from '../contract/values.ts';
import { locationOf, type Archives } from './archives.ts';
import { limitsAt } from './bandwidth.ts';
import { dataSessionEnded } from './failures.ts';
import { chooseGateway } from './gateways.ts';
import type { Hosts } from './hosts.ts';
import { followTask, type OnStatus, type TaskFollowing } from './session-task.ts';

/** The archive, and the host whose task needs it. `append` may add restore points and oplog, and delete nothing. */
export type ArchiveReach = {
  readonly host: string;
  readonly repository: string;
  readonly setId: string;
  readonly right: 'read' | 'append';
  /** The repository of a second archive of the set, which the task reads. */
  readonly from?: string;
  /** What a policy says of how fast it may be. */
  readonly limits?: readonly HeldLimit[];
};

type Input<K extends TaskKind> = z.input<(typeof taskKinds)[K]['input']>;
/** Kinds of tasks that work with an archive. */
export type ArchiveTaskKind = { [K in TaskKind]: 'archive' extends keyof Input<K> ? K : never }[TaskKind];
/** Kinds that hand an archive to a task elsewhere. */
type PassingKind = 'serve-archive' | 'relay-channels';
/** Kinds that work on their own host alone. */
export type HostTaskKind = Exclude<TaskKind, ArchiveTaskKind | PassingKind>;
export type HostTaskInput<K extends HostTaskKind> = Input<K>;
export type WithoutArchive<K extends ArchiveTaskKind> = Omit<Input<K>, 'archive' | 'from'>;

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
  const { following } = around;
  const isOver = (await following.catalog.sessions.task(following.session, name))?.outcome != null;
  const archive = await reach(name, kind, at, isOver, around);
  const opened: Reached[] = [archive];
  try {
    const from = at.from === undefined ? undefined : await reach(fromOf(name), kind, { ...at, repository: at.from, right: 'read' }, isOver, around);
    if (from !== undefined) opened.push(from);
    const withArchives = async (): Promise<Input<K>> => ({ ...(await input()), archive: await archive.access(), ...(from !== undefined && { from: await from.access() }) }) as unknown as Input<K>;
    // Without its archives the task would only wait until its channels are given up.
    const work = { ...following, stop: AbortSignal.any([following.stop, ...opened.map(({ lost }) => lost)]) };
    return await followTask(name, kind, at.host, withArchives, work, onStatus);
  } catch (error) {
    const lost = opened.find((one) => one.lost.aborted)?.lost;
    throw lost !== undefined && !following.stop.aborted ? lost.reason : error;
  } finally {
    await Promise.all(opened.map(async (one) => await one.end()));
  }
}

/** An archive of the task: at hand where it is on the task's own host. */
async function reach(name: string, kind: TaskKind, at: ArchiveReach, isOver: boolean, around: Around): Promise<Reached> {
  const { archives, hosts } = around;
  const repository = await archives.find(at.repository);
  const { host, is_attached } = repository;
  if (host !== at.host && !isOver && !isOpenedStraight(locationOf(repository))) return await openDataSession(name, kind, host, is_attached === 1 ? { ...at, right: 'read' } : at, around);
  // A directory of the task's own host is no traffic.
  const limits = isOpenedStraight(locationOf(repository)) ? limitsAt(await hosts.find(at.host), repository, at.limits) : [];
  return { access: async () => ({ ...(await archives.access(at.repository, at.setId)), ...(limits.length > 0 && { limits }) }), lost: new AbortController().signal, end: async () => await Promise.resolve() };
}

/** What is kept for a task beside it has its name and `: ` in front: it goes with the task (`dropTask`). */
const dataTaskOf = (name: string): string => `${name}: data`;
const gatewayTaskOf = (name: string): string => `${name}: gateway`;
const fromOf = (name: string): string => `${name}: from`;

type Reached = {
  access(): Promise<ArchiveAccess>;
  /** Aborted when the session ended before the work did. */
  readonly lost: AbortSignal;
  end(): Promise<void>;
};

async function openDataSession(name: string, kind: TaskKind, host: string, at: ArchiveReach, { archives, hosts, following, note }: Around): Promise<Reached> {
  const server = await hosts.find(host);
  const ticket = await note(`${name}: ticket`, () => randomBytes(32).toString('hex'));
  const repository = await archives.find(at.repository);
  const gateway = await note(`${name}: gateway`, async () => await chooseGateway(repository, at.host, following));
  const near = await archives.access(at.repository, at.setId);
  const [nearLimits, farLimits] = [limitsAt(await hosts.find(at.host), repository, at.limits), limitsAt(server, repository, at.limits)];
  const { location, secret, connections } = near;
  if (location.kind === 'channel') throw new Error('an archive of the catalog is not behind a channel');
  const ends = new AbortController();
  const lost = new AbortController();
  const isEndless = kind === 'oplog';
  const keep = { following, ends, lost };
  const serving = keepTask(dataTaskOf(name), 'serve-archive', server, keep, async () => {
    return await Promise.resolve({ location, secret, setId: at.setId, right: at.right, isReadOnly: near.isReadOnly, peer: at.host, isEndless, ticket, ...portsOf(server), limits: farLimits, ...(connections !== undefined && { channels: connections, connections }) });
  });
  const access = (by: HostRow, ports: readonly number[]): ArchiveAccess => ({ ...near, secret: null, location: { kind: 'channel', host: by.address, name: server.id, ports: [...ports], ticket, limits: nearLimits } });
  if (gateway === null) return { access: async () => access(server, await serving.ports), lost: lost.signal, end: async () => await end(ends, [serving]) };
  const by = await hosts.find(gateway);
  const passing = keepTask(gatewayTaskOf(name), 'relay-channels', by, keep, async () => {
    return { asked: dataSessionName(ticket), isEndless, ...portsOf(by), to: { host: server.address, ports: await serving.ports } };
  });
  return { access: async () => access(by, await passing.ports), lost: lost.signal, end: async () => await end(ends, [passing, serving]) };
}

/** Where the host listens for data. A name may lead to a loopback address on the host itself. */
function portsOf(row: HostRow): { listen: string; range: { from: number; to: number }; singlePort: number | null } {
  return { listen: isIP(row.address) === 0 ? '0.0.0.0' : row.address, range: { from: row.data_from, to: row.data_to }, singlePort: row.single_port === 1 ? row.control_port : null };
}

type Kept = { readonly ports: Promise<number[]>; readonly over: Promise<unknown> };
type Keeping = { readonly following: TaskFollowing; /** Aborted when the work has ended. */ readonly ends: AbortController; readonly lost: AbortController };

/** A task that stands until the work has ended. When it ends before that, the work is lost. */
function keepTask<K extends PassingKind>(name: string, kind: K, host: HostRow, { following, ends, lost }: Keeping, input: () => Promise<Input<K>>): Kept {
  const ports = Promise.withResolvers<number[]>();
  ports.promise.catch(() => {});
  // Whoever waits for the ports is stopped with the work, and not when this task has ended.
  const onStop = (): void => ports.reject(following.stop.reason);
  if (following.stop.aborted) onStop();
  else following.stop.addEventListener('abort', onStop, { once: true });
  const lose = (why: unknown): void => {
    ports.reject(why);
    if (!ends.signal.aborted && !following.closing.aborted) lost.abort(why);
  };
  const over = followTask(name, kind, host.id, input, { ...following, stop: ends.signal }, (key, value) => {
    if (key === 'ready') ports.resolve(ready.parse(value).ports);
  });
  over.catch(() => {}).finally(() => following.stop.removeEventListener('abort', onStop));
  over.then(
    () => lose(dataSessionEnded({ host: host.name })),
    (error: unknown) => lose(error),
  );
  return { ports: ports.promise, over };
}

/** The work has its own outcome, and what was left of a session ends by itself. */
async function end(ends: AbortController, kept: readonly Kept[]): Promise<void> {
  ends.abort(stopped({ what: 'the data session' }));
  await Promise.allSettled(kept.map(async ({ over }) => await over));
}
