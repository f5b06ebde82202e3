/** Backup copies as the server runs them: where the work is done and with which archives, when, and what retention may take. */
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { test } from 'node:test';
import { until } from '../base/deadline.ts';
import type { TaskInput } from '../contract/tasks.ts';
import { setId } from '../../test/kit/fake-set.ts';
import { failWith, makePoint, type FakeTransport } from '../../test/kit/fake-transport.ts';
import { openServerPlatform, type ServerPlatform } from '../../test/kit/server-platform.ts';

const passphrase = 'another secret';
const second = { kind: 'directory', path: '/mnt/the-second-copy' } as const;

async function openCopied(host = 'local', timing: Parameters<typeof openServerPlatform>[0] = {}): Promise<{ platform: ServerPlatform; vault: FakeTransport }> {
  const platform = await openServerPlatform(timing);
  const vault = host === 'local' ? platform.fake : await platform.addHost(host);
  if (host !== 'local') vault.discovered = { ...vault.discovered, local: [] };
  await platform.ask('repository.add', { body: { name: 'second', host, location: second, passphrase } });
  await platform.addSet();
  return { platform, vault };
}

const backup = async (platform: ServerPlatform): Promise<string> => {
  const session = await platform.ended((await platform.ask('backup.run', { params: { set: 'rs0' }, body: {} })).id);
  assert.ok(session.result?.kind === 'backup');
  return session.result.point;
};
const run = async (platform: ServerPlatform) => await platform.ended((await platform.ask('copy.run', { params: { copy: 'rs0/second' } })).id);
const begun = (host: FakeTransport, kind: string) => host.begun.filter((task) => task.kind === kind).map(({ input }) => input as any);

test('a copy runs on the host of the repository that gets it, and reads the other one by a data session that may only read', async () => {
  const { platform, vault } = await openCopied('vault');
  await using _ = platform;
  const point = await backup(platform);
  await platform.ask('copy.add', { body: { set: 'rs0', to: 'second', keep: { kind: 'points', points: 5 } } });
  vault.points.push(...platform.fake.points);
  const session = await run(platform);
  assert.ok(session.result?.kind === 'copy', JSON.stringify(session));
  assert.deepEqual(session.result.points, [`${point}-repo20`]);
  const [input] = begun(vault, 'copy') as TaskInput<'copy'>[];
  assert.deepEqual([input!.archive.location, input!.from.location.kind, input!.keep, input!.what], [second, 'channel', { kind: 'points', points: 5 }, 'all']);
  const served = begun(platform.fake, 'serve-archive').at(-1);
  assert.deepEqual([served.right, served.peer, served.setId], ['read', (await platform.ask('host.list', { query: {} })).hosts.find(({ name }) => name === 'vault')!.id, setId]);
  const listed = (await platform.ask('point.list', { query: { set: 'rs0' } })).points;
  assert.deepEqual(Object.fromEntries(listed.map(({ id, repository, copiedFrom }) => [id, [repository, copiedFrom?.point ?? null]])), { [point]: ['default', null], [`${point}-repo20`]: ['second', point] });
  assert.equal((await platform.ask('set.show', { params: { set: 'rs0' } })).lastPoint?.id, point, 'the last point of a set is its own');
});

test('an immediate copy runs after each backup, follows the oplog, and ends with the copy', async () => {
  const { platform } = await openCopied('local', { copyEveryMs: 50 });
  await using _ = platform;
  await platform.ask('copy.add', { body: { set: 'rs0', to: 'second', schedule: { kind: 'immediate' } } });
  await until('the oplog to be copied twice', 10_000, () => (begun(platform.fake, 'copy').filter(({ what }) => what === 'oplog').length >= 2 ? true : undefined));
  await backup(platform);
  await until('the copy after the backup', 10_000, () => (begun(platform.fake, 'copy').some(({ what }) => what === 'all') ? true : undefined));
  await platform.restartServer();
  const keepers = async () => (await platform.ask('session.list', { query: { kind: 'copy-oplog' } })).sessions;
  assert.deepEqual((await keepers()).map(({ state }) => state), ['working']);
  const [keeper] = await keepers();
  assert.equal((await platform.refused('session.stop', { params: { session: keeper!.id } })).code, 'server.session-continuous');
  await until('no copy to be running', 10_000, async () => ((await platform.ask('copy.show', { params: { copy: 'rs0' } })).lastRun?.state === 'success' ? true : undefined));
  await platform.ask('copy.remove', { params: { copy: 'rs0' } });
  assert.deepEqual((await keepers()).map(({ state }) => state), ['stopped']);
});

