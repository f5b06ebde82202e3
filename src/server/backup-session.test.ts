import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stopped } from '../base/failures.ts';
import { until } from '../base/deadline.ts';
import { failWith, makePoint, untilStopped } from '../../test/kit/fake-transport.ts';
import { openServerPlatform, type ServerPlatform } from '../../test/kit/server-platform.ts';

const backup = async (platform: ServerPlatform, body = {}): Promise<string> => (await platform.ask('backup.run', { params: { set: 'rs0' }, body })).id;
const kinds = (platform: ServerPlatform): string[] => platform.fake.begun.map(({ kind }) => kind).filter((kind) => kind !== 'oplog');
const begun = async (platform: ServerPlatform, kind: string): Promise<void> => void (await until(`a ${kind} task`, 10_000, () => (kinds(platform).includes(kind) ? true : undefined), { everyMs: 10 }));

test('a backup is a success only after the point was opened, and its proof is on the point', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  const session = await platform.ended(await backup(platform));
  assert.equal(session.state, 'success', JSON.stringify(session.failure));
  assert.ok(session.result?.kind === 'backup');
  assert.equal(session.result.verified, true);
  assert.deepEqual(kinds(platform), ['backup', 'prove']);
  assert.deepEqual(session.steps.map(({ name }) => name), ['look at the set', 'make the copy', 'copy the files', 'wait for the archived oplog', 'prove the restore point']);
  const { points } = await platform.ask('point.list', { query: { set: 'rs0' } });
  assert.equal(points.length, 1);
  assert.equal(points[0]?.proof?.ok, true);
  assert.match(points[0]?.proof?.says ?? '', /1 collections, 1 of them counted \(42 documents\), 1 validated/);
  assert.equal(platform.fake.proofs.length, 1);
});

test('a secondary is the source, the next backup stays with it, and the log says why', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  const said = async (id: string): Promise<string> => JSON.stringify(await platform.events(id));
  const first = await backup(platform);
  assert.match(await said(first), /source: 127\.0\.0\.1:27018, a secondary 0\.5 s behind/);
  const second = await backup(platform);
  assert.match(await said(second), /same node as the last point/);
});

test('a point that does not open fails its session, is marked, and is not used to restore', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  platform.fake.scripts.prove = async () => Promise.reject(failWith('agent.proof-failed', 'validate of shop.orders found rot'));
  const session = await platform.ended(await backup(platform));
  assert.equal(session.state, 'failed');
  assert.equal(session.failure?.code, 'agent.proof-failed');
  const { points } = await platform.ask('point.list', { query: {} });
  assert.equal(points[0]?.proof?.ok, false);
  assert.match(points[0]?.proof?.says ?? '', /rot/);
  const refused = await platform.refused('restore.collections', { params: { set: 'rs0' }, body: { at: 'latest', namespaces: [{ from: 'a.b', to: 'a.c' }] } });
  assert.equal(refused.code, 'domain.moment-unreachable');
  assert.match(refused.message, /no restore point passed its check/);
});

test('a proof that could not be made fails the session and says nothing against the point', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  platform.fake.scripts.prove = async () => Promise.reject(failWith('mongo.binary-missing', 'no mongod of 6.0 here'));
  const session = await platform.ended(await backup(platform));
  assert.equal(session.state, 'failed');
  assert.equal((await platform.ask('point.list', { query: {} })).points[0]?.proof, null);
});

test('when the archived oplog does not reach the copy the session fails within its deadline and names both moments', async () => {
  await using platform = await openServerPlatform({ oplogWaitMs: 300 });
  await platform.addSet();
  platform.fake.scripts.backup = async () => {
    const point = makePoint(platform.fake, { t: 9_999, i: 3, term: 1 });
    platform.fake.points.push(point);
    return { point, lockedMs: 0, seconds: 1 };
  };
  const session = await platform.ended(await backup(platform));
  assert.equal(session.state, 'failed');
  assert.equal(session.failure?.code, 'server.oplog-behind');
  assert.match(session.failure?.message ?? '', /did not reach 9999,3 .* it is at 2000,1/);
  assert.deepEqual(kinds(platform), ['backup']);
});

test('a backup that is stopped in its proof says which point is stored and not proved, and a restore from it warns', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  platform.fake.scripts.prove = async (_input, voice) => {
    await untilStopped(voice);
    throw stopped({ what: 'the proof' });
  };
  const id = await backup(platform);
  await until('the proof', 10_000, async () => ((await platform.ask('session.show', { params: { session: id } })).steps.some(({ name }) => name.startsWith('prove')) ? true : undefined), { everyMs: 20 });
  await platform.ask('session.stop', { params: { session: id } });
  const session = await platform.ended(id);
  const [point] = platform.fake.points;
  assert.equal(session.state, 'stopped');
  assert.match(JSON.stringify(await platform.events(id)).replaceAll('\\', ''), new RegExp(`restore point ${point!.id} is stored and NOT PROVED; run "tidemark point verify ${point!.id}"`));
  const body = { at: 'latest', members: [{ directory: '/x', host: 'h', port: 1 }], start: true, apply: true };
  const restored = await platform.ended((await platform.ask('restore.set', { params: { set: 'rs0' }, body })).id);
  assert.ok(restored.result?.kind === 'restore-set');
  assert.match(restored.result.plan[0]!, new RegExp(`${point!.id} was NEVER PROVED`));
  assert.equal(restored.result.uri, 'mongodb://h:1/?replicaSet=rs0');
});

