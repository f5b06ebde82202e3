/**
 * The guardian: a process of its own that takes a lock on a member and is sure to give it back.
 *
 * Promise: once the lock command was sent, the guardian ends only when the member is not under our lock, or when the member
 * could not be reached for a minute (a mongod that is gone has no lock). It is killed by no signal to its parent's group.
 *
 *   waiting ─ lock order ─→ marking ─→ asking ─→ holding ─┬─ unlock order ────────┐
 *      │                                 │                 ├─ parent gone          ├─→ undoing ─→ marker removed ─→ ended
 *      └─ parent gone ─→ ended           │                 ├─ deadline             │
 *                                        │                 └─ became primary ──────┘
 *                                        └─ too late, refused, connection lost ─→ undoing if it is locked after all
 *
 * The order, and why: the marker is on disk before the command is sent and is removed after the unlock, so at any moment
 * at which a lock of ours may exist there is a marker (leftovers.ts undoes it when this process is killed as well).
 * Somebody else's lock is never joined: ours would then be a count in theirs, and nobody could tell them apart.
 */
import type { Document, MongoClient } from 'mongodb';
import type { Clock } from '../../base/clock.ts';
import { until, withDeadline } from '../../base/deadline.ts';
import { describe, toWire, type WireFailure } from '../../base/failure.ts';
import { openClient, type HostAndPort, type MongoAddress } from '../connect.ts';
import { lockNotUndone, lockRefused } from './failures.ts';
import { isOurs, lockStateOf, readMarker, removeMarker, writeMarker, type LockState } from './lock-marker.ts';

export type LockOrder = {
  readonly kind: 'lock';
  readonly address: MongoAddress;
  readonly host: HostAndPort;
  /** host:port as the set knows it. */
  readonly member: string;
  readonly markerPath: string;
  /** The longest wait for the lock. */
  readonly acquireMs: number;
  /** The longest time to hold it, counted from the answer. */
  readonly holdMs: number;
};
export type GuardianOrder = LockOrder | { readonly kind: 'unlock' };

export type Ending = 'ordered' | 'parent-gone' | 'deadline' | 'became-primary';

export type GuardianAnswer =
  | { readonly kind: 'locked' }
  /** `held`: the lock was ours without a break from `locked` to the unlock. */
  | { readonly kind: 'unlocked'; readonly ending: Ending; readonly held: boolean; readonly lockedMs: number }
  | { readonly kind: 'failed'; readonly failure: WireFailure };

export type Guardian = {
  /** Resolves with the first order to unlock, or with the end of the parent. */
  readonly released: Promise<'ordered' | 'parent-gone'>;
  say(answer: GuardianAnswer): void;
  readonly clock: Clock;
};

const REACH_MS = 60_000;
const WATCH_MS = 500;
const IN_FLIGHT_MS = 3_000;

/** Carries out one lock order from start to end. */
export async function guard(order: LockOrder, { released, say, clock }: Guardian): Promise<void> {
  const open = async (): Promise<MongoClient> =>
    await openClient(order.address, { member: order.host, deadlineMs: 10_000, silenceMs: null, connections: 4, appName: 'tidemark-guardian' });
  let asked = false;
  try {
    await using client = await open();
    const mongod = await refuseUnfit(client, order);
    const before = await lockState(client);
    if ((await Promise.race([released, Promise.resolve(undefined)])) !== undefined) throw lockRefused({ member: order.member, why: 'nobody waits for it any more' });
    if (before.locked) throw lockRefused({ member: order.member, why: 'somebody else holds a lock on it' });
    await writeMarker(order.markerPath, { member: order.member, mongod, stage: 'asking', after: before.newestOperation, worker: null });
    asked = true;
    await takeLock(client, order);
    const lockedAt = clock.monotonicMs();
    const { worker } = await lockState(client);
    await writeMarker(order.markerPath, { member: order.member, mongod, stage: 'held', after: before.newestOperation, worker });
    say({ kind: 'locked' });
    const ending = await firstEnding(client, order, released, clock);
    const { locked, worker: now } = await lockState(client);
    await undo(order, open, clock);
    say({ kind: 'unlocked', ending, held: locked && now === worker, lockedMs: Math.round(clock.monotonicMs() - lockedAt) });
  } catch (error) {
    const undone = asked ? await undo(order, open, clock).then(() => undefined, (reason: unknown) => reason) : undefined;
    say({ kind: 'failed', failure: toWire(undone ?? error) });
  }
}

/** Answers the process id of mongod. */
async function refuseUnfit(client: MongoClient, order: LockOrder): Promise<number> {
  const admin = client.db('admin');
  const hello = await admin.command({ hello: 1 });
  if (hello['secondary'] !== true) throw lockRefused({ member: order.member, why: 'only a secondary is locked, and it is none at this moment' });
  return Number((await admin.command({ serverStatus: 1, repl: 0, metrics: 0, locks: 0, wiredTiger: 0 }))['pid']);
}