test('an immediate copy from another host leaves nothing of the rounds that are over, however many there were', async () => {
  const { platform, vault } = await openCopied('vault', { copyEveryMs: 5 });
  await using _ = platform;
  await platform.ask('copy.add', { body: { set: 'rs0', to: 'second', schedule: { kind: 'immediate' } } });
  await until('the oplog to be copied six times', 10_000, () => (begun(vault, 'copy').length >= 6 ? true : undefined));
  const catalog = new DatabaseSync(join(platform.data, 'server', 'catalog.sqlite'), { readOnly: true });
  const rows = (table: string) => catalog.prepare(`select name from ${table} where session in (select id from sessions where kind = 'copy-oplog')`).all().map(({ name }) => String(name));
  const [notes, tasks] = [rows('session_notes'), rows('session_tasks')];
  catalog.close();
  assert.ok(notes.length <= 4 && tasks.length <= 2, [...notes, ...tasks].join(', '));
});

test('retention takes what the task says is too much, leaves what is held, and gives the space back', async () => {
  const { platform } = await openCopied();
  await using _ = platform;
  const point = await backup(platform);
  await platform.ask('copy.add', { body: { set: 'rs0', to: 'second' } });
  await run(platform);
  const copy = `${point}-repo20`;
  await platform.ask('point.hold', { params: { point: copy }, body: { reason: 'audit' } });
  const task = (failed: { point: string; why: string }[]) => async () => ({ copied: [], failed, waiting: 0, surplus: [copy], oplogFrom: null, proved: [{ point: copy, proof: { level: 'full' as const, atMs: 5_000_000_000_000, ok: false, says: 'two documents are missing' } }], outOfReach: [] as { point: string; why: string }[], oplog: { slices: 0, bytes: 0, through: null, damaged: [] }, bytes: { processed: 0, read: 0, transferred: 0, stored: 0 }, seconds: 1 });
  platform.fake.scripts.copy = task([]);
  const held = await run(platform);
  assert.ok(held.result?.kind === 'copy');
  assert.deepEqual([held.result.deleted, begun(platform.fake, 'sweep').length], [[], 0]);
  assert.equal((await platform.ask('point.show', { params: { point: copy } })).proof?.ok, false, 'a failed proof of the original reaches its copy');
  await platform.ask('point.release', { params: { point: copy } });
  platform.fake.scripts.copy = task([{ point: 'p9', why: 'damaged' }]);
  const failed = await run(platform);
  assert.ok(failed.state === 'warning' && failed.result?.kind === 'copy');
  assert.deepEqual(failed.result.deleted, [], 'nothing goes while something could not be copied');
  platform.fake.scripts.copy = task([]);
  const tend = platform.fake.scripts['tend-oplog'];
  platform.fake.scripts['tend-oplog'] = async () => await Promise.reject(failWith('repository.oplog-damaged', 'slice 7 is damaged'));
  const hindered = await run(platform);
  assert.deepEqual([hindered.failure?.code, begun(platform.fake, 'sweep').length], ['repository.oplog-damaged', 1], 'what is wrong with the oplog keeps no space back');
  platform.fake.scripts['tend-oplog'] = tend;
  platform.fake.points.push({ ...platform.fake.points[0]!, id: copy, copiedFrom: { repository: 'x', repositoryName: 'x', point } });
  platform.fake.scripts.copy = async () => ({ ...(await task([])()), outOfReach: [{ point: 'p1', why: 'its oplog is not there' }] });
  const passedBy = await run(platform);
  assert.ok(passedBy.state === 'warning' && passedBy.result?.kind === 'copy');
  assert.deepEqual(passedBy.result.deleted, [copy], 'a point that cannot come keeps the retention from nothing');
  platform.fake.scripts.copy = task([]);
  platform.fake.points.push({ ...platform.fake.points[0]!, id: copy, copiedFrom: { repository: 'x', repositoryName: 'x', point } });
  const released = await run(platform);
  assert.ok(released.result?.kind === 'copy');
  assert.deepEqual([released.state, released.result.deleted, released.result.freedBytes], ['success', [copy], 77]);
  assert.deepEqual((await platform.ask('point.list', { query: {} })).points.map(({ id }) => id), [point]);
});

test('a set is not copied to its own repository, nor twice to another one, and an unknown copy is said to be unknown', async () => {
  const { platform } = await openCopied();
  await using _ = platform;
  assert.equal((await platform.refused('copy.add', { body: { set: 'rs0', to: 'default' } })).code, 'server.copy-to-itself');
  await platform.ask('copy.add', { body: { set: 'rs0', to: 'second' } });
  assert.equal((await platform.refused('copy.add', { body: { set: 'rs0', to: 'second' } })).code, 'server.copy-exists');
  assert.deepEqual([(await platform.refused('copy.run', { params: { copy: 'rs9' } })).status, (await platform.ask('copy.list', {})).copies.length], [404, 1]);
});

