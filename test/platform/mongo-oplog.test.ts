import assert from 'node:assert/strict';
import { cpSync, renameSync, rmSync } from 'node:fs';
import { test } from 'node:test';
import type { Document } from 'mongodb';
import { compareTimes, latest, sameTime, showTime, type ClusterTime, type Optime } from '../../src/base/cluster-time.ts';
import { withDeadline } from '../../src/base/deadline.ts';
import { chooseChainStart } from '../../src/mongo/chain-start.ts';
import { runCommand, type MongoAddress } from '../../src/mongo/connect.ts';
import { readOptime } from '../../src/mongo/oplog-entry.ts';
import { splitDocuments } from '../../src/mongo/bson-bytes.ts';
import { followOplog, type TailEvent } from '../../src/mongo/oplog-tail.ts';
import { rightsToFollowOplog } from '../../src/mongo/rights.ts';
import { oplogWindow } from '../../src/mongo/topology.ts';
import { openReplicaSet, type ReplicaSet, type SetMember } from '../kit/replica-set.ts';

const GENEROUS_MS = 120_000;

/** Follows until `enough` says so. What was archived is in `documents`, everything that happened in `events`. */
function startTail(set: ReplicaSet, after: Optime) {
  const ends = new AbortController();
  const events: TailEvent[] = [];
  const documents: Uint8Array[] = [];
  let wake = (): void => {};
  const done = (async () => {
    for await (const event of followOplog({ address: set.address, after, signal: ends.signal })) {
      events.push(event);
      if (event.kind === 'batch') documents.push(...splitDocuments(event.batch.bytes));
      wake();
    }
  })();
  const until = async (what: string, enough: () => boolean): Promise<void> =>
    await withDeadline(what, GENEROUS_MS, async () => {
      while (!enough()) await Promise.race([new Promise<void>((resolve) => (wake = resolve)), done.then(() => assert.ok(enough(), `${what}: the tail ended`))]);
    });
  const stop = async (): Promise<void> => {
    ends.abort();
    await done;
  };
  return { events, documents, until, stop, [Symbol.asyncDispose]: stop };
}

/** Writes one document with a majority and answers the time of its entry. */
async function write(set: ReplicaSet, document: Document): Promise<Optime> {
  await using client = await set.client();
  const answer = await runCommand(client, 'work', { insert: 'written', documents: [document], writeConcern: { w: 'majority', wtimeout: 60_000 } });
  const at = answer['opTime'] as { ts: { t: number; i: number }; t: { toString(): string } };
  return { t: at.ts.t, i: at.ts.i, term: Number(at.t) };
}

async function oldestOf(member: SetMember): Promise<Optime> {
  await using client = await member.client();
  return (await oplogWindow(client))!.oldest;
}

async function entriesAfter(member: SetMember, after: ClusterTime, through: Optime): Promise<Uint8Array[]> {
  await using client = await member.client();
  const all = (await client.db('local').collection('oplog.rs').find({}, { raw: true }).toArray()) as unknown as Uint8Array[];
  return all.filter((one) => compareTimes(readOptime(one), after) > 0 && compareTimes(readOptime(one), through) <= 0);
}

