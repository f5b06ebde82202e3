/**
 * Clones on disk, and the records that lead to them.
 *
 * A record is written (and synced) into the work directory before a clone's first file, and removed after its last, so no
 * kill leaves files that nobody knows of. Whoever makes a clone is named with pid and start time; a clone that is still
 * `making` when its maker is gone is rubbish.
 *
 *   making ── complete ──→ kept ── a newer point is published, forget, or too little room ──→ gone
 *      └───── maker dies, or the turtle moved ─────→ gone
 */
import { open, readFile, readdir, mkdir, rename, rm, rmdir } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import * as z from 'zod';
import { startTimeOf } from '../mongod-marker.ts';

const record = z.object({
  form: z.literal(1),
  id: z.string(),
  member: z.string(),
  dbPath: z.string(),
  /** The directories that hold its files, one for each volume. */
  directories: z.array(z.string()).min(1),
  state: z.enum(['making', 'kept']),
  maker: z.object({ pid: z.number(), startTime: z.string() }),
});

export type CloneRecord = z.infer<typeof record>;

const folder = (workDirectory: string): string => join(workDirectory, 'clones');
const pathOf = (workDirectory: string, id: string): string => join(folder(workDirectory), `${id}.json`);

export async function writeRecord(workDirectory: string, clone: Omit<CloneRecord, 'form' | 'maker'>): Promise<void> {
  const maker = { pid: process.pid, startTime: startTimeOf(process.pid) ?? '' };
  await writeDurably(pathOf(workDirectory, clone.id), JSON.stringify({ form: 1, ...clone, maker }));
}

/** A file that is whole or absent whatever happens, and on disk when this resolves. */
export async function writeDurably(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true, mode: 0o700 });
  const temporary = `${path}.${process.pid}.new`;
  const file = await open(temporary, 'w', 0o600);
  try {
    await file.writeFile(text);
    await file.sync();
  } finally {
    await file.close();
  }
  await rename(temporary, path);
  const directory = await open(dirname(path), 'r');
  try {
    await directory.sync();
  } finally {
    await directory.close();
  }
}

export async function listRecords(workDirectory: string): Promise<CloneRecord[]> {
  const names = await readdir(folder(workDirectory)).catch(() => []);
  const records = await Promise.all(names.filter((name) => name.endsWith('.json')).map(async (name) => await readRecord(join(folder(workDirectory), name))));
  return records.filter((one) => one !== undefined);
}

async function readRecord(path: string): Promise<CloneRecord | undefined> {
  try {
    return record.parse(JSON.parse(await readFile(path, 'utf8')));
  } catch {
    return undefined;
  }
}

export async function findKept(workDirectory: string, id: string, dbPath: string): Promise<CloneRecord | undefined> {
  const found = await readRecord(pathOf(workDirectory, id));
  return found?.state === 'kept' && found.dbPath === dbPath ? found : undefined;
}

export async function dropClone(workDirectory: string, clone: Pick<CloneRecord, 'id' | 'directories'>): Promise<void> {
  for (const directory of clone.directories) {
    await rm(directory, { recursive: true, force: true, maxRetries: 3 });
    await rmdir(dirname(directory)).catch(() => {});
  }
  await rm(pathOf(workDirectory, clone.id), { force: true });
}

/** Whether the one who makes it still runs. */
export function isBeingMade(clone: CloneRecord): boolean {
  return clone.state === 'making' && clone.maker.startTime !== '' && startTimeOf(clone.maker.pid) === clone.maker.startTime;
}

/** Drops what no copy of this data directory can use: all clones but `except`, and those that are being made. */
export async function dropOthers(workDirectory: string, dbPath: string, except: readonly (string | null)[]): Promise<string[]> {
  const useless = (await listRecords(workDirectory)).filter((clone) => clone.dbPath === dbPath && !except.includes(clone.id) && !isBeingMade(clone));
  for (const clone of useless) await dropClone(workDirectory, clone);
  return useless.map((clone) => clone.id);
}