export async function lockState(client: MongoClient): Promise<LockState> {
  return lockStateOf(await client.db('admin').command({ currentOp: 1, $all: true }));
}

/** While mongod waits for its own lock, writers queue behind it: past the deadline both operations are killed. */
async function takeLock(client: MongoClient, order: LockOrder): Promise<void> {
  const asking = client.db('admin').command({ fsync: 1, lock: true, comment: order.markerPath });
  try {
    await withDeadline(`the lock on ${order.member}`, order.acquireMs, async () => await asking);
  } catch (error) {
    await killLockers(client, order.markerPath).catch(() => {});
    await withDeadline(`the end of the lock command on ${order.member}`, REACH_MS, async () => await asking).catch(() => {});
    throw lockRefused({ member: order.member, why: describe(error) }, error);
  }
}

async function killLockers(client: MongoClient, comment: string): Promise<void> {
  const { inprog } = (await client.db('admin').command({ currentOp: 1, $all: true })) as { inprog: Document[] };
  const ours = inprog.filter((operation) => operation['desc'] === 'fsyncLockWorker' || operation['command']?.['comment'] === comment);
  for (const operation of ours) await client.db('admin').command({ killOp: 1, op: operation['opid'] as number });
}

async function firstEnding(client: MongoClient, order: LockOrder, released: Guardian['released'], clock: Clock): Promise<Ending> {
  const over = new AbortController();
  const deadline = clock.wait(order.holdMs, over.signal).then((): Ending => 'deadline');
  const elected = watchForElection(client, clock, over.signal);
  for (const waiting of [deadline, elected]) waiting.catch(() => {});
  try {
    return await Promise.race([released, deadline, elected]);
  } finally {
    over.abort();
  }
}

/** A locked member can be elected, and would then stop the set's writes. */
async function watchForElection(client: MongoClient, clock: Clock, signal: AbortSignal): Promise<Ending> {
  for (;;) {
    await clock.wait(WATCH_MS, signal);
    const hello: Document = await client.db('admin').command({ hello: 1 });
    if (hello['isWritablePrimary'] === true) return 'became-primary';
  }
}

/** Unlocks what is ours, over new connections if it must, until it is sure. Then the marker is gone. */
async function undo(order: LockOrder, open: () => Promise<MongoClient>, clock: Clock): Promise<void> {
  let reachedAt = clock.monotonicMs();
  for (;;) {
    try {
      await using client = await open();
      reachedAt = clock.monotonicMs();
      if ((await undoMarked(client, order.markerPath)) !== 'pending') return;
    } catch (error) {
      if (clock.monotonicMs() - reachedAt > REACH_MS) throw lockNotUndone({ member: order.member, why: describe(error) }, error);
    }
    await clock.wait(200);
  }
}

/** `pending`: the lock command has not come to its end; it may lock yet. */
export type Undone = 'unlocked' | 'not-locked' | 'not-ours' | 'pending';

/** Undoes the lock that a marker speaks of, and only that; then removes the marker, unless the answer is `pending`. */
export async function undoMarked(client: MongoClient, markerPath: string): Promise<Undone> {
  const marked = await readMarker(markerPath);
  if (marked === undefined) return 'not-locked';
  const admin = client.db('admin');
  const mongod = Number((await admin.command({ serverStatus: 1, repl: 0, metrics: 0, locks: 0, wiredTiger: 0 }))['pid']);
  const before = await lockState(client);
  const ours = isOurs(marked, before, mongod);
  if (!ours && marked.mongod === mongod && before.asked.includes(markerPath)) return 'pending';
  // What is locked after this is the share of somebody who joined.
  if (ours) await admin.command({ fsyncUnlock: 1 });
  await removeMarker(markerPath);
  return ours ? 'unlocked' : before.locked ? 'not-ours' : 'not-locked';
}

/**
 * The same, when whoever asked for the lock was killed: its command may be on its way to mongod still, and be seen by
 * nobody. So "not locked" is believed after a while only.
 */
export async function undoOrphan(client: MongoClient, markerPath: string, member: string, clock: Clock): Promise<Undone> {
  const asking = (await readMarker(markerPath))?.stage === 'asking';
  const believedAt = clock.monotonicMs() + (asking ? IN_FLIGHT_MS : 0);
  return await until(
    `the end of a lock command on ${member}`,
    REACH_MS,
    async () => {
      if (clock.monotonicMs() < believedAt && !(await lockState(client)).locked) return undefined;
      const undone = await undoMarked(client, markerPath);
      return undone === 'pending' ? undefined : undone;
    },
    { everyMs: 200, clock },
  );
}
