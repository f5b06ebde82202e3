import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import type { Failure } from '../../src/base/failure.ts';
import { until } from '../../src/base/deadline.ts';
import { openClient, type MongoAddress, type MongoCredential } from '../../src/mongo/connect.ts';
import { findBinary } from '../../src/mongo/binary.ts';
import { describeMongod, findLocalMongod } from '../../src/mongo/local-mongod.ts';
import { listensOn } from '../../src/mongo/process-facts.ts';
import { requireCopySource, requireOplogHeadroom, requireSpace } from '../../src/mongo/refusals.ts';
import { grantOf, rightsToCopy } from '../../src/mongo/rights.ts';
import { discoverSet } from '../../src/mongo/topology.ts';
import { freePorts } from '../kit/free-port.ts';
import { findMongod } from '../kit/mongod.ts';
import { openReplicaSet, type SetMember } from '../kit/replica-set.ts';

type Told = { code: string; message: string; hint: string };

async function failureOf(work: Promise<unknown>): Promise<Told> {
  const error = (await work.then(
    () => assert.fail('it was not refused'),
    (reason: unknown) => reason,
  )) as Failure;
  return { code: error.code, message: error.message, hint: error.hint };
}

async function copySourceOf(member: SetMember, credential?: MongoCredential): Promise<unknown> {
  const address: MongoAddress = { hosts: [member], credential };
  await using client = await openClient(address, { member });
  return await requireCopySource(client, member);
}

