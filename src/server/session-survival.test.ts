/** What sessions survive: a server that dies, a cable that is cut, a transport that restarts or never comes back. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { until } from '../base/deadline.ts';
import { deadlinePassed } from '../base/failures.ts';
import { say, untilStopped } from '../../test/kit/fake-transport.ts';
import { openServerPlatform, type ServerPlatform } from '../../test/kit/server-platform.ts';

const start = async (platform: ServerPlatform): Promise<string> => (await platform.ask('backup.run', { params: { set: 'rs0' }, body: {} })).id;
const count = (platform: ServerPlatform, kind: string): number => platform.fake.begun.filter((task) => task.kind === kind).length;
const begun = async (platform: ServerPlatform, kind: string): Promise<void> =>
  void (await until(`a ${kind} task`, 10_000, () => (count(platform, kind) > 0 ? true : undefined), { everyMs: 10 }));

/** Makes the task of this kind wait until it is let go. */
function hold(platform: ServerPlatform, kind: 'backup' | 'prove'): () => void {
  const go = Promise.withResolvers<void>();
  const usual = platform.fake.scripts[kind] as (input: unknown, voice: unknown) => Promise<never>;
  Object.assign(platform.fake.scripts, {
    [kind]: async (input: unknown, voice: Parameters<typeof say>[0]) => {
      say(voice, `${kind} begun`);
      await go.promise;
      say(voice, `${kind} goes on`);
      return await usual(input, voice);
    },
  });
  return go.resolve;
}

for (const kind of ['backup', 'prove'] as const) {
  for (const whenDown of [false, true]) {
    test(`a server that dies during the ${kind} task takes the session up again${whenDown ? ', even when the task ended meanwhile' : ''}, and no task runs twice`, async () => {
      await using platform = await openServerPlatform();
      await platform.addSet();
      const go = hold(platform, kind);
      const id = await start(platform);
      await begun(platform, kind);
      if (whenDown) {
        await platform.server.close();
        go();
      }
      await platform.restartServer();
      go();
      const session = await platform.ended(id);
      assert.equal(session.state, 'success', JSON.stringify(session.failure));
      assert.deepEqual([count(platform, 'backup'), count(platform, 'prove')], [1, 1]);
      const texts = (await platform.events(id)).flatMap(({ event }) => (event.kind === 'line' ? [event.text] : []));
      assert.equal(texts.filter((text) => text === `${kind} begun`).length, 1);
      assert.equal(texts.filter((text) => text === `${kind} goes on`).length, 1);
      assert.equal(texts.filter((text) => text.startsWith('source: ')).length, 1);
      assert.equal((await platform.ask('point.list', { query: {} })).points.length, 1);
    });
  }
}

test('a cut cable during a task is waited through, and the session ends as if nothing had been', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  const go = hold(platform, 'backup');
  const id = await start(platform);
  await begun(platform, 'backup');
  await platform.fake.cut();
  go();
  await platform.fake.mend();
  assert.equal((await platform.ended(id)).state, 'success');
  assert.equal(count(platform, 'backup'), 1);
});

test('a start that was heard and not answered in time is given again under the same id, and the task runs once', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  const heard: string[] = [];
  platform.fake.onStart = (taskId) => {
    heard.push(taskId);
    if (heard.length === 1) throw deadlinePassed({ what: 'the host to answer task.start', ms: 45_000 });
  };
  const id = await start(platform);
  assert.equal((await platform.ended(id)).state, 'success');
  assert.equal(count(platform, 'backup'), 1);
  assert.equal(heard[0], heard[1]);
  assert.match(JSON.stringify(await platform.events(id)), /is asked again/);
});

test('a host that is there and never answers a start fails the session after the time of a lost host', async () => {
  await using platform = await openServerPlatform({ hostLostMs: 300 });
  await platform.addSet();
  platform.fake.onStart = () => {
    throw deadlinePassed({ what: 'the host to answer task.start', ms: 45_000 });
  };
  const session = await platform.ended(await start(platform));
  assert.equal(session.state, 'failed');
  assert.equal(session.failure?.code, 'base.deadline-passed');
});

