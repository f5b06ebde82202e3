/** A set restored over several hosts: the order of the steps, and what happens when one host fails, the session is stopped or the server restarts. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../base/deadline.ts';
import { failWith, makePoint, untilStopped, type FakeTransport } from '../../test/kit/fake-transport.ts';
import { openServerPlatform, type ServerPlatform } from '../../test/kit/server-platform.ts';

const names = ['db1', 'db2', 'db3'] as const;
const members = names.map((name, k) => ({ directory: `/data/${name}`, host: `10.0.0.${k + 1}`, port: 27017, node: name }));

type Scene = AsyncDisposable & { platform: ServerPlatform; hosts: FakeTransport[]; begin(more?: object): Promise<string> };

async function openScene(): Promise<Scene> {
  const platform = await openServerPlatform();
  platform.fake.points.push({ ...makePoint(platform.fake), id: 'p1', createdAtMs: 1, checkpoint: { t: 1100, i: 1 }, top: { t: 1105, i: 2, term: 1 } });
  await platform.addSet();
  const hosts: FakeTransport[] = [];
  for (const name of names) hosts.push(await platform.addHost(name));
  return {
    platform,
    hosts,
    begin: async (more = {}) => (await platform.ask('restore.set', { params: { set: 'rs0' }, body: { at: '1200,1', members, apply: true, ...more } })).id,
    [Symbol.asyncDispose]: async () => await platform[Symbol.asyncDispose](),
  };
}

const did = ({ begun }: FakeTransport): string[] => begun.map(({ kind, input }) => ('what' in (input as object) ? `${kind} ${(input as { what: string }).what}` : kind));
const givenTo = ({ begun }: FakeTransport, kind: string): Record<string, any> => begun.find((task) => task.kind === kind)?.input as Record<string, any>;

test('without apply every host looks, and nothing is laid down', async () => {
  await using scene = await openScene();
  const { result, state } = await scene.platform.ended(await scene.begin({ apply: false, start: true }));
  assert.equal(state, 'success');
  assert.ok(result?.kind === 'restore-set' && !result.applied);
  for (const host of scene.hosts) assert.deepEqual([did(host), givenTo(host, 'lay-members')['apply']], [['lay-members'], false]);
  assert.deepEqual(result.plan.filter((line) => line.startsWith('db')), ['db1: /data/db1', 'db2: /data/db2', 'db3: /data/db3']);
});

test('every host has one restore, one key and the whole set, and none starts before all are in place', async () => {
  await using scene = await openScene();
  const { platform, hosts } = scene;
  let placed = 0;
  for (const host of hosts) {
    const place = host.scripts['place-members'];
    host.scripts['place-members'] = async (input, voice) => {
      const output = await place(input, voice);
      if (input.what === 'place') placed++;
      return output;
    };
    host.scripts['start-members'] = async ({ what }) => {
      if (what === 'start') assert.equal(placed, 3);
      return {};
    };
  }
  const { result, state, failure } = await platform.ended(await scene.begin({ start: true, name: 'rs1' }));
  assert.deepEqual([state, failure], ['success', null]);
  assert.ok(result?.kind === 'restore-set' && result.applied);
  assert.equal(result.uri, 'mongodb://10.0.0.1:27017,10.0.0.2:27017,10.0.0.3:27017/?replicaSet=rs1');
  assert.deepEqual(result.keptAside, ['db1:/data/db1.before', 'db2:/data/db2.before', 'db3:/data/db3.before']);
  assert.deepEqual(result.startOn, ['db1', 'db2', 'db3']);
  const inputs = hosts.map((host) => givenTo(host, 'lay-members'));
  for (const field of ['restore', 'key', 'setName', 'at']) assert.equal(new Set(inputs.map((input) => JSON.stringify(input[field]))).size, 1, field);
  assert.deepEqual(inputs.map((input) => input['members'].map(({ isHere }: { isHere: boolean }) => isHere)), [[true, false, false], [false, true, false], [false, false, true]]);
  const steps = ['lay-members', 'place-members place', 'place-members keep', 'start-members start'];
  assert.deepEqual(hosts.map(did), [[...steps, 'start-members settle'], steps, steps]);
});

test('when one host fails the others are stopped, all is taken back, and the session says where and why', async () => {
  await using scene = await openScene();
  const { platform, hosts } = scene;
  hosts[0]!.scripts['lay-members'] = async (_input, voice) => {
    await untilStopped(voice);
    throw failWith('base.stopped', 'the task was stopped');
  };
  hosts[1]!.scripts['lay-members'] = async () => Promise.reject(failWith('agent.space-missing', '/data/db2 has 1 GB free'));
  const { state, failure } = await platform.ended(await scene.begin());
  assert.deepEqual([state, failure?.code], ['failed', 'server.restore-taken-back']);
  assert.match(failure!.message, /^the restore failed on db2: .*\/data\/db2 has 1 GB free.*; what was built on every host was taken back$/);
  for (const host of hosts) assert.deepEqual(did(host), ['lay-members', 'place-members take-back']);
});

test('a host that cannot put its directories in place has the others put theirs back, and what cannot be taken back is named', async () => {
  await using scene = await openScene();
  const { platform, hosts } = scene;
  const usual = hosts[2]!.scripts['place-members'];
  hosts[2]!.scripts['place-members'] = async (input, voice) => {
    if (input.what === 'take-back') throw failWith('agent.places-not-taken', 'what was /data/db3 is /data/db3.before');
    if (input.what === 'place') throw failWith('agent.directory-in-use', 'mongod 7 is running on /data/db3');
    return await usual(input, voice);
  };
  const id = await scene.begin();
  const { failure } = await platform.ended(id);
  assert.match(failure!.message, /failed on db3: mongod 7 is running on \/data\/db3.*; NOT taken back: on db3: what was \/data\/db3 is \/data\/db3\.before/);
  for (const host of hosts) assert.deepEqual(did(host).at(-1), 'place-members take-back');
  assert.ok((await platform.events(id)).some(({ event }) => event.kind === 'line' && event.level === 'warning' && event.text.includes('on db3')));
});

test('a restore that is stopped takes back what it built, and is stopped', async () => {
  await using scene = await openScene();
  const { platform, hosts } = scene;
  for (const host of hosts.slice(1)) {
    host.scripts['lay-members'] = async (_input, voice) => {
      await untilStopped(voice);
      throw failWith('base.stopped', 'the task was stopped');
    };
  }
  const id = await scene.begin();
  await until('the first host to be done', 10_000, () => [...hosts[0]!.tasks.values()].length === 0 && hosts[0]!.begun.length > 0 ? true : undefined);
  await platform.ask('session.stop', { params: { session: id } });
  const { state } = await platform.ended(id);
  assert.equal(state, 'stopped');
  for (const host of hosts) assert.deepEqual(did(host), ['lay-members', 'place-members take-back']);
});

test('a restore goes on behind a restart of the server, and one that was being taken back goes on with that', async () => {
  await using scene = await openScene();
  const { platform, hosts } = scene;
  const gate = Promise.withResolvers<void>();
  const slow = hosts[1]!.scripts['lay-members'];
  hosts[1]!.scripts['lay-members'] = async (input, voice) => {
    await gate.promise;
    return await slow(input, voice);
  };
  const id = await scene.begin();
  await until('all hosts to be at work', 10_000, () => (hosts.every(({ begun }) => begun.length === 1) ? true : undefined));
  await platform.restartServer();
  gate.resolve();
  assert.equal((await platform.ended(id)).state, 'success');
  for (const host of hosts) assert.deepEqual(did(host), ['lay-members', 'place-members place', 'place-members keep']);

  for (const host of hosts) host.begun.length = 0;
  hosts[1]!.scripts['lay-members'] = async () => Promise.reject(failWith('agent.space-missing', 'no room'));
  const held = Promise.withResolvers<void>();
  hosts[0]!.scripts['place-members'] = async () => {
    await held.promise;
    return { keptAside: [] };
  };
  const again = await scene.begin();
  await until('the taking back', 10_000, () => (did(hosts[0]!).includes('place-members take-back') ? true : undefined));
  await platform.restartServer();
  held.resolve();
  const { state, failure } = await platform.ended(again);
  assert.deepEqual([state, failure?.code], ['failed', 'server.restore-taken-back']);
  assert.match(failure!.message, /failed on db2: no room/);
  for (const host of hosts) assert.deepEqual(did(host), ['lay-members', 'place-members take-back']);
});

test('a set that does not start is stopped on every host, and its directories stay', async () => {
  await using scene = await openScene();
  const { platform, hosts } = scene;
  hosts[0]!.scripts['start-members'] = async ({ what }) => (what === 'settle' ? Promise.reject(failWith('agent.set-not-ready', 'no primary in 120 s')) : {});
  const id = await scene.begin({ start: true });
  const { failure } = await platform.ended(id);
  assert.equal(failure?.code, 'server.restore-not-started');
  assert.match(failure.message, /laid down on every host but was not started: db1: no primary/);
  for (const host of hosts) assert.deepEqual([did(host).at(-1), did(host).includes('place-members take-back')], ['start-members stop', false]);
  const said = (await platform.events(id)).flatMap(({ event }) => (event.kind === 'line' ? [event.text] : []));
  assert.equal(said.filter((line) => /^db\d: start it with: mongod/.test(line)).length, 3);
});

test('members that cannot be one set are refused before anything begins', async () => {
  await using scene = await openScene();
  const { platform } = scene;
  const twice = [members[0]!, { ...members[1]!, host: members[0]!.host }];
  const loopback = [members[0]!, { ...members[1]!, host: '127.0.0.1' }];
  for (const [wrong, words] of [[twice, /two members are to have the address 10\.0\.0\.1:27017/], [loopback, /do not reach each other at 127\.0\.0\.1:27017/]] as const) {
    const refused = await platform.refused('restore.set', { params: { set: 'rs0' }, body: { at: '1200,1', members: wrong } });
    assert.deepEqual([refused.status, refused.code], [422, 'server.members-unfit']);
    assert.match(refused.message, words);
  }
  const unknown = await platform.refused('restore.set', { params: { set: 'rs0' }, body: { at: '1200,1', members: [{ ...members[0]!, node: 'nowhere' }] } });
  assert.equal(unknown.code, 'server.host-unknown');
});
