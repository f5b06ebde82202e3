/** Hooks around backups, on a fake transport; the programs themselves are tried in src/agent/hook-program.test.ts. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { TaskInput } from '../contract/tasks.ts';
import { failWith, untilStopped } from '../../test/kit/fake-transport.ts';
import { openServerPlatform, type ServerPlatform } from '../../test/kit/server-platform.ts';

let platform: ServerPlatform;
before(async () => {
  platform = await openServerPlatform();
  await platform.addSet();
});
after(async () => await platform[Symbol.asyncDispose]());

type Input = TaskInput<'run-hook'>;
const ran = (): Input[] => platform.fake.begun.filter(({ kind }) => kind === 'run-hook').map(({ input }) => input as Input);
const add = async (moment: 'before' | 'after', program: string, onFailure: 'fail' | 'warn' = 'fail') => (await platform.ask('hook.add', { body: { set: 'rs0', moment, program, args: ['a b'], onFailure } })).id;
const backUp = async () => await platform.ended((await platform.ask('backup.run', { params: { set: 'rs0' }, body: {} })).id);

async function clear(): Promise<void> {
  for (const { id } of (await platform.ask('hook.list', {})).hooks) await platform.ask('hook.remove', { params: { hook: id } });
  platform.fake.begun.length = 0;
  platform.fake.scripts['run-hook'] = async () => await Promise.resolve({ ok: true, status: 'exit code 0' });
}

test('hooks run in order around the backup, each once, and are told what it came to', async () => {
  await clear();
  for (const [moment, program] of [['after', 'wake'], ['before', 'quiet'], ['before', 'quieter']] as const) await add(moment, program);
  const session = await backUp();
  assert.equal(session.state, 'success');
  assert.deepEqual(platform.fake.begun.filter(({ kind }) => kind !== 'oplog').map(({ kind }) => kind), ['run-hook', 'run-hook', 'backup', 'prove', 'run-hook']);
  assert.deepEqual(ran().map(({ program, args }) => [program, ...args]), [['quiet', 'a b'], ['quieter', 'a b'], ['wake', 'a b']]);
  assert.deepEqual(ran()[0]!.environment, { TIDEMARK_HOOK: 'before', TIDEMARK_SESSION: session.id, TIDEMARK_SET: 'rs0', TIDEMARK_SET_ID: '65a1b2c3d4e5f60718293a4b', TIDEMARK_HOST: 'local' });
  assert.deepEqual([ran()[2]!.environment['TIDEMARK_STATE'], ran()[2]!.environment['TIDEMARK_POINT']], ['success', session.result?.kind === 'backup' ? session.result.point : null]);
});

test('a hook before that fails ends the session before anything is copied, and those after run all the same', async () => {
  await clear();
  await add('before', 'quiet');
  await add('after', 'wake');
  platform.fake.scripts['run-hook'] = async ({ program }) => await Promise.resolve(program === 'quiet' ? { ok: false, status: 'exit code 3' } : { ok: true, status: 'exit code 0' });
  const { state, failure } = await backUp();
  assert.deepEqual([state, failure?.code, failure?.message], ['failed', 'server.hook-failed', 'the hook quiet before the backup failed: exit code 3']);
  assert.deepEqual(platform.fake.begun.filter(({ kind }) => kind !== 'oplog').map(({ kind }) => kind), ['run-hook', 'run-hook']);
  assert.deepEqual([ran()[1]!.program, ran()[1]!.environment['TIDEMARK_STATE'], ran()[1]!.environment['TIDEMARK_FAILURE']], ['wake', 'failed', 'server.hook-failed']);
});

test('where its failure only warns the session goes on, with the warning in its log', async () => {
  await clear();
  await add('before', 'quiet', 'warn');
  platform.fake.scripts['run-hook'] = async () => await Promise.reject(failWith('agent.hook-not-trusted', 'it is not run'));
  const { state, warnings, id } = await backUp();
  assert.deepEqual([state, warnings], ['success', 1]);
  assert.ok((await platform.events(id)).some(({ event }) => event.kind === 'line' && event.level === 'warning' && event.text.includes('it is not run')));
});

test('a hook after that fails is the session\'s failure, which says that the point is there', async () => {
  await clear();
  await add('after', 'wake');
  await add('after', 'tell');
  platform.fake.scripts['run-hook'] = async ({ program }) => await Promise.resolve({ ok: program !== 'wake', status: 'exit code 1' });
  const { state, failure } = await backUp();
  assert.deepEqual([state, failure?.message], ['failed', 'the hook wake after the backup failed: exit code 1; the restore point is stored and proved']);
  assert.deepEqual(ran().map(({ program }) => program), ['wake', 'tell'], 'one that fails does not keep the next from running');
});

test('a hook that runs while the server is restarted runs once', async () => {
  await clear();
  await add('before', 'quiet');
  const begun = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  platform.fake.scripts['run-hook'] = async () => {
    begun.resolve();
    await release.promise;
    return { ok: true, status: 'exit code 0' };
  };
  const { id } = await platform.ask('backup.run', { params: { set: 'rs0' }, body: {} });
  await begun.promise;
  await platform.restartServer();
  release.resolve();
  assert.equal((await platform.ended(id)).state, 'success');
  assert.equal(ran().length, 1);
});

test('those after run when the session is stopped, and hear that it was', async () => {
  await clear();
  await add('after', 'wake');
  const usual = platform.fake.scripts.backup;
  const begun = Promise.withResolvers<void>();
  platform.fake.scripts.backup = async (_input, voice) => {
    begun.resolve();
    await untilStopped(voice);
    throw failWith('base.stopped');
  };
  const { id } = await platform.ask('backup.run', { params: { set: 'rs0' }, body: {} });
  await begun.promise;
  await platform.ask('session.stop', { params: { session: id } });
  assert.equal((await platform.ended(id)).state, 'stopped');
  assert.deepEqual(ran().map(({ environment }) => environment['TIDEMARK_STATE']), ['stopped']);
  platform.fake.scripts.backup = usual;
});

test('whoever names a program that its host would not run is told so at once, and a host that is away says nothing', async () => {
  await clear();
  platform.fake.lacksHook = 'quiet';
  const { notes } = await platform.ask('hook.add', { body: { set: 'rs0', moment: 'before', program: 'quiet' } });
  assert.match(notes.join(), /^on host local the hook quiet is not run: it does not exist; /);
  assert.deepEqual((await platform.ask('hook.add', { body: { set: 'rs0', moment: 'before', program: 'wake' } })).notes, []);
  await platform.ask('host.add', { body: { name: 'to-come', address: '127.0.0.1' } });
  const { id, notes: none } = await platform.ask('hook.add', { body: { set: 'rs0', moment: 'before', program: 'quiet', host: 'to-come' } });
  assert.deepEqual(none, [], 'one that has not enrolled yet');
  await platform.ask('hook.remove', { params: { hook: id } });
  const { says } = await platform.ask('policy.preview', { body: { document: { name: 'nightly', sets: ['rs0'], hooks: [{ when: 'before', program: 'quiet' }, { when: 'after', program: 'wake' }] } } });
  assert.deepEqual(says.filter((each) => each.includes('hook')), notes);
});