test('the archived oplog is the set’s own, byte for byte, over a step-down and the death of the member that is read', async () => {
  await using set = await openReplicaSet({ members: 3 });
  const after = await chooseChainStart(set.address);
  await using tail = startTail(set, after);
  let last = await write(set, { _id: 'first' });
  const reached = (at: Optime) => () => tail.documents.some((one) => sameTime(readOptime(one), at));
  await tail.until('the first write', reached(last));
  await set.stepDown();
  last = await write(set, { _id: 'after the step-down' });
  await tail.until('the write after the step-down', reached(last));

  const node = set.members.find((member) => member.name === tail.events.findLast((event) => event.kind === 'switched')?.to);
  assert.ok(node !== undefined);
  await node.kill9();
  last = await write(set, { _id: 'after the kill', text: 'x'.repeat(1000) });
  await tail.until('the write after the kill', reached(last));
  const switches = tail.events.filter((event) => event.kind === 'switched');
  assert.ok(switches.length >= 2 && switches.some((event) => event.from === node.name && event.to !== node.name), JSON.stringify(switches));
  assert.deepEqual(tail.events.filter((event) => event.kind === 'broken'), []);
  await tail.stop();

  const top = readOptime(tail.documents.at(-1)!);
  const primary = await set.primary();
  // A member that joined by initial sync has no oplog of the time before; the writes of this test are all after it.
  const from = latest(after, await oldestOf(primary));
  const archived = tail.documents.filter((one) => compareTimes(readOptime(one), from) > 0);
  const expected = await entriesAfter(primary, from, top);
  assert.deepEqual(archived.map((one) => showTime(readOptime(one))), expected.map((one) => showTime(readOptime(one))));
  assert.deepEqual(Buffer.concat(archived), Buffer.concat(expected));
  assert.ok(['first', 'after the step-down', 'after the kill'].every((id) => archived.some((one) => Buffer.from(one).includes(id))), 'every write is among what was compared');
  assert.ok(new Set(tail.documents.map((one) => readOptime(one).term)).size >= 2, 'the archive spans an election');
});

test('a write that no majority has is not archived, and its rollback leaves the chain whole', async () => {
  await using set = await openReplicaSet({ members: 3 });
  const after = await chooseChainStart(set.address);
  await using tail = startTail(set, after);
  const first = await write(set, { _id: 'kept' });
  await tail.until('the first write', () => tail.documents.some((one) => sameTime(readOptime(one), first)));

  const old = await set.primary();
  const others = set.members.filter((member) => member !== old);
  for (const member of others) await failPoint(member, 'stopReplProducer', 'alwaysOn');
  await using client = await old.client();
  await client.db('work').collection('written').insertOne({ _id: 'lost' as never }, { writeConcern: { w: 1 } });
  const lost = (await oplogWindow(client))!.newest;
  await old.kill9();
  for (const member of others) await failPoint(member, 'stopReplProducer', 'off');
  const second = await write(set, { _id: 'kept too' });
  await old.restart();
  await set.settled();
  await tail.until('the write after the rollback', () => tail.documents.some((one) => sameTime(readOptime(one), second)));
  await tail.stop();
  assert.ok(!tail.documents.some((one) => sameTime(readOptime(one), lost) && readOptime(one).term === lost.term), 'the lost write was archived');
  assert.deepEqual(tail.events.filter((event) => event.kind === 'broken'), []);
});

async function failPoint(member: SetMember, name: string, mode: string): Promise<void> {
  await using client = await member.client();
  await client.db('admin').command({ configureFailPoint: name, mode });
}

test('an archive that ends before the oldest entry is broken by rolling over, and the event says where the oplog resumes', async () => {
  await using set = await openReplicaSet({ members: 1, oplogSizeMb: 1, args: ['--syncdelay', '1'] });
  const after = await chooseChainStart(set.address);
  await using client = await set.client();
  const gone = async (): Promise<boolean> => compareTimes((await oplogWindow(client))!.oldest, after) > 0;
  await withDeadline('the oplog to roll over', GENEROUS_MS, async () => {
    // What recovery from the last periodic checkpoint needs is never overwritten: hence the short syncdelay.
    while (!(await gone())) await client.db('work').collection('big').insertMany(Array.from({ length: 16 }, () => ({ text: 'x'.repeat(20_000) })));
  });
  await using tail = startTail(set, after);
  await tail.until('the break', () => tail.events.some((event) => event.kind === 'broken'));
  const broken = tail.events.find((event) => event.kind === 'broken');
  assert.ok(broken !== undefined && broken.reason === 'rolled-over' && broken.resumesAt !== null && compareTimes(broken.resumesAt, after) > 0);
  assert.deepEqual(broken.lastArchived, after);
  assert.deepEqual(tail.documents, []);
});