test('a transport that was restarted fails the session with the last thing known, and nothing runs twice', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  hold(platform, 'backup');
  const id = await start(platform);
  await begun(platform, 'backup');
  await platform.fake.restart();
  const session = await platform.ended(id);
  assert.equal(session.state, 'failed');
  assert.equal(session.failure?.code, 'server.task-lost');
  assert.equal(count(platform, 'backup'), 1);
});

test('a host that does not come back fails the session within its deadline, and its orphan is stopped when it does', async () => {
  await using platform = await openServerPlatform({ hostLostMs: 400 });
  await platform.addSet();
  let orphanStopped = false;
  platform.fake.scripts.backup = async (_input, voice) => {
    voice.emit({ kind: 'step', atMs: 1, step: 'read the files' });
    await untilStopped(voice);
    orphanStopped = true;
    throw voice.signal.reason as Error;
  };
  const id = await start(platform);
  await until('the step to be heard', 10_000, async () => ((await platform.ask('session.show', { params: { session: id } })).steps.some(({ name }) => name === 'read the files') ? true : undefined), { everyMs: 20 });
  await platform.fake.cut();
  const session = await platform.ended(id);
  assert.equal(session.state, 'failed');
  assert.equal(session.failure?.code, 'server.host-lost');
  assert.match(session.failure?.message ?? '', /the last that was heard is "read the files"/);
  await platform.fake.mend();
  await until('the orphan to be stopped', 20_000, () => (orphanStopped ? true : undefined), { everyMs: 50 });
});

test('a session whose host never answers ends as failed, not waiting for ever; a waiting one can be stopped', async () => {
  await using platform = await openServerPlatform({ hostWaitMs: 300 });
  await platform.addSet();
  await platform.fake.cut();
  await until('the loss to be noticed', 5_000, async () => ((await platform.ask('server.info', {})).hosts[0]?.state === 'connecting' ? true : undefined), { everyMs: 10 });
  const first = await start(platform);
  assert.equal((await platform.ended(first)).failure?.code, 'server.host-unreachable');
  const second = await start(platform);
  await platform.ask('session.stop', { params: { session: second } });
  const stopped = await platform.ended(second);
  assert.equal(stopped.state, 'stopped');
  assert.deepEqual((await platform.events(second)).at(-1)?.event, { kind: 'state', state: 'stopped' });
});

test('a stop that was asked for before the server died is remembered by the next one', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  const deaf = Promise.withResolvers<void>();
  platform.fake.scripts.backup = async (_input, voice) => {
    await untilStopped(voice);
    await deaf.promise;
    throw voice.signal.reason as Error;
  };
  const id = await start(platform);
  await begun(platform, 'backup');
  await platform.ask('session.stop', { params: { session: id } });
  await platform.restartServer();
  deaf.resolve();
  assert.equal((await platform.ended(id)).state, 'stopped');
});

test('a task that never ends when asked to is given up after its time', async () => {
  await using platform = await openServerPlatform({ stopWithinMs: 200 });
  await platform.addSet();
  platform.fake.scripts.backup = async () => await new Promise<never>(() => {});
  const id = await start(platform);
  await begun(platform, 'backup');
  await platform.ask('session.stop', { params: { session: id } });
  const session = await platform.ended(id);
  assert.equal(session.state, 'failed');
  assert.equal(session.failure?.code, 'base.deadline-passed');
});

