/**
 * A policy on a real replica set, for an hour of a wall clock that the test turns: it is written as YAML, runs by itself, copies from the
 * member that the rules choose while members lag, are elected and die, tries again, tells once, verifies and deletes by itself.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { until } from '../../src/base/deadline.ts';
import { openReplicaSet, type ReplicaSet, type SetMember } from '../kit/replica-set.ts';
import { openTurnedServer, type TurnedServer } from '../kit/turned-server.ts';

const minuteMs = 60_000;
let set: ReplicaSet;
let tide: TurnedServer;
let work: string;
let receiver: Socket;
const told: string[] = [];

type Part = { state: string; tries: number; session: string | null; notBeforeMs: number | null; says: string | null };
type Run = { id: string; state: string; why: string; missed: number; parts: [Part] };
type Session = { id: string; kind: string; state: string; failure: { code: string; message: string } | null; retryOf: string | null; log: { event: { kind: string; text?: string } }[]; result: { point: string } | null };

const document = (verify: string): string => `name: often
sets: [rs0]
schedule: { kind: every, minutes: 5 }
source: { lagLimitSeconds: 15 }
retry: { times: 1, minutes: 1 }
retention: { keep: { kind: points, points: 3 } }
verification:
  schedule: ${verify}
  checks:
    - { name: orders are there, collection: shop.orders, count: {}, expect: { atLeast: 24 } }
`;

before(async () => {
  work = await mkdtemp(join(tmpdir(), 'tm-policy-'));
  receiver = createSocket('udp4', (message) => told.push(message.toString('utf8')));
  await new Promise<void>((resolve) => receiver.bind(0, '127.0.0.1', resolve));
  const hidden = { hidden: true, priority: 0, votes: 0 };
  // A member that stands still holds up nobody that reads its oplog from it, and nobody is elected but whom the test wants.
  const settings = { chainingAllowed: false, electionTimeoutMillis: 10_000 };
  [set, tide] = await Promise.all([openReplicaSet({ members: 5, settings, memberConfig: [{ priority: 1 }, {}, hidden, { ...hidden, secondaryDelaySecs: 3_600 }, { arbiterOnly: true, priority: 0 }] }), openTurnedServer()]);
  await using client = await set.client();
  await client.db('shop').collection('orders').insertMany(Array.from({ length: 24 }, (_, n) => ({ n, bytes: randomBytes(1 << 20) })), { writeConcern: { w: 3 } });
  await tide.ok('set', 'add', set.uri);
  await until('the oplog to be followed', 60_000, async () => ((await tide.ok('set', 'show', 'rs0')).oplog.state === 'following' ? true : undefined), { everyMs: 100 });
});
after(async () => {
  await tide?.[Symbol.asyncDispose]();
  await set?.stop();
  receiver?.close();
  await rm(work, { recursive: true, force: true });
});

const member = (at: number): SetMember => set.members[at]!;
const lastRun = async (): Promise<Run | null> => (await tide.ok('policy', 'show', 'often')).lastRun;
const session = async (id: string): Promise<Session> => await tide.ok('session', 'show', id);
const sourceIn = ({ log }: Session): string => log.find(({ event }) => event.text?.startsWith('source: ') === true)?.event.text ?? '';

/** The clock is turned to the next moment of the schedule; answers the run that began by itself then, once it is as wanted. */
async function due(wanted: (run: Run) => boolean = ({ state }) => state !== 'open'): Promise<Run> {
  const before = await lastRun();
  tide.turnTo((await tide.ok('policy', 'show', 'often')).nextRunAtMs);
  return await until('a run that began by itself', 90_000, async () => {
    const run = await lastRun();
    return run !== null && run.id !== before?.id && wanted(run) ? run : undefined;
  }, { everyMs: 100 });
}

/** By how many seconds a member is behind the newest one, as the primary sees it. */
async function behind(at: number): Promise<number> {
  await using client = await set.client();
  const { members } = (await client.db('admin').command({ replSetGetStatus: 1 })) as unknown as { members: { optimeDate?: Date }[] };
  const newest = Math.max(...members.map(({ optimeDate }) => optimeDate?.getTime() ?? 0));
  return (newest - (members[at]!.optimeDate?.getTime() ?? 0)) / 1_000;
}