test('another term at the same time, a time between two entries, and a time beyond the primary’s oplog are other histories', async () => {
  await using set = await openReplicaSet({ members: 1 });
  const at = await write(set, { _id: 1 });
  await write(set, { _id: 2 });
  for (const [what, after] of [
    ['another term', { ...at, term: at.term + 1 }],
    ['a time between two entries', { t: at.t, i: at.i + 500, term: at.term }],
    ['a time beyond the end', { t: at.t + 1000, i: 1, term: at.term }],
  ] as const) {
    await using tail = startTail(set, after);
    if (what === 'a time between two entries') await write(set, { between: true });
    await tail.until(`the break for ${what}`, () => tail.events.some((event) => event.kind === 'broken'));
    const broken = tail.events.find((event) => event.kind === 'broken');
    assert.equal(broken?.reason, 'rollback', what);
    assert.deepEqual(tail.documents, [], what);
  }
});

test('a set that was put back to older files has another history than the archive, although it looks healthy', async () => {
  await using set = await openReplicaSet({ members: 1 });
  const [member] = set.members as [SetMember];
  await write(set, { _id: 'before the copy' });
  await member.stop();
  cpSync(member.dbPath, `${member.dbPath}-older`, { recursive: true });
  await member.restart();
  const archived = await write(set, { _id: 'archived, then lost' });
  await member.stop();
  rmSync(member.dbPath, { recursive: true });
  renameSync(`${member.dbPath}-older`, member.dbPath);
  await member.restart();
  await write(set, { _id: 'another history' });
  await using tail = startTail(set, archived);
  await tail.until('the break', () => tail.events.some((event) => event.kind === 'broken'));
  const broken = tail.events.find((event) => event.kind === 'broken');
  assert.ok(broken?.reason === 'rollback' && broken.resumesAt !== null, JSON.stringify(tail.events));
});

test('with the rights that are asked for and no others the oplog is followed, and it ends when it is told to', async () => {
  await using set = await openReplicaSet({ members: 1, auth: true });
  await using admin = await set.client();
  await admin.db('admin').command({ createRole: 'follow', privileges: [...rightsToFollowOplog], roles: [] });
  await admin.db('admin').command({ createUser: 'follower', pwd: 'secret', roles: ['follow'] });
  const address: MongoAddress = { ...set.address, credential: { kind: 'scram', user: 'follower', password: 'secret' } };
  const after = await chooseChainStart(address);
  for (const stopAt of ['switched', 'caught-up'] as const) {
    const ends = new AbortController();
    const seen: string[] = [];
    await withDeadline(`the end at ${stopAt}`, GENEROUS_MS, async () => {
      for await (const event of followOplog({ address, after, signal: ends.signal })) {
        seen.push(event.kind);
        if (event.kind === stopAt) ends.abort();
      }
    });
    assert.ok(seen.includes(stopAt) && !seen.includes('waiting'), seen.join());
  }
});

test('a chain starts at or before the stable checkpoint of every member and before the oldest open transaction', async () => {
  await using set = await openReplicaSet({ members: 3 });
  await write(set, { _id: 'some' });
  const after = await chooseChainStart(set.address);
  for (const member of set.members) {
    await using client = await member.client();
    const stable = (await client.db('admin').command({ replSetGetStatus: 1 }))['lastStableRecoveryTimestamp'] as { t: number; i: number };
    assert.ok(compareTimes(after, { t: stable.t, i: stable.i }) <= 0, `${member.name}: ${JSON.stringify(after)}`);
  }
  await using tail = startTail(set, after);
  await tail.until('the end of the oplog', () => tail.events.some((event) => event.kind === 'caught-up'));
  assert.deepEqual(tail.events.filter((event) => event.kind === 'broken'), []);
});
