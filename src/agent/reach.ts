/**
 * A mongod at a moment: the point mounted, the archived oplog replayed natively up to the moment.
 *
 *   inspect   read-only at exactly the moment, on a private socket: for copying out
 *   prove     the same without a scripting engine: what operators ask may read a view of the set that runs JavaScript. A proof needs
 *             none: mongod refuses scripts in validators, partial indexes and filters of views, and neither recovery, validate, dbHash
 *             nor a count reads through a view
 *   serve     as inspect, on a port of the loopback address, with the set's own users if asked
 *
 * All chunks of the point are looked up while the mongod starts; a missing one ends the work before anybody is served.
 */
import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type ClusterTime, sayTime } from '../base/cluster-time.ts';
import { describe, Failure, isFailure, toWire, unexpected } from '../base/failure.ts';
import type { ArchiveAccess } from '../contract/values.ts';
import { bringTo, type ReplayOptions } from '../mongo/native-replay.ts';
import type { Mongod } from '../mongo/mongod.ts';
import { startMountChild } from '../mount/mount-child.ts';
import { mountUnreadable, mountUnwritable } from '../mount/failures.ts';
import { openMount, type Mount, type MountMode } from '../mount/open-mount.ts';
import { openMoment, requireChunks, sayMoment, type Moment } from './moment.ts';
import { storageArguments } from './storage-arguments.ts';
import type { TaskContext } from './task-context.ts';

export type ReachHow = { readonly kind: 'inspect'; /** Nothing else will be looked at. */ readonly only?: readonly string[] } | { readonly kind: 'prove' } | { readonly kind: 'serve'; readonly port: number; readonly withUsers: boolean };

export type Reached = { readonly moment: Moment; readonly mongod: Mongod; readonly mount: MountMode };

/** Until a mount process that was killed is known to be gone. */
const mountEndMs = 1_000;
/** For the rest of the look at all chunks, which may take minutes: a mongod that has failed is told before that. */
const chunksMs = 5_000;

/** Failures that a mongod gives, or that are about one: what it stands on may be why. Others have their own reason. */
const ofMongod = /^(base\.(unexpected|deadline-passed)|mongo\.(unreachable|source-lost|mongod-|command-|replay-(load-failed|not-exact|stop-unclean|history-differs|copy-incomplete))|agent\.(proof-failed|publication-ended))/;

export type ReachAsked = { readonly archive: ArchiveAccess; readonly point: string; /** Null: the point's own time. */ readonly at: ClusterTime | null };

/** What stands below a mongod, and may be why it failed. */
type Ground = { checked?: Promise<void>; mount?: Pick<Mount, 'broken' | 'troubles'> };

/** The mongod is there while `work` is at work; what it failed of is named where the mount or the repository knows it. */
export async function atMoment<T>(asked: ReachAsked, context: TaskContext, howFor: (moment: Moment) => ReachHow, work: (reached: Reached) => Promise<T>): Promise<T> {
  const ground: Ground = {};
  return await standing(context, ground, async (undo) => await work(await reach(asked, context, howFor, ground, undo)));
}

type Standing = Pick<TaskContext, 'clock' | 'signal' | 'log'>;

/** Works on what `work` puts up, and takes it down. */
export async function standing<T>(context: Standing, ground: Ground, work: (undo: AsyncDisposableStack) => Promise<T>): Promise<T> {
  const undo = new AsyncDisposableStack();
  let done: T;
  try {
    done = await work(undo);
  } catch (error) {
    const below = await whatIsBelow(ground, error, context);
    // What could not be taken down is a matter of its own, and never why this failed.
    await undo.disposeAsync().catch((why: unknown) => context.log.warn('what a mongod stood on was not taken down', { why: describe(why) }));
    throw below ?? troubleOf(ground, error, context) ?? error;
  }
  await undo.disposeAsync();
  return done;
}

/** What another mongod answered, a live set for one: nothing below this one is why. */
export async function apart<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Error) ofOthers.add(error);
    throw error;
  }
}

const ofOthers = new WeakSet<Error>();

const mayBeBelow = (error: unknown, { signal }: Standing): boolean => !signal.aborted && !(error instanceof Error && ofOthers.has(error)) && ofMongod.test(toWire(error).code);

/** A mongod says at most that it could not read: chunks that are missing, or a mount that is gone, are the reason. */
async function whatIsBelow({ checked, mount }: Ground, error: unknown, context: Standing): Promise<unknown> {
  if (mount === undefined || !mayBeBelow(error, context)) return undefined;
  const { clock, signal } = context;
  const toldWithin = async (promise: Promise<unknown> | undefined, ms: number): Promise<unknown> => {
    const over = new AbortController();
    const told = promise?.then(() => undefined, (why: unknown) => why);
    return await Promise.race([told, clock.wait(ms, AbortSignal.any([signal, over.signal])).catch(() => undefined)]).finally(() => over.abort(new Error('told')));
  };
  // The end of a mount that was killed may be told after that of the mongod on it.
  const why = (await toldWithin(checked, chunksMs)) ?? (await toldWithin(mount.broken, mountEndMs));
  return why === undefined || signal.aborted ? undefined : because(why, error);
}