test('a source that is no member of the set fails the backup before anything is copied', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  const { id } = await platform.ask('backup.run', { params: { set: 'rs0' }, body: { source: '127.0.0.1:9' } });
  const session = await platform.ended(id);
  assert.equal(session.failure?.code, 'domain.no-source-node');
  assert.match(session.failure?.message ?? '', /127\.0\.0\.1:9, which was asked for, is no member; those with data are 127\.0\.0\.1:27017/);
  assert.deepEqual(kinds(platform), []);
});

test('a backup whose hosts are all cut off for a moment, when it looks at its set, waits for them', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  let looks = 0;
  platform.fake.onDiscover = async () => {
    if (++looks === 1) throw failWith('server.host-unreachable', 'the transport service of host local was not reached within 5 s');
    return await Promise.resolve(platform.fake.discovered);
  };
  const { id } = await platform.ask('backup.run', { params: { set: 'rs0' }, body: {} });
  assert.equal((await platform.ended(id)).state, 'success');
  assert.equal(looks, 2);
});

test('a set without a fit member fails with the reason of each member', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  platform.fake.discovered = { ...platform.fake.discovered, members: platform.fake.discovered.members.map((member) => ({ ...member, lagSeconds: member.state === 'secondary' ? 100 : null })) };
  const session = await platform.ended(await backup(platform));
  assert.equal(session.failure?.code, 'domain.no-source-node');
  assert.match(session.failure?.message ?? '', /27017 is primary.*27018 is 100 s behind/);
});

test('a second backup of a set is refused as busy and names the session that runs; after its end it may run', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  const go = Promise.withResolvers<void>();
  const usual = platform.fake.scripts.backup;
  platform.fake.scripts.backup = async (input, voice) => {
    await go.promise;
    return await usual(input, voice);
  };
  const first = await backup(platform);
  const refused = await platform.refused('backup.run', { params: { set: 'rs0' }, body: {} });
  assert.equal(refused.status, 409);
  assert.equal(refused.code, 'server.set-busy');
  assert.equal(refused.details.session, first);
  go.resolve();
  assert.equal((await platform.ended(first)).state, 'success');
  assert.equal((await platform.ended(await backup(platform))).state, 'success');
});

test('a stopped backup ends as stopped when its task has cleaned up, and its lane is free', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  let cleaned = false;
  platform.fake.scripts.backup = async (_input, voice) => {
    await untilStopped(voice);
    cleaned = true;
    throw voice.signal.reason as Error;
  };
  const id = await backup(platform);
  await begun(platform, 'backup');
  await platform.ask('session.stop', { params: { session: id } });
  const session = await platform.ended(id);
  assert.equal(session.state, 'stopped');
  assert.equal(session.failure, null);
  assert.equal(cleaned, true);
  assert.equal((await platform.refused('session.stop', { params: { session: id } })).code, 'server.session-ended');
  assert.equal((await platform.ask('session.retry', { params: { session: id } })).retryOf, id);
});

test('a failed session is retried with the same wishes, as a new session', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  const usual = platform.fake.scripts.backup;
  platform.fake.scripts.backup = async () => Promise.reject(failWith('agent.mover-died'));
  const failed = await platform.ended(await backup(platform, { compression: 'strong', reason: 'before the upgrade' }));
  platform.fake.scripts.backup = usual;
  const again = await platform.ask('session.retry', { params: { session: failed.id } });
  assert.equal(again.reason, 'before the upgrade');
  assert.equal((await platform.ended(again.id)).state, 'success');
  const inputs = platform.fake.begun.filter(({ kind }) => kind === 'backup').map(({ input }) => (input as { compression: string }).compression);
  assert.deepEqual(inputs, ['strong', 'strong']);
  assert.equal((await platform.refused('session.retry', { params: { session: again.id } })).code, 'server.session-not-failed');
});

test('a watcher sees every kept event once and in order, live or late, and the stream ends with the session', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  const go = Promise.withResolvers<void>();
  platform.fake.scripts.prove = async ({ level }, voice) => {
    await go.promise;
    for (let n = 0; n < 50; n++) voice.emit({ kind: 'line', atMs: n, level: 'info', text: `look ${n}` });
    return { at: { t: 2000, i: 1 }, level, collections: [], dbHash: null, mount: 'files', seconds: 1 };
  };
  const id = await backup(platform);
  const live = platform.events(id);
  await begun(platform, 'prove');
  go.resolve();
  const seen = (await live).filter(({ event }) => event.kind !== 'progress');
  assert.deepEqual(seen.map(({ number }) => number), seen.map((_, at) => at + 1));
  assert.deepEqual(seen.at(-1)?.event, { kind: 'state', state: 'success' });
  assert.deepEqual((await platform.events(id)).filter(({ event }) => event.kind !== 'progress'), seen);
  const half = seen[Math.floor(seen.length / 2)]!.number;
  assert.deepEqual(await platform.events(id, half), seen.slice(half));
  assert.equal((await platform.ask('session.log', { params: { session: id }, query: {} })).events.length, seen.length);
});