test('a member can be copied when its user holds what the refusal before said', async () => {
  await using set = await openReplicaSet({ members: 2, auth: true, memberConfig: [{}, { arbiterOnly: true, priority: 0 }] });
  const [primary, arbiter] = set.members as [SetMember, SetMember];
  await using admin = await set.client();
  await admin.db('admin').command({ createUser: 'weak', pwd: 'weak', roles: ['clusterMonitor'] });
  const weak = { kind: 'scram', user: 'weak', password: 'weak' } as const;

  const refused = await failureOf(copySourceOf(primary, weak));
  assert.equal(refused.code, 'mongo.not-authorized');
  assert.match(refused.message, /^weak lacks rights on 127\.0\.0\.1:\d+: fsync, unlock on the cluster$/);
  const commands = /createRole\((.*)\); db\.getSiblingDB\("admin"\)\.grantRolesToUser\("weak", (.*)\)$/.exec(refused.hint);
  assert.ok(commands !== null, refused.hint);
  const { role, privileges, roles } = JSON.parse(commands[1]!) as { role: string; privileges: object[]; roles: string[] };
  await admin.db('admin').command({ createRole: role, privileges, roles });
  await admin.db('admin').command({ grantRolesToUser: 'weak', roles: JSON.parse(commands[2]!) as object[] });
  assert.ok(await copySourceOf(primary, weak));

  assert.equal((await failureOf(copySourceOf(primary))).code, 'mongo.sign-in-needed');
  assert.equal((await failureOf(copySourceOf(primary, { kind: 'scram', user: 'weak', password: 'wrong' }))).code, 'mongo.sign-in-refused');
  assert.equal((await failureOf(copySourceOf(arbiter, weak))).code, 'mongo.arbiter');
  assert.deepEqual((await discoverSet(admin)).members.map((member) => member.state), ['primary', 'arbiter']);
  assert.match(grantOf(rightsToCopy, { user: 'o"x', db: 'other' }), /getSiblingDB\("other"\)\.grantRolesToUser\("o\\"x"/);
});

test('a standalone, a set without configuration, another set and nobody at all are told apart', async (t) => {
  const standalone = await startPlain(t, []);
  const at = { host: '127.0.0.1', port: standalone.port };
  const direct = async () => {
    await using client = await openClient({ hosts: [at] }, { member: at });
    return await requireCopySource(client, at);
  };
  assert.equal((await failureOf(direct())).code, 'mongo.standalone');
  assert.equal((await failureOf(openClient({ hosts: [at], replicaSet: 'rs0' }, { deadlineMs: 1500 }))).code, 'mongo.standalone');
  const fresh = await startPlain(t, ['--replSet', 'rs0']);
  const there = { host: '127.0.0.1', port: fresh.port };
  assert.equal((await failureOf(openClient({ hosts: [there], replicaSet: 'rs0' }, { deadlineMs: 1500 }))).code, 'mongo.not-initiated');
  const [empty] = await freePorts(1);
  const nobody = await failureOf(openClient({ hosts: [{ host: '127.0.0.1', port: empty! }] }, { deadlineMs: 1500 }));
  assert.deepEqual([nobody.code, nobody.message], ['mongo.unreachable', `cannot reach 127.0.0.1:${empty}: connection refused; nothing listens there`]);
  const nameless = await failureOf(openClient({ hosts: [{ host: 'no-such-host.invalid', port: 1 }] }, { deadlineMs: 1500 }));
  assert.match(nameless.message, /no such host name/);
});

test('a member of another name, an oplog that is too short for a lock, and a full file system are refused', async () => {
  await using set = await openReplicaSet({ members: 1, oplogSizeMb: 1 });
  const [member] = set.members as [SetMember];
  const other = await failureOf(openClient({ hosts: [member], replicaSet: 'other' }, { deadlineMs: 1500 }));
  assert.match(other.message, /is a member of the replica set rs0, not of other/);
  await using client = await member.client();
  await client.db('work').collection('big').insertMany(Array.from({ length: 16 }, () => ({ text: 'x'.repeat(100_000) })));
  assert.equal((await failureOf(requireOplogHeadroom(client, member.name, 3600))).code, 'mongo.oplog-too-short');
  await requireOplogHeadroom(client, member.name, 0);
  const full = await failureOf(requireSpace(set.directory, 2 ** 55, 'a clone'));
  assert.match(full.message, /^a clone needs \d+ MiB at \/.*, where \d+ MiB are free$/);
  await requireSpace(set.directory, 1000, 'nearly nothing');
  assert.match((await failureOf(findBinary('5.0.1', [set.binary]))).message, /no mongod 5\.0 on this host/);
  assert.equal(await findBinary(set.mongoVersion, ['/nowhere/mongod', set.binary]), set.binary);
});

test('a member that says it is another process than the one that listens here is not on this host', async () => {
  await using set = await openReplicaSet({ members: 2 });
  const [one, two] = set.members as [SetMember, SetMember];
  await using client = await one.client();
  assert.equal((await failureOf(requireCopySource(client, two))).code, 'mongo.not-on-this-host');
  const [empty] = await freePorts(1);
  assert.equal((await failureOf(requireCopySource(client, { host: '127.0.0.1', port: empty! }))).code, 'mongo.not-on-this-host');
  assert.equal(await findLocalMongod({ host: 'no-such-host.invalid', port: one.port }), undefined);
});

test('a member in maintenance, and one whose engine keeps nothing on disk, are refused by their state and their engine', async () => {
  await using set = await openReplicaSet({ members: 2 });
  const [secondary] = await set.secondaries();
  assert.ok(secondary !== undefined);
  await using client = await secondary.client();
  await client.db('admin').command({ replSetMaintenance: true });
  const unfit = await failureOf(requireCopySource(client, secondary));
  assert.deepEqual([unfit.code, unfit.message], ['mongo.member-unfit', `${secondary.name} is in state RECOVERING, neither primary nor secondary`]);
  // The engine for tests went with 7.0.
  if (!set.mongoVersion.startsWith('6.0.')) return;
  await using volatile = await openReplicaSet({ members: 1, args: ['--storageEngine', 'ephemeralForTest'] });
  const [member] = volatile.members as [SetMember];
  assert.match((await failureOf(copySourceOf(member))).message, /keeps its data in the storage engine ephemeralForTest; a copy needs wiredTiger$/);
});

test('data behind a symbolic link, a journal that lies elsewhere and a configuration file are all found', async (t) => {
  const plain = await startPlain(t, ['--directoryperdb'], (directory) => {
    mkdirSync(join(directory, 'real', 'data'), { recursive: true });
    mkdirSync(join(directory, 'fast-disk'));
    symlinkSync(join(directory, 'fast-disk'), join(directory, 'real', 'data', 'journal'));
    symlinkSync(join(directory, 'real'), join(directory, 'link'));
    writeFileSync(join(directory, 'mongod.conf'), `storage:\n  dbPath: "${join(directory, 'link', 'data')}"\n  directoryPerDB: true\n`);
    return ['--config', join(directory, 'mongod.conf')];
  });
  const found = await findLocalMongod({ host: 'localhost', port: plain.port });
  assert.ok(found !== undefined);
  assert.equal(found.dbPath, join(realpathSync(plain.directory), 'real', 'data'));
  assert.equal(found.journalPath, join(realpathSync(plain.directory), 'fast-disk'));
  assert.equal(found.journalElsewhere, true);
  assert.deepEqual(found.storage, { engine: 'wiredTiger', directoryPerDb: true, directoryForIndexes: false, encrypted: false });
  assert.equal(found.configFile, join(plain.directory, 'mongod.conf'));
  assert.equal(found.pid, plain.pid);
  assert.notEqual(found.fileSystem, 'unknown');
});

test('a mongod in another mount namespace is reached through its own root, with its own file system', { skip: process.getuid?.() === 0 ? false : 'needs root' }, async (t) => {
  const directory = mkdtempSync(join(tmpdir(), 'tm-place-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const { path } = await findMongod();
  const [port] = await freePorts(1);
  const script = `mount -t tmpfs -o size=600m none ${directory} && mkdir ${directory}/db && exec ${path} --dbpath ${directory}/db --port ${port} --bind_ip 127.0.0.1 --nounixsocket --wiredTigerCacheSizeGB 0.25`;
  const child = spawn('unshare', ['-m', 'sh', '-c', script], { stdio: 'ignore' });
  t.after(() => child.kill('SIGKILL'));
  await until('the mongod inside', 60_000, () => (listensOn(child.pid!, port!) ? true : undefined));
  const found = await describeMongod(child.pid!);
  assert.equal(found?.dbPath, `/proc/${child.pid}/root${directory}/db`);
  assert.equal(found?.fileSystem, 'tmpfs');
  assert.equal(found?.mountPoint, directory);
  assert.equal(found?.storage.engine, 'wiredTiger');
});

/** A mongod outside of any set; `lay` prepares its directory and may answer where its data is. */
async function startPlain(t: TestContext, args: readonly string[], lay?: (directory: string) => string[]): Promise<{ port: number; pid: number; directory: string }> {
  const directory = mkdtempSync(join(tmpdir(), 'tm-plain-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const [port] = await freePorts(1);
  mkdirSync(join(directory, 'db'));
  const where = lay?.(directory) ?? ['--dbpath', join(directory, 'db')];
  const more = ['--port', String(port), '--bind_ip', '127.0.0.1', '--nounixsocket', '--wiredTigerCacheSizeGB', '0.25', ...(lay === undefined ? args : [])];
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', (await findMongod()).path, ...where, ...more], { stdio: 'ignore' });
  t.after(async () => {
    child.kill('SIGKILL');
    await new Promise((resolve) => (child.exitCode !== null || child.signalCode !== null ? resolve(0) : child.once('exit', resolve)));
  });
  const member = { host: '127.0.0.1', port: port! };
  await until('the plain mongod', 60_000, async () => {
    assert.equal(child.exitCode, null, 'mongod ended');
    await using client = await openClient({ hosts: [member] }, { member, deadlineMs: 500 }).catch(() => undefined);
    return client === undefined ? undefined : true;
  });
  return { port: port!, pid: child.pid!, directory };
}