/** The first answer of the mount that was an error; all of them are known when it has ended. */
function troubleOf({ mount }: Ground, error: unknown, context: Standing): Failure | undefined {
  if (mount === undefined || !mayBeBelow(error, context)) return undefined;
  const known = mount.troubles.find(({ failure }) => failure.code !== unexpected);
  if (known !== undefined) return new Failure(known.failure, error);
  const [first] = mount.troubles;
  if (first === undefined) return undefined;
  const { path, operation, failure } = first;
  return (operation === 'read' ? mountUnreadable : mountUnwritable)({ path, operation, why: failure.message }, error);
}

const because = (why: unknown, error: unknown): unknown => (isFailure(why) && why.cause === undefined ? new Failure(toWire(why), error) : why);

async function reach({ archive, point, at }: ReachAsked, context: TaskContext, howFor: (moment: Moment) => ReachHow, ground: Ground, undo: AsyncDisposableStack): Promise<Reached> {
  const program = [...context.programs.node, context.programs.mount];
  const waiting = undo.use(startMountChild(program, context.log, context.pace));
  context.step('choose the moment');
  const moment = await openMoment(archive, point, at, context);
  context.say(sayMoment(moment));
  const how = howFor(moment);
  context.step('mount the restore point');
  const checked = (ground.checked = checkChunks(moment));
  checked.catch(() => {});
  const mount = (ground.mount = undo.use(
    await openMount({
      source: { archive: moment.access, point: moment.point.id, identityFile: context.identityFile },
      workDirectory: join(context.directory, 'm'),
      program,
      waiting,
      log: context.log,
      signal: context.signal,
      pace: context.pace,
    }),
  ));
  if (mount.mode === 'files') context.say('nothing can be mounted on this host: the files were laid down instead, which takes longer', 'warning');
  context.step(`replay to ${sayTime(moment.at)}`);
  const { mongod, entries } = await bringTo({
    ...replayOf(moment, context),
    dbPath: mount.directory,
    socketDir: join(context.directory, 's'),
    wrap: mount.wrap,
    inspect: true,
    only: how.kind === 'inspect' ? how.only : undefined,
    serve: await servingOf(how, context.directory),
  });
  if (mongod === undefined) throw new Error('a replay that is to be inspected answers a mongod');
  // Its files are thrown away: a clean end would only write a checkpoint into them.
  undo.defer(async () => void (await mongod.kill()));
  await checked;
  context.say(`${entries} archived entries loaded; a mongod is at ${sayTime(moment.at)}`);
  return { moment, mongod, mount: mount.mode };
}

async function checkChunks(moment: Moment): Promise<void> {
  const reader = await moment.archive.openReader();
  try {
    await requireChunks(reader, moment.point);
  } finally {
    await reader.close();
  }
}

/** With users, we sign in as mongod's own members do: with a key that only this mongod knows. */
export async function servingOf(how: ReachHow, directory: string): Promise<ReplayOptions['serve']> {
  if (how.kind === 'inspect') return undefined;
  if (how.kind === 'prove') return { args: ['--noscripting'] };
  const { port, withUsers } = how;
  if (!withUsers) return { port };
  const key = randomBytes(64).toString('base64');
  const path = join(directory, 'key');
  await writeFile(path, key, { mode: 0o600 });
  return { port, args: ['--keyFile', path], address: { hosts: [{ host: '127.0.0.1', port }], credential: { kind: 'scram', user: '__system', password: key, authSource: 'local' } } };
}

type Common = 'binary' | 'mongodVersion' | 'checkpoint' | 'target' | 'archive' | 'span' | 'storageArguments' | 'log' | 'signal' | 'onStep' | 'onReplayed';

/** What every replay of this moment has in common. `before`: bytes of the task's progress that come before it. */
export function replayOf(moment: Moment, context: TaskContext, before = 0): Pick<ReplayOptions, Common> {
  const { point, about, at } = moment;
  return {
    binary: moment.binary,
    mongodVersion: about.mongoVersion,
    checkpoint: point.checkpoint,
    target: at,
    archive: moment.oplog,
    span: moment.span,
    storageArguments: storageArguments(about),
    log: context.log,
    signal: context.signal,
    onStep: (_, says) => context.say(says),
    onReplayed: (bytes, of) => context.progress({ processed: before + bytes, read: 0, transferred: 0, stored: before }, before + of),
  };
}
