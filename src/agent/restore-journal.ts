/**
 * What one restore has made and moved on this host. A restore over several hosts goes on in another process when the
 * other hosts are as far, and what it did can be taken back whatever was killed in between.
 *
 *   laying   building directories may be there, in any state; when the transport starts, nobody goes on with it
 *   laid     they are whole
 *   placing  `steps` are being made, in order (take-places.ts)
 *
 * Written before what it tells of is done. Taking back undoes the steps, then says so (`laying` again), then removes the
 * building directories, then the journal: a kill in between leaves something that can be taken back again.
 */
import { readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { describe } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import { syncDirectory, writeWhole } from '../base/whole-file.ts';
import { placesNotTaken } from './failures.ts';
import { undoSteps } from './take-places.ts';
import { removeBuilding, unlessMissing } from './target-directory.ts';

const target = z.object({ directory: z.string(), real: z.string(), building: z.string(), isMountPoint: z.boolean(), holds: z.enum(['nothing', 'a data directory']) });
const step = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('move'), from: z.string(), to: z.string(), inode: z.number(), replaces: z.object({ mode: z.number(), uid: z.number(), gid: z.number() }).optional() }),
  z.object({ kind: z.literal('make'), directory: z.string(), uid: z.number(), gid: z.number() }),
  z.object({ kind: z.literal('sync'), directory: z.string() }),
]);
const restore = z.discriminatedUnion('stage', [
  z.object({ stage: z.literal('laying'), targets: z.array(target) }),
  z.object({ stage: z.literal('laid'), targets: z.array(target) }),
  z.object({ stage: z.literal('placing'), targets: z.array(target), steps: z.array(step) }),
]);
export type RestoreOnHost = z.infer<typeof restore>;

export type RestoreJournal = {
  read(): Promise<RestoreOnHost | undefined>;
  write(now: RestoreOnHost): Promise<void>;
  remove(): Promise<void>;
  /** Leaves every target as it was before the restore. May be done again; without a journal there is nothing to do. */
  takeBack(): Promise<void>;
};

const directoryIn = (keepDirectory: string): string => join(keepDirectory, 'restores');
const ending = '.json';

export function restoreJournal(keepDirectory: string, id: string): RestoreJournal {
  const directory = directoryIn(keepDirectory);
  const path = join(directory, `${id}${ending}`);
  const write = async (now: RestoreOnHost): Promise<void> => await writeWhole(path, JSON.stringify(now), 0o600);
  const read = async (): Promise<RestoreOnHost | undefined> => {
    const text = await unlessMissing(readFile(path, 'utf8'));
    return text === undefined ? undefined : restore.parse(JSON.parse(text));
  };
  const remove = async (): Promise<void> => {
    await rm(path, { force: true });
    await unlessMissing(syncDirectory(directory));
  };
  return {
    read,
    write,
    remove,
    async takeBack() {
      const held = await read();
      if (held === undefined) return;
      if (held.stage === 'placing') {
        const stuck = await undoSteps(held.steps);
        if (stuck.length > 0) throw placesNotTaken({ why: 'it is taken back', stuck });
        await write({ stage: 'laying', targets: held.targets });
      }
      for (const each of held.targets) await removeBuilding(each);
      await remove();
    },
  };
}

/** At the start of the transport, when no task of it runs: what was being laid down has nobody who goes on with it. */
export async function takeBackUnfinished(keepDirectory: string, log: Log): Promise<void> {
  for (const name of (await unlessMissing(readdir(directoryIn(keepDirectory)))) ?? []) {
    if (!name.endsWith(ending)) continue;
    const journal = restoreJournal(keepDirectory, name.slice(0, -ending.length));
    try {
      if ((await journal.read())?.stage !== 'laying') continue;
      await journal.takeBack();
      log.warn('a restore that was not finished was taken back', { restore: name });
    } catch (error) {
      log.error('a restore that was not finished could not be taken back', { restore: name, why: describe(error) });
    }
  }
}
