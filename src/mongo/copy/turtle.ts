/**
 * WiredTiger.turtle: which checkpoint the files of a data directory are at.
 *
 * WiredTiger writes a checkpoint beside the last one, then replaces the turtle by a rename, and only then gives the last
 * one's blocks free. So files read while the turtle's bytes stay the same are complete for that checkpoint, whatever else
 * was written to them. The bytes are compared, not a counter: `compact` replaces the turtle and counts no checkpoint.
 *
 * The time C of the checkpoint comes from mongod (lastStableRecoveryTimestamp). It is set a moment after the turtle is
 * replaced, so a C read between the two is the last checkpoint's. It is the turtle's own when no checkpoint was running
 * when C was read, with the same turtle before and after:
 *
 *   turtle is A ── checkpoint runs ── turtle becomes B ── C becomes B's ── nothing runs: C is B's ── …
 */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { MongoClient } from 'mongodb';
import type { ClusterTime, Optime } from '../../base/cluster-time.ts';
import type { Clock } from '../../base/clock.ts';
import { until } from '../../base/deadline.ts';
import { noCheckpointYet, notADataDirectory } from './failures.ts';
import { TURTLE } from './files.ts';
import { isCheckpointing, readTimes } from './member.ts';

export type Turtle = { readonly bytes: Buffer; readonly mtimeMs: number };

export async function readTurtle(dbPath: string): Promise<Turtle> {
  const path = join(dbPath, TURTLE);
  try {
    const [bytes, { mtimeMs }] = [await readFile(path), await stat(path)];
    return { bytes, mtimeMs };
  } catch (error) {
    throw notADataDirectory({ path: dbPath, why: `${TURTLE} cannot be read` }, error);
  }
}

export function sameTurtle(a: Turtle, b: Turtle): boolean {
  return a.bytes.equals(b.bytes);
}

/** Waits until a checkpoint ends, asking nobody but the file system. */
export async function nextTurtle(dbPath: string, than: Turtle, options: { ms: number; clock: Clock; signal: AbortSignal }): Promise<Turtle> {
  return await until(
    'the end of the next checkpoint',
    options.ms,
    async () => {
      const now = await readTurtle(dbPath);
      return sameTurtle(now, than) ? undefined : now;
    },
    { everyMs: 100, clock: options.clock, signal: options.signal },
  );
}

export type CheckpointAt = {
  readonly turtle: Turtle;
  readonly checkpoint: ClusterTime;
  /** The top of the oplog in a copy taken from now on is not below this. */
  readonly durable: Optime;
  /** False: another checkpoint ran all the time; C is the turtle's as far as a turtle of some age tells. */
  readonly exact: boolean;
};

const WAIT_MS = 10_000;
const AGED_MS = 5_000;

/** The checkpoint that the files are at now, waiting for one that is being written to end. */
export async function checkpointNow(client: MongoClient, dbPath: string, member: string, options: { clock: Clock; signal: AbortSignal; waitMs?: number }): Promise<CheckpointAt> {
  const { clock, signal } = options;
  const endsAt = clock.monotonicMs() + (options.waitMs ?? WAIT_MS);
  for (;;) {
    const turtle = await readTurtle(dbPath);
    const running = await isCheckpointing(client);
    const { checkpoint, durable } = await readTimes(client, member);
    const still = sameTurtle(turtle, await readTurtle(dbPath));
    if (still && running === false) return { turtle, checkpoint, durable, exact: true };
    if (clock.monotonicMs() > endsAt) {
      if (still && clock.now() - turtle.mtimeMs > AGED_MS) return { turtle, checkpoint, durable, exact: false };
      if (clock.monotonicMs() > endsAt + 2 * AGED_MS) throw noCheckpointYet({ member, why: 'checkpoints follow each other without a pause' });
    }
    await clock.wait(20, signal);
  }
}

/** C of a copy under a lock, out of its WiredTiger.backup: lines of keys and values. */
export function checkpointOfBackup(text: string): ClusterTime | undefined {
  const hex = /^system:checkpoint\n[^\n]*checkpoint_timestamp="([0-9a-f]{1,16})"/m.exec(text)?.[1]?.padStart(16, '0');
  return hex === undefined ? undefined : { t: Number.parseInt(hex.slice(0, 8), 16), i: Number.parseInt(hex.slice(8), 16) };
}