async function elect(at: number): Promise<void> {
  await using client = await member(at).client();
  await until(`${member(at).name} to be primary`, 60_000, async () => {
    await client.db('admin').command({ replSetStepUp: 1 }).catch(() => undefined);
    return (await set.primary()).name === member(at).name ? true : undefined;
  }, { everyMs: 500 });
}

async function caughtUp(): Promise<void> {
  await set.settled();
  for (const at of [0, 1, 2]) await until(`${member(at).name} to have caught up`, 60_000, async () => ((await behind(at)) < 1 ? true : undefined), { everyMs: 200 });
}

/** A run that made its point at the first try: from where. */
async function madeFrom(run: Run): Promise<string> {
  const [part] = run.parts;
  const made = await session(part.session!);
  const before = made.retryOf === null ? undefined : await session(made.retryOf);
  assert.deepEqual([run.state, part.tries], ['success', 1], JSON.stringify([run, before?.failure, before?.log.map(({ event }) => event.text)]));
  return sourceIn(made);
}

/** The clock is turned to where the failed try is made again. */
async function again(): Promise<Run> {
  const waiting = await until('the part to wait for its next try', 90_000, async () => {
    const part = (await lastRun())?.parts[0];
    return part?.state === 'waiting' && part.notBeforeMs !== null && part.tries === 1 ? part : undefined;
  }, { everyMs: 100 });
  assert.deepEqual(told, [], 'what is tried again by itself is not told');
  tide.turnTo(waiting.notBeforeMs!);
  return await until('the run to end', 90_000, async () => {
    const run = await lastRun();
    return run !== null && run.state !== 'open' ? run : undefined;
  }, { everyMs: 100 });
}

test('a policy comes from a file: shown first, then applied, and what is exported changes nothing', async () => {
  const file = join(work, 'policies.yaml');
  await writeFile(file, document('{ kind: manual }'));
  assert.match(await tide.text('policy', 'apply', file), /often would be added[^]*Nothing was changed/);
  assert.deepEqual((await tide.ok('policy', 'list')).policies, []);
  assert.match(await tide.text('policy', 'apply', file, '--apply'), /often added/);
  await tide.ok('notification', 'add', 'ops', '--syslog', `127.0.0.1:${receiver.address().port}`, '--on', 'failed', '--about', 'policy:often');
  const { runs } = await tide.ok('policy', 'preview', 'often');
  assert.equal(runs.length, 10);
  assert.equal(runs[0].atMs, (await tide.ok('policy', 'show', 'often')).nextRunAtMs);
  assert.deepEqual(runs.map(({ atMs }: { atMs: number }) => (atMs - runs[0].atMs) / minuteMs), [0, 5, 10, 15, 20, 25, 30, 35, 40, 45]);
  await writeFile(file, await tide.text('policy', 'export'));
  for (const more of [[], ['--apply']]) assert.match(await tide.text('policy', 'apply', file, ...more), /^often is so already$/m);
});

test('it runs by itself, from the hidden member of priority 0, neither from the primary nor the delayed one nor the arbiter, and the point is opened', async () => {
  const run = await due();
  assert.equal(run.why, 'its schedule');
  assert.match(await madeFrom(run), new RegExp(`source: ${member(2).name}, a hidden secondary .*\\(lowest priority of 2 that are fit\\)`));
  const { points } = await tide.ok('point', 'list', 'rs0');
  assert.deepEqual(points.map(({ proof }: { proof: { ok: boolean; level: string } }) => [proof.ok, proof.level]), [[true, 'open']]);
});

test('a member that lags is left for another, and one that was elected since the last point for a secondary', async () => {
  await using lagging = await member(2).client();
  await using client = await set.client();
  await lagging.db('admin').command({ configureFailPoint: 'rsSyncApplyStop', mode: 'alwaysOn' });
  await until('a lag of eighteen seconds', 60_000, async () => {
    await client.db('shop').collection('marks').insertOne({ at: new Date() });
    return (await behind(2)) >= 18 && (await behind(1)) < 2 ? true : undefined;
  }, { everyMs: 500 });
  assert.match(await madeFrom(await due()), new RegExp(`source: ${member(1).name}, a secondary .*\\(${member(2).name} of the last point is \\d+ s behind; the only one that is fit\\)`));
  await lagging.db('admin').command({ configureFailPoint: 'rsSyncApplyStop', mode: 'off' });

  await elect(1);
  await caughtUp();
  assert.match(await madeFrom(await due()), new RegExp(`source: ${member(2).name}, a hidden secondary .*\\(${member(1).name} of the last point is primary, which is not allowed as a source; lowest priority of 2 that are fit\\)`));
});