test('an attached repository is read, and is not written before it is adopted; then protected sets go on in it', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  const point = await backup(platform);
  const old = await platform.ask('repository.import', { body: { name: 'old', location: second, passphrase } });
  assert.deepEqual([old.isAttached, old.archives.map(({ setName }) => setName)], [true, ['rs0']]);
  for (const refused of [
    await platform.refused('repository.sweep', { params: { repository: 'old' } }),
    await platform.refused('repository.repair', { params: { repository: 'old' }, body: {} }),
    await platform.refused('copy.add', { body: { set: 'rs0', to: 'old' } }),
  ]) assert.deepEqual([refused.status, refused.code], [409, 'server.repository-attached']);
  const restored = await platform.ended((await platform.ask('restore.collections', { params: { set: 'rs0' }, body: { at: 'latest', repository: 'old', namespaces: [{ from: 'a.b', to: 'a.c' }] } })).id);
  assert.equal(restored.state, 'success');
  assert.deepEqual([begun(platform.fake, 'restore-collections')[0].archive.location, begun(platform.fake, 'restore-collections')[0].archive.isReadOnly], [second, true]);

  platform.fake.holders.push({ what: 'oplog', seenMs: 1, untilMs: 2 });
  assert.equal((await platform.refused('repository.adopt', { params: { repository: 'old' }, body: { apply: true } })).code, 'server.repository-held');
  platform.fake.holders.length = 0;
  const plan = await platform.ask('repository.adopt', { params: { repository: 'old' }, body: {} });
  assert.deepEqual([plan.applied, plan.sets, (await platform.ask('repository.show', { params: { repository: 'old' } })).isAttached], [false, ['rs0'], true]);
  await platform.ask('repository.adopt', { params: { repository: 'old' }, body: { apply: true } });
  assert.deepEqual([(await platform.ask('set.show', { params: { set: 'rs0' } })).repository, (await platform.ask('repository.show', { params: { repository: 'old' } })).isAttached], ['old', false]);
  await until('the oplog to go there', 10_000, () => (begun(platform.fake, 'oplog').at(-1)?.archive.location.path === second.path ? true : undefined));
  assert.ok(point !== (await backup(platform)));
  assert.deepEqual(begun(platform.fake, 'backup').map(({ archive }) => archive.location.path === second.path), [false, true]);
});

test('a repository is not taken over while a backup of a set that would move is running, and its copy goes on', async () => {
  const { platform } = await openCopied();
  await using _ = platform;
  await platform.ask('copy.add', { body: { set: 'rs0', to: 'second' } });
  await run(platform);
  const usual = platform.fake.scripts.backup;
  const end = Promise.withResolvers<void>();
  platform.fake.scripts.backup = async (input, voice) => {
    await end.promise;
    return await usual(input, voice);
  };
  const { id } = await platform.ask('backup.run', { params: { set: 'rs0' }, body: {} });
  const adopt = { params: { repository: 'second' }, body: { apply: true } };
  assert.equal((await platform.refused('repository.adopt', adopt)).code, 'server.set-busy');
  assert.deepEqual([(await platform.ask('copy.list', {})).copies.length, (await platform.ask('set.show', { params: { set: 'rs0' } })).repository], [1, 'default']);
  end.resolve();
  await platform.ended(id);
  await platform.ask('repository.adopt', adopt);
  assert.deepEqual([(await platform.ask('copy.list', {})).copies, (await platform.ask('set.show', { params: { set: 'rs0' } })).repository], [[], 'second']);
});

test('an archive that was made since the import is taken over with the others, and who begins to work there at the last moment keeps the repository', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  const archives = platform.fake.archives.splice(0);
  await platform.ask('repository.import', { body: { name: 'old', location: second, passphrase } });
  platform.fake.archives.push(...archives);
  let asked = 0;
  Object.defineProperty(platform.fake, 'holders', { get: () => (++asked === 2 ? [{ what: 'writer', seenMs: 1, untilMs: 2 }] : []) });
  const adopt = { params: { repository: 'old' }, body: { apply: true } };
  assert.deepEqual([(await platform.refused('repository.adopt', adopt)).code, asked], ['server.repository-held', 2]);
  assert.equal((await platform.ask('repository.show', { params: { repository: 'old' } })).isAttached, true);
  assert.deepEqual((await platform.ask('repository.adopt', adopt)).sets, ['rs0']);
});

test('a set that is not protected is restored from an attached repository by the name it has there, with a place for its collections', async () => {
  await using platform = await openServerPlatform();
  platform.fake.points.push(makePoint(platform.fake));
  await platform.ask('repository.import', { body: { name: 'old', location: second, passphrase } });
  const body = { at: 'latest', repository: 'old' };
  const unknown = await platform.refused('restore.set', { params: { set: 'rs7' }, body: { ...body, members: [{ directory: '/x', host: 'h', port: 1 }] } });
  assert.equal(unknown.code, 'server.archive-unknown');
  assert.equal((await platform.refused('restore.collections', { params: { set: 'rs0' }, body: { ...body, namespaces: [{ from: 'a.b', to: 'a.c' }] } })).code, 'server.live-set-unknown');
  const { id } = await platform.ask('restore.set', { params: { set: 'rs0' }, body: { ...body, members: [{ directory: '/x', host: 'h', port: 1 }] } });
  assert.equal((await platform.ended(id)).state, 'success');
  assert.equal(begun(platform.fake, 'restore-set')[0].setName, 'rs0');
});
