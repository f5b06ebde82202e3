/** A whole set with access control into directories of this host: what is printed works, and what fails leaves nothing behind. */
import assert from 'node:assert/strict';
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { runProgram } from '../../src/base/child-process.ts';
import { until } from '../../src/base/deadline.ts';
import type { DirectRepository } from '../../src/cli/direct-repository.ts';
import type { TaskEvent } from '../../src/contract/tasks.ts';
import { openRepositoryDirect } from '../../src/main/direct-repository.ts';
import { openClient } from '../../src/mongo/connect.ts';
import { freePort } from '../kit/free-port.ts';
import { openPlatform, type Platform } from '../kit/platform.ts';
import { openReplicaSet, type ReplicaSet } from '../kit/replica-set.ts';

const place = mkdtempSync(join(tmpdir(), 'tm-restore-set-'));
const admin = { kind: 'scram', user: 'admin', password: 'admin' } as const;
let set: ReplicaSet;
let platform: Platform;
let repository: DirectRepository;

before(async () => {
  set = await openReplicaSet({ members: 1, name: 'rs0', auth: true, oplogSizeMb: 64, args: ['--directoryperdb', '--wiredTigerDirectoryForIndexes'] });
  mkdirSync(join(set.members[0]!.dbPath, 'rollback', 'c1'), { recursive: true });
  writeFileSync(join(set.members[0]!.dbPath, 'rollback', 'c1', 'removed.bson'), 'rolled back');
  await using client = await set.client();
  await client.db('shop').collection<{ _id: number }>('orders').insertMany(Array.from({ length: 500 }, (_, n) => ({ _id: n })));
  platform = await openPlatform();
  const password = join(place, 'password');
  writeFileSync(password, 'admin');
  await platform.ok('set', 'add', `mongodb://${set.members[0]!.name}/?replicaSet=rs0`, '--user', 'admin', '--password-file', password);
  await platform.ok('backup', 'run', 'rs0');
  repository = await openRepositoryDirect({ location: { kind: 'directory', path: join(platform.dataDir, 'repository') }, secret: null }, readFileSync(join(platform.dataDir, 'repository.passphrase'), 'utf8').trim());
});
after(async () => {
  await repository?.close();
  await platform?.[Symbol.asyncDispose]();
  await set?.stop();
  rmSync(place, { recursive: true, force: true, maxRetries: 5 });
});

type Members = { directory: string; host: string; port: number }[];

async function membersIn(root: string, ...names: string[]): Promise<Members> {
  return await Promise.all(names.map(async (name) => ({ directory: join(root, name), host: '127.0.0.1', port: await freePort() })));
}

async function restore(members: Members, start: boolean, onEvent: (event: TaskEvent) => void = () => {}, signal = new AbortController().signal) {
  return await repository.restoreSet('rs0', { at: 'latest', name: 'rs0-back', members, start, apply: true }, { signal, onEvent });
}

function isStep(event: TaskEvent, start: string): boolean {
  return event.kind === 'step' && event.step.startsWith(start);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}

/** A file system of its own at `directory`; false without the right to mount. */
async function mounted(t: TestContext, directory: string): Promise<boolean> {
  mkdirSync(directory, { recursive: true });
  const { code } = await runProgram('mount', ['-t', 'tmpfs', '-o', 'size=2g', 'none', directory], { deadlineMs: 10_000 }).catch(() => ({ code: 1 }));
  if (code === 0) t.after(async () => void (await runProgram('umount', ['-l', directory], { deadlineMs: 10_000 })));
  return code === 0;
}

test('a set with access control that was restored without --start reaches a primary with the printed commands, a mount point among its directories', async (t) => {
  const root = join(place, 'printed');
  const members = await membersIn(root, 'a', 'b');
  if (!(await mounted(t, members[1]!.directory))) t.diagnostic('no right to mount: the second directory is an ordinary one');
  const { startCommands } = await restore(members, false);
  for (const { directory } of members) assert.equal(statSync(join(directory, 'tidemark-key')).mode & 0o777, 0o600);
  const children = startCommands.map(([binary, ...args]) => spawn(binary!, args, { stdio: 'ignore' }));
  try {
    await using client = await openClient({ hosts: members, replicaSet: 'rs0-back', credential: admin }, { deadlineMs: 90_000 });
    await until('both members to be up', 90_000, async () => {
      const { members: now } = await client.db('admin').command({ replSetGetStatus: 1 });
      const states = (now as { stateStr: string }[]).map(({ stateStr }) => stateStr).sort();
      return states.join() === 'PRIMARY,SECONDARY' ? true : undefined;
    }, { everyMs: 200 });
    assert.equal(await client.db('shop').collection('orders').countDocuments(), 500);
  } finally {
    for (const child of children) await end(child);
  }
});

test('a restore that is stopped leaves its targets as they were and nothing of its own', async () => {
  const root = join(place, 'stopped');
  mkdirSync(join(root, 'a'), { recursive: true });
  for (const step of ['lay the files down', 'replay to', 'copy for']) {
    const ends = new AbortController();
    const members = await membersIn(root, 'a', 'b');
    await assert.rejects(restore(members, false, (event) => void (isStep(event, step) && ends.abort()), ends.signal), { code: 'base.stopped' });
    assert.deepEqual(readdirSync(root, { recursive: true }), ['a'], `stopped at "${step}"`);
  }
});

test('a file that came into an empty target meanwhile stays, and the restore fails before it touches anything', async () => {
  const root = join(place, 'meanwhile');
  const members = await membersIn(root, 'a', 'b');
  mkdirSync(members[1]!.directory, { recursive: true });
  const intrude = (event: TaskEvent): void => void (isStep(event, 'replay to') && writeFileSync(join(root, 'b/precious'), 'theirs'));
  await assert.rejects(restore(members, false, intrude), { code: 'agent.directory-not-empty' });
  assert.deepEqual(new Set(readdirSync(root, { recursive: true, encoding: 'utf8' })), new Set(['b', 'b/precious']));
});

test('directories that no command line would let through are refused by the task too', async () => {
  const members = await membersIn(join(place, 'unclean'), 'a', 'a/b');
  await assert.rejects(restore(members, false), { code: 'agent.directory-unusable' });
  await assert.rejects(restore([{ ...members[0]!, directory: `${members[0]!.directory}/` }], false), { code: 'agent.directory-unusable' });
  assert.equal(existsSync(join(place, 'unclean')), false);
});

test('when a member cannot be started the others are stopped again, and the commands that start them are said', async () => {
  const root = join(place, 'half');
  const members = await membersIn(root, 'a', 'b');
  const said: string[] = [];
  let taken: Server | undefined;
  const onEvent = (event: TaskEvent): void => {
    if (event.kind === 'line') said.push(event.text);
    if (isStep(event, 'start the members')) taken = createServer().listen(members[1]!.port, '127.0.0.1');
  };
  try {
    await assert.rejects(restore(members, true, onEvent), { code: 'mongo.mongod-died' });
  } finally {
    taken?.close();
  }
  assert.equal(said.filter((line) => /was stopped again: /.test(line)).length, 2);
  assert.equal(said.filter((line) => /^start it with: .*mongod --replSet rs0-back /.test(line)).length, 2);
  const alive = readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && existsSync(`/proc/${pid}/cmdline`) && readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(root));
  assert.deepEqual(alive, []);
  assert.deepEqual(readdirSync(root).sort(), ['a', 'a.log', 'b', 'b.log']);
});