test('a member that dies in mid-backup fails the try; the next one, by itself, is made from another member', async () => {
  await due(({ parts: [part] }) => part.session !== null);
  const first = (await lastRun())!.parts[0].session!;
  await until('the copy to be made', 60_000, async () => {
    const { steps } = await tide.ok('session', 'show', first);
    return (steps as { name: string }[]).some(({ name }) => /^(pre-copy|store) /.test(name)) ? true : undefined;
  }, { everyMs: 5 });
  await member(2).kill9();
  const run = await again();
  const failed = await session(first);
  assert.equal(failed.state, 'failed');
  assert.deepEqual([run.state, run.parts[0].tries], ['success', 2], JSON.stringify(run));
  const next = await session(run.parts[0].session!);
  assert.equal(next.retryOf, first);
  assert.match(sourceIn(next), new RegExp(`source: ${member(0).name}, a secondary .*\\(${member(2).name} of the last point is down; the only one that is fit\\)`));
});

test('a run that finds no member fails after its last try, with the reason of each member, and is told once', async () => {
  await member(0).stop();
  await due(({ parts: [part] }) => part.tries === 1);
  const run = await again();
  assert.deepEqual([run.state, run.parts[0].tries], ['failed', 2], JSON.stringify(run));
  const { failure } = await session(run.parts[0].session!);
  assert.equal(failure!.code, 'domain.no-source-node');
  for (const [at, why] of [[0, 'is down'], [1, 'is primary, which is not allowed as a source'], [2, 'is down'], [3, 'is delayed by 3600 s'], [4, 'is an arbiter, which has no data']] as const) assert.ok(failure!.message.includes(`${member(at).name} ${why}`), failure!.message);
  await until('the telling', 10_000, () => (told.length > 0 ? true : undefined));
  assert.match(told[0]!, /rs0/);
});

test('what was missed while the server was down is made once; retention and a full verification with the own check follow by themselves', async () => {
  const file = join(work, 'policies.yaml');
  await writeFile(file, document('{ kind: every, minutes: 30 }'));
  assert.match(await tide.text('policy', 'apply', file, '--apply'), /often changed\n {2}verification\.schedule/);
  await tide.stop();
  await Promise.all([member(0).restart(), member(2).restart()]);
  await caughtUp();
  const before = tide.now();
  tide.turnTo(before + 31 * minuteMs);
  await tide.start();
  const run = await until('the run that makes up for what was missed', 90_000, async () => {
    const found = await lastRun();
    return found !== null && found.missed > 0 && found.state !== 'open' ? found : undefined;
  }, { everyMs: 200 });
  assert.ok(run.missed >= 5 && run.why === `its schedule, which was missed ${run.missed} times`, JSON.stringify(run));
  await madeFrom(run);
  const { sessions } = await tide.ok('session', 'list') as { sessions: (Session & { startedAtMs: number })[] };
  assert.equal(sessions.filter(({ kind, startedAtMs }) => kind === 'backup' && startedAtMs > before).length, 1);

  const verified = await until('a full verification', 60_000, async () => {
    const { verifications: [one] } = await tide.ok('check', 'list', 'rs0');
    return one.last ?? undefined;
  }, { everyMs: 200 });
  assert.deepEqual([verified.ok, verified.checks.map(({ name, ok }: { name: string; ok: boolean }) => [name, ok])], [true, [['orders are there', true]]], JSON.stringify(verified));
  await until('retention to have left three points', 30_000, async () => ((await tide.ok('point', 'list', 'rs0')).points.length === 3 ? true : undefined), { everyMs: 200 });
  assert.equal(told.length, 1, told.join('\n'));
});
