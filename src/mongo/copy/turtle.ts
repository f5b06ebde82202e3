/**
 * WiredTiger.turtle: which checkpoint the files of a data directory are at.
 *
 * WiredTiger writes a checkpoint beside the last one, then replaces the turtle by a rename, and only then gives the last
 * one's blocks free. So files read while the turtle's bytes stay the same are complete for that checkpoint, whatever else
 * was written to them. The bytes are compared, not a counter: `compact` replaces the turtle and counts no checkpoint.
 *
 * The turtle alone is not enough. A checkpoint ends in this order (WiredTiger 10, txn_ckpt.c):
 *
 *   blocks of all files on disk → its metadata committed to the journal → turtle replaced → C set → "running" cleared
 *
 * Between the second and the third step the journal already leads to the new checkpoint: a journal copied there is rolled
 * forward to blocks that files copied before do not have, and the turtle does not show it. And between the third and the
 * fourth, the C that mongod tells (lastStableRecoveryTimestamp) is still the last one's. So:
 *
 *   before the copy   no checkpoint runs, and the turtle is the same before and after C is read: C is the turtle's
 *   after the copy    no checkpoint runs, then the turtle is still the same: none has even begun to end
 */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { MongoClient } from 'mongodb';
import type { ClusterTime, Optime } from '../../base/cluster-time.ts';
import type { Clock } from '../../base/clock.ts';
import { until } from '../../base/deadline.ts';
import { notADataDirectory } from './failures.ts';
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

/** The checkpoint that the files are at, with no other on its way. */
export type Settled = {
  readonly turtle: Turtle;
  readonly checkpoint: ClusterTime;
  /** The top of the oplog in a copy taken from now on is not below this. */
  readonly durable: Optime;
};

type Options = { readonly clock: Clock; readonly signal: AbortSignal };

const WAIT_MS = 120_000;
/** Where mongod does not say whether a checkpoint runs: far longer than the end of one takes. */
const AGED_MS = 5_000;

/** Waits for a checkpoint that is being written to end; undefined when one follows the other for two minutes. */
export async function settle(client: MongoClient, dbPath: string, member: string, { clock, signal }: Options): Promise<Settled | undefined> {
  for (const endsAt = clock.monotonicMs() + WAIT_MS; clock.monotonicMs() < endsAt; await clock.wait(20, signal)) {
    const turtle = await readTurtle(dbPath);
    const running = (await isCheckpointing(client)) ?? clock.now() - turtle.mtimeMs < AGED_MS;
    if (running) continue;
    const { checkpoint, durable } = await readTimes(client, member);
    if (sameTurtle(turtle, await readTurtle(dbPath))) return { turtle, checkpoint, durable };
  }
  return undefined;
}

/** Whether no checkpoint has ended, or begun to, since. To be asked when the last byte was copied. */
export async function isStill(settled: Settled, client: MongoClient, dbPath: string, { clock, signal }: Options): Promise<boolean> {
  const running = await isCheckpointing(client);
  if (running === true) return false;
  if (running === undefined) await clock.wait(AGED_MS, signal);
  return sameTurtle(settled.turtle, await readTurtle(dbPath));
}
