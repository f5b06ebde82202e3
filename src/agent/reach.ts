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
import { showTime, type ClusterTime } from '../base/cluster-time.ts';
import type { ArchiveAccess } from '../contract/values.ts';
import { bringTo, type ReplayOptions } from '../mongo/native-replay.ts';
import type { Mongod } from '../mongo/mongod.ts';
import { startMountChild } from '../mount/mount-child.ts';
import { openMount, type MountMode } from '../mount/open-mount.ts';
import { openMoment, requireChunks, sayMoment, type Moment } from './moment.ts';
import { storageArguments } from './storage-arguments.ts';
import type { TaskContext } from './task-context.ts';

export type ReachHow = { readonly kind: 'inspect'; /** Nothing else will be looked at. */ readonly only?: readonly string[] } | { readonly kind: 'prove' } | { readonly kind: 'serve'; readonly port: number; readonly withUsers: boolean };

export type Reached = AsyncDisposable & { readonly moment: Moment; readonly mongod: Mongod; readonly mount: MountMode };

export type ReachAsked = { readonly archive: ArchiveAccess; readonly point: string; /** Null: the point's own time. */ readonly at: ClusterTime | null };

export async function reachMoment({ archive, point, at }: ReachAsked, context: TaskContext, howFor: (moment: Moment) => ReachHow): Promise<Reached> {
  await using undo = new AsyncDisposableStack();
  const program = [...context.programs.node, context.programs.mount];
  const waiting = undo.use(startMountChild(program, context.log));
  context.step('choose the moment');
  const moment = await openMoment(archive, point, at, context);
  context.say(sayMoment(moment));
  const how = howFor(moment);
  context.step('mount the restore point');
  const checked = checkChunks(moment);
  checked.catch(() => {});
  const mount = undo.use(
    await openMount({
      source: { archive: moment.access, point: moment.point.id, identityFile: context.identityFile },
      workDirectory: join(context.directory, 'm'),
      program,
      waiting,
      log: context.log,
      signal: context.signal,
    }),
  );
  if (mount.mode === 'files') context.say('nothing can be mounted on this host: the files were laid down instead, which takes longer', 'warning');
  context.step(`replay to ${showTime(moment.at)}`);
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
  context.say(`${entries} archived entries loaded; a mongod is at ${showTime(moment.at)}`);
  const owned = undo.move();
  return { moment, mongod, mount: mount.mode, [Symbol.asyncDispose]: async () => await owned.disposeAsync() };
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

type Common = 'binary' | 'mongodVersion' | 'checkpoint' | 'target' | 'archive' | 'span' | 'storageArguments' | 'log' | 'signal' | 'onStep';

/** What every replay of this moment has in common. */
export function replayOf(moment: Moment, context: TaskContext): Pick<ReplayOptions, Common> {
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
  };
}
