/** A whole set restored over several hosts at once, real mongods on whole hosts: what comes up is the source at that moment, and what fails leaves nothing. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { MongoClient, type Document, type Timestamp } from 'mongodb';
import { until } from '../../src/base/deadline.ts';
import { compareTimes } from '../../src/base/cluster-time.ts';
import { hashAll, type Hashes } from '../../src/mongo/dbhash.ts';
import { openHostedPlatform, whyNoWholeHosts, type HostedPlatform, type HostedSet } from '../kit/hosted-platform.ts';
import { endStates, type EndedSession } from '../kit/killed-platform.ts';

const skip = whyNoWholeHosts();
const names = ['db1', 'db2', 'vault'] as const;
const restoredPort = 27117;
const target = '/srv/restored';

let hosted: HostedPlatform;
let set: HostedSet;
/** The source at the moment `at`, which was not its last. */
let wanted: Hashes;
let at: string;

before(async () => {
  if (skip !== undefined) return;
  hosted = await openHostedPlatform(names, { restores: names });
  set = await hosted.startSet(['db1', 'db2']);
  const orders = set.client.db('shop').collection<Document>('orders');
  await orders.createIndex({ text: 1 });
  await orders.insertMany(Array.from({ length: 20_000 }, (_, n) => ({ _id: n as never, text: `order ${n}`.repeat(8) })), { writeConcern: { w: 2, journal: true } });
  await hosted.addRepository('vault');
  await hosted.platform.ok('set', 'add', set.uri, '--repository', 'vault');
  await hosted.platform.ok('backup', 'run', 'rs0');
  await orders.updateMany({ _id: { $lt: 500 as never } }, { $set: { late: true } }, { writeConcern: { w: 2 } });
  const { operationTime } = await set.client.db('shop').command({ ping: 1 });
  at = `${(operationTime as Timestamp).getHighBits()},${(operationTime as Timestamp).getLowBits()}`;
  wanted = await hashAll(set.client);
  const [t, i] = at.split(',').map(Number) as [number, number];
  await until('the archived oplog', 60_000, async () => {
    const { through } = (await hosted.platform.ok('set', 'show', 'rs0')).oplog;
    return through !== null && compareTimes(through, { t, i }) >= 0 ? true : undefined;
  }, { everyMs: 300 });
  await orders.deleteMany({}, { writeConcern: { w: 2 } });
  for (const name of names) await hosted.hosts[name]!.ok('install', ['-d', '-o', 'mongod', '-m', '700', target]);
});
after(async () => {
  await set?.[Symbol.asyncDispose]();
  await hosted?.[Symbol.asyncDispose]();
});

const address = (name: string): string => `${hosted.hosts[name]!.address}:${restoredPort}`;
const members = (): string[] => names.flatMap((name) => ['--member', `${address(name)}@${name}:${target}`]);
const onAll = async (program: string, ...args: string[]): Promise<string[]> => await Promise.all(names.map(async (name) => (await hosted.hosts[name]!.run(program, args)).stdout.trim()));
const restored = async (): Promise<MongoClient> => await MongoClient.connect(`mongodb://${names.map(address).join(',')}/?replicaSet=rs0-back`, { serverSelectionTimeoutMS: 30_000 });

/** What of a restore is to be seen on the hosts beside the target. */
const left = async (): Promise<string[]> => await onAll('find', '/srv', '/var/lib/tidemark-transport/work/kept/restores', '-maxdepth', '1', '(', '-name', '*.tidemark-building', '-o', '-name', '*.before-*', '-o', '-name', '*.json', ')');

async function sessionOf(id: string): Promise<EndedSession & { failure: { code: string; message: string } | null }> {
  return await hosted.platform.ok('session', 'show', id);
}

async function ended(id: string): ReturnType<typeof sessionOf> {
  return await until(`session ${id} to end`, 240_000, async () => {
    const session = await sessionOf(id);
    return endStates.has(session.state) ? session : undefined;
  }, { everyMs: 500 });
}