for (const [how, ends] of [['ends when it is stopped', true], ['does not end even then', false]] as const) {
  test(`a task that falls silent and ${how} fails its session with what is known`, async () => {
    await using platform = await openServerPlatform({ silentMs: 400, stopWithinMs: 400 });
    await platform.addSet();
    platform.fake.scripts.backup = async (_input, voice) => {
      voice.emit({ kind: 'step', atMs: 1, step: 'read the files' });
      await untilStopped(voice);
      if (!ends) await new Promise<never>(() => {});
      throw voice.signal.reason as Error;
    };
    const session = await platform.ended(await start(platform));
    assert.equal(session.state, 'failed');
    assert.equal(session.failure?.code, ends ? 'server.task-silent' : 'base.deadline-passed');
    if (ends) assert.match(session.failure?.message ?? '', /last that was heard is "read the files"/);
  });
}

/** As a disk that is full: these writes are refused until they are let go. */
function refuseWrites(platform: ServerPlatform, what: 'update of ended_ms on sessions' | 'insert on publications', when: string): () => void {
  const run = (sql: string): void => {
    using catalog = new DatabaseSync(join(platform.data, 'server', 'catalog.sqlite'), { timeout: 5_000 });
    catalog.exec(sql);
  };
  run(`create trigger full before ${what} when ${when} begin select raise(abort, 'database or disk is full'); end`);
  return () => run('drop trigger full');
}

test('a session whose end could not be written ends as soon as it can be, with what it came to, and nothing runs twice', async () => {
  const waits: number[] = [];
  await using platform = await openServerPlatform({}, { clock: { ...systemClock, wait: async (ms, signal) => (waits.push(ms), await systemClock.wait(ms / 50, signal)) } });
  await platform.addSet();
  const letGo = refuseWrites(platform, 'update of ended_ms on sessions', 'new.ended_ms is not null');
  const [id, check] = [await start(platform), (await platform.ask('repository.check', { params: { repository: 'default' }, body: {} })).id];
  const tries = (session: string): number => platform.logged.filter((line) => line.includes('a session could not be ended') && line.includes(session)).length;
  await until('three tries of each', 20_000, () => (tries(id) >= 3 && tries(check) >= 3 ? true : undefined), { everyMs: 20 });
  assert.deepEqual([(await platform.ask('session.show', { params: { session: id } })).state, [1_000, 2_000].every((ms) => waits.includes(ms))], ['working', true]);
  letGo();
  assert.equal((await platform.ended(id)).state, 'success');
  assert.deepEqual([count(platform, 'backup'), count(platform, 'prove'), count(platform, 'check')], [1, 1, 1]);
  await platform.ended(check);
  assert.equal((await platform.ended(await start(platform))).state, 'success', 'its lane is free');
});

test('a session that is there though its begin failed ends, and says why', async () => {
  await using platform = await openServerPlatform({}, { clock: { ...systemClock, wait: async (ms, signal) => await systemClock.wait(ms / 50, signal) } });
  await platform.addSet();
  assert.equal((await platform.ended(await start(platform))).state, 'success');
  const letGo = refuseWrites(platform, 'insert on publications', 'true');
  assert.equal((await platform.refused('publication.start', { params: { set: 'rs0' }, body: { at: 'latest' } })).status, 500);
  letGo();
  const [open] = (await platform.ask('session.list', { query: { kind: 'publish' } })).sessions;
  const session = await platform.ended(open!.id);
  assert.equal(session.state, 'failed');
  assert.match(session.failure!.message, /disk is full/);
});

test('an open session of this server that nothing is at work on is taken up within a minute', async () => {
  await using platform = await openServerPlatform({}, { clock: { ...systemClock, wait: async (ms, signal) => await systemClock.wait(ms / 50, signal) } });
  await platform.addSet();
  const id = await start(platform);
  assert.equal((await platform.ended(id)).state, 'success');
  {
    using catalog = new DatabaseSync(join(platform.data, 'server', 'catalog.sqlite'), { timeout: 5_000 });
    catalog.prepare("update sessions set state = 'working', ended_ms = null, result = null where id = ?").run(id);
  }
  assert.equal((await platform.ended(id)).state, 'success');
  assert.deepEqual([count(platform, 'backup'), count(platform, 'prove')], [1, 1], 'what was done is read');
});
