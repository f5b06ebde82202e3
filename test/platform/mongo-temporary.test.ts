import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { until, withDeadline } from '../../src/base/deadline.ts';
import { isFailure } from '../../src/base/failure.ts';
import { silentLog } from '../../src/base/log.ts';
import { mongodDied, socketPathTooLong } from '../../src/mongo/failures.ts';
import { startMongod, type MongodOptions } from '../../src/mongo/mongod.ts';
import { markMongod, removeStaleMongods, startTimeOf } from '../../src/mongo/mongod-marker.ts';
import { listeningInodes, openFiles } from '../../src/mongo/process-facts.ts';
import { freePorts } from '../kit/free-port.ts';
import { findMongod } from '../kit/mongod.ts';

async function place(t: TestContext): Promise<MongodOptions & { directory: string }> {
  const directory = mkdtempSync(join(tmpdir(), 'tm-mongod-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const dbPath = join(directory, 'db');
  mkdirSync(dbPath);
  const { path: binary } = await findMongod();
  return { directory, binary, dbPath, socketDir: join(directory, 's'), logPath: join(directory, 'log'), args: ['--wiredTigerCacheSizeGB', '0.25'] };
}

const gone = async (pid: number): Promise<true> => await until(`the end of process ${pid}`, 60_000, () => (startTimeOf(pid) === undefined ? true : undefined));

test('a temporary mongod is reached by its private socket only, and leaves nothing when it stops', async (t) => {
  const options = await place(t);
  const mongod = await startMongod(options);
  try {
    assert.equal(statSync(options.socketDir).mode & 0o777, 0o700);
    await using client = await mongod.client();
    assert.equal((await client.db('admin').command({ ping: 1 }))['ok'], 1);
    const sockets = openFiles(mongod.pid).filter((file) => file.startsWith('socket:'));
    const tcp = new Set(listeningInodes(mongod.pid, 27017).map((inode) => `socket:[${inode}]`));
    assert.deepEqual(sockets.filter((socket) => tcp.has(socket)), []);
  } finally {
    assert.deepEqual(await mongod.stop(), { code: 0, signal: null });
  }
  assert.deepEqual(readdirSync(options.socketDir).filter((name) => name.endsWith('marker')), []);
  assert.deepEqual(await mongod.stop(), { code: 0, signal: null });
});

test('with a port it answers there as well, and kill ends it at once', async (t) => {
  const options = await place(t);
  const [port] = await freePorts(1);
  const mongod = await startMongod({ ...options, port });
  assert.ok(listeningInodes(mongod.pid, port!).length > 0);
  assert.deepEqual(await mongod.kill(), { code: null, signal: 'SIGKILL' });
});

test('a mongod that cannot start fails with its exit code and the last errors of its log', async (t) => {
  const options = await place(t);
  await using first = await startMongod(options);
  assert.ok(first.pid > 0);
  const second = { ...options, socketDir: join(options.directory, 's2'), logPath: join(options.directory, 'log2') };
  await assert.rejects(startMongod(second), (error) => isFailure(error, mongodDied) && /exit code 100/.test(error.message) && /DBPathInUse/.test(error.message));
  await assert.rejects(startMongod({ ...second, binary: '/nowhere/mongod' }), (error) => isFailure(error, mongodDied));
  const long = join(options.directory, 'x'.repeat(100));
  await assert.rejects(startMongod({ ...second, socketDir: long }), (error) => isFailure(error, socketPathTooLong));
});

test('a start that is given up leaves no process', async (t) => {
  const options = await place(t);
  const ends = new AbortController();
  const started = startMongod({ ...options, signal: ends.signal });
  const pid = Number((await until('the marker', 30_000, () => readdirSync(options.socketDir).find((name) => name.endsWith('marker')))).split('.')[0]);
  ends.abort(new Error('given up'));
  await assert.rejects(started, /given up/);
  await gone(pid);
});

test('a temporary mongod dies with the process that started it, even by SIGKILL', async (t) => {
  const { directory, ...options } = await place(t);
  const module = join(import.meta.dirname, '..', '..', 'src', 'mongo', 'mongod.ts');
  const program = join(directory, 'parent.mjs');
  writeFileSync(program, `import { startMongod } from ${JSON.stringify(module)};\nconst { pid } = await startMongod(${JSON.stringify(options)});\nprocess.stdout.write(pid + '\\n');\nsetInterval(() => {}, 1000);\n`);
  const parent = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const pid = await new Promise<number>((resolve) => parent.stdout.once('data', (data: Buffer) => resolve(Number(data.toString()))));
  assert.ok(startTimeOf(pid) !== undefined);
  parent.kill('SIGKILL');
  await gone(pid);
});

test('a leftover is found by pid, start time and data directory, and a stranger with the same pid is left alone', async (t) => {
  const options = await place(t);
  const leftover = spawn(options.binary, ['--dbpath', options.dbPath, '--port', '0', '--bind_ip', join(options.directory, 'm.sock'), '--unixSocketPrefix', options.directory], { stdio: 'ignore' });
  t.after(() => leftover.kill('SIGKILL'));
  const stranger = spawn('sleep', ['600'], { stdio: 'ignore' });
  t.after(() => stranger.kill('SIGKILL'));
  for (const name of ['a', 'b', 'c']) mkdirSync(join(options.directory, 'work', name), { recursive: true });
  await until('the leftover to run mongod', 30_000, () => (openFiles(leftover.pid!).some((file) => file.endsWith('mongod.lock')) ? true : undefined));
  markMongod(join(options.directory, 'work', 'a'), { pid: leftover.pid!, dbPath: options.dbPath });
  markMongod(join(options.directory, 'work', 'b'), { pid: stranger.pid!, dbPath: options.dbPath });
  writeFileSync(join(options.directory, 'work', 'c', '1.mongod-marker'), 'not json');
  assert.deepEqual(await removeStaleMongods(join(options.directory, 'work'), silentLog), [options.dbPath]);
  await gone(leftover.pid!);
  assert.ok(startTimeOf(stranger.pid!) !== undefined);
  assert.deepEqual(readdirSync(join(options.directory, 'work'), { recursive: true }).filter((name) => String(name).endsWith('marker')), []);
  assert.deepEqual(await removeStaleMongods(join(options.directory, 'work'), silentLog), []);
});

test('a client whose mongod has ended is closed without waiting for another one', async (t) => {
  for (let round = 0; round < 6; round++) {
    const mongod = await startMongod(await place(t));
    const client = await mongod.client();
    await client.db('admin').command({ ping: 1 });
    await mongod.stop();
    await withDeadline('the client to close', 3_000, async () => await client.close());
  }
});