test('the plan names every directory with its host, and touches none', { skip, timeout: 280_000 }, async () => {
  const { plan, applied } = await hosted.platform.ok('restore', 'set', 'rs0', '--at', at, '--name', 'rs0-back', ...members());
  assert.equal(applied, false);
  for (const name of names) assert.ok((plan as string[]).some((line) => line.startsWith(`${name}: ${target} for ${address(name)}`)), plan.join('\n'));
  assert.deepEqual(await onAll('ls', target), ['', '', '']);
  assert.deepEqual(await left(), ['', '', '']);
});

test('members on three hosts come up as one set with a primary, and hold what the source held at the moment', { skip, timeout: 280_000 }, async (context) => {
  const startedMs = performance.now();
  const { uri, seconds } = await hosted.platform.ok('restore', 'set', 'rs0', '--at', at, '--name', 'rs0-back', ...members(), '--start', '--apply');
  context.diagnostic(`restored over ${names.length} hosts in ${Math.round(performance.now() - startedMs)} ms, ${seconds} s of them in the session`);
  assert.ok(uri.includes('replicaSet=rs0-back'));
  assert.deepEqual(await left(), ['', '', '']);
  const client = await restored();
  try {
    const { members: now } = await client.db('admin').command({ replSetGetStatus: 1 });
    assert.deepEqual((now as { stateStr: string }[]).map(({ stateStr }) => stateStr).sort(), ['PRIMARY', 'SECONDARY', 'SECONDARY']);
    assert.deepEqual(await hashAll(client), wanted);
  } finally {
    await client.close();
  }
  for (const name of names) {
    const member = await MongoClient.connect(`mongodb://${address(name)}/?directConnection=true&readPreference=secondaryPreferred`);
    assert.deepEqual(await hashAll(member), wanted, `the member on ${name}`);
    await member.close();
  }
});

test('a set that is killed on one host, or whose host goes down, while it is laid down is taken back everywhere, and the next restore works', { skip, timeout: 560_000 }, async () => {
  await onAll('sh', '-c', `kill -9 $(cat ${target}/mongod.lock)`);
  const stands = await onAll('stat', '-c', '%i', target);
  for (const [how, blow] of [
    ['its services are killed', async () => void (await hosted.hosts['db2']!.ok('systemctl', ['kill', '-s', 'KILL', 'tidemark-transport']))],
    ['it is started again', async () => await hosted.hosts['db2']!.reboot()],
  ] as const) {
    const { session } = await hosted.platform.ok('restore', 'set', 'rs0', '--at', at, '--name', 'rs0-back', ...members(), '--apply', '--detach');
    await until('db2 to lay down', 60_000, async () => ((await sessionOf(session)).steps.some((step) => /^db2: (lay|replay)/.test(step.name)) ? true : undefined), { everyMs: 100 });
    await blow();
    const { state, failure } = await ended(session);
    assert.deepEqual([state, failure?.code], ['failed', 'server.restore-taken-back'], `${how}: ${failure?.message}`);
    assert.match(failure!.message, /^the restore failed on db2: .*; what was built on every host was taken back$/, how);
    assert.deepEqual(await left(), ['', '', ''], how);
    if (how === 'its services are killed') assert.deepEqual(await onAll('stat', '-c', '%i', target), stands);
    await hosted.connected('db2');
  }
  await until('a primary of the source', 60_000, async () => ((await set.client.db('admin').command({ hello: 1 }).catch(() => ({ isWritablePrimary: false })))['isWritablePrimary'] === true ? true : undefined), { everyMs: 300 });
  const { keptAside } = await hosted.platform.ok('restore', 'set', 'rs0', '--at', at, '--name', 'rs0-back', ...members(), '--apply');
  assert.equal(keptAside.length, 3, 'the old directories are kept aside');
  assert.deepEqual((await onAll('find', '/srv', '-maxdepth', '1', '-name', 'restored*')).map((text) => text.split('\n').length), [3, 3, 3], 'the directory, the old one and the log');
});
