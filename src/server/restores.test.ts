/** Restores, publications and searches: which point and moment a host is asked for, and what is refused before it is asked. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { until } from '../base/deadline.ts';
import { setId } from '../../test/kit/fake-set.ts';
import { failWith, makePoint } from '../../test/kit/fake-transport.ts';
import { openServerPlatform, target, type ServerPlatform } from '../../test/kit/server-platform.ts';
import type { TaskKind } from '../contract/tasks.ts';

/** Two points on a chain from 1000,1 to 2000,1: p1 with its checkpoint at 1100,1 and p2 at 1500,1. */
async function openHistory(timing: Parameters<typeof openServerPlatform>[0] = {}, prepare: (fake: ServerPlatform['fake']) => void = () => {}): Promise<ServerPlatform> {
  const platform = await openServerPlatform(timing);
  const { fake } = platform;
  prepare(fake);
  for (const [id, t] of [['p1', 1100], ['p2', 1500]] as const) {
    fake.points.push({ ...makePoint(fake), id, createdAtMs: t * 1000, checkpoint: { t, i: 1 }, top: { t: t + 5, i: 2, term: 1 } });
  }
  await platform.addSet();
  return platform;
}

const given = (platform: ServerPlatform, kind: TaskKind) => platform.fake.begun.filter((task) => task.kind === kind).at(-1)?.input as Record<string, any>;
const ns = [{ from: 'shop.orders', to: 'shop.back' }];

test('points that an archive held before are there as soon as the set is added', async () => {
  await using platform = await openHistory();
  assert.deepEqual((await platform.ask('point.list', { query: { set: 'rs0' } })).points.map(({ id }) => id), ['p1', 'p2']);
  assert.equal((await platform.ask('set.show', { params: { set: setId } })).lastPoint?.id, 'p2');
});

for (const [at, point, moment] of [
  ['latest', 'p2', { t: 2000, i: 1 }],
  ['p1', 'p1', { t: 1105, i: 2 }],
  ['1400,7', 'p1', { t: 1400, i: 7 }],
  ['before:1500,1', 'p1', { t: 1500, i: 0 }],
  ['1970-01-01T00:30:00Z', 'p2', { t: 1800, i: 0xffffffff }],
] as const) {
  test(`collections at ${at} come from ${point} brought to ${moment.t},${moment.i}, with the set's own sign-in`, async () => {
    await using platform = await openHistory();
    const { id } = await platform.ask('restore.collections', { params: { set: 'rs0' }, body: { at, namespaces: ns, reason: 'a mistake' } });
    const session = await platform.ended(id);
    assert.equal(session.state, 'success');
    assert.equal(session.reason, 'a mistake');
    const input = given(platform, 'restore-collections');
    assert.deepEqual([input['point'], input['at'], input['apply'], input['existing'], input['into']], [point, moment, false, 'refuse', target]);
    assert.ok(session.result?.kind === 'restore-collections' && !session.result.applied);
  });
}

for (const [at, code, words] of [
  ['2000,2', 'domain.moment-unreachable', /archived oplog reaches 2000,1, after 0\.\d s of waiting for more/],
  ['4000000000,1', 'domain.moment-unreachable', /archived oplog reaches 2000,1$/],
  ['1000,1', 'domain.moment-unreachable', /oldest restore point begins at 1100,1/],
  ['1970-01-01T00:30:00', 'domain.moment-without-zone', /no time zone/],
  ['noon', 'domain.moment-not-understood', /not a moment/],
] as const) {
  test(`a restore to ${at} is refused before anything starts`, async () => {
    await using platform = await openHistory({ archiveWaitMs: 300 });
    const refused = await platform.refused('restore.set', { params: { set: 'rs0' }, body: { at, members: [{ directory: '/x', host: 'h', port: 1 }] } });
    assert.deepEqual([refused.status, refused.code], [422, code]);
    assert.match(refused.message, words);
    assert.equal(given(platform, 'restore-set'), undefined);
    assert.deepEqual((await platform.ask('session.list', { query: { kind: 'restore-set' } })).sessions, []);
  });
}

test('a plan is told apart from the restore that it plans: in its session, and by no report', async () => {
  await using platform = await openHistory();
  const made = async (apply: boolean) => await platform.ended((await platform.ask('restore.collections', { params: { set: 'rs0' }, body: { at: 'latest', namespaces: ns, apply } })).id);
  const [plan, restore] = [await made(false), await made(true)];
  assert.deepEqual([plan.isPlan, restore.isPlan, plan.state, restore.state], [true, false, 'success', 'success']);
  const { report } = await platform.ask('report.daily', { query: {} });
  assert.deepEqual(report.sessions.flatMap(({ id, kind }) => (kind === 'restore-collections' ? [id] : [])), [restore.id]);
  assert.equal((await platform.ended((await platform.ask('session.retry', { params: { session: await failed() } })).id)).isPlan, true);

  async function failed(): Promise<string> {
    const usual = platform.fake.scripts['restore-collections'];
    platform.fake.scripts['restore-collections'] = async () => await Promise.reject(failWith('mongo.not-reached', 'it is away'));
    const { id, state, isPlan } = await made(false);
    assert.deepEqual([state, isPlan], ['failed', true]);
    platform.fake.scripts['restore-collections'] = usual;
    return id;
  }
});

test('a second that cannot be reached is said as it was asked for', async () => {
  await using platform = await openHistory();
  const { message } = await platform.refused('restore.collections', { params: { set: 'rs0' }, body: { at: '1970-01-01T00:10:00Z', namespaces: ns } });
  assert.equal(message, 'the moment 1970-01-01T00:10:00Z cannot be reached: the oldest restore point begins at 1100,1');
});

test('a restore and a mount of a moment that is not archived yet wait for it, and their sessions say so', async () => {
  const later = { t: 2003, i: 1, term: 1 };
  await using platform = await openHistory({}, (fake) => {
    fake.scripts.oplog = async (_input, voice) => {
      while (!voice.signal.aborted) {
        voice.emit({ kind: 'status', atMs: systemClock.now(), key: 'chain', value: { chain: 'c1', through: fake.through, committed: later } });
        await systemClock.wait(50, voice.signal).catch(() => {});
      }
      return { through: null };
    };
  });
  const { fake } = platform;
  const asked = fake.answered.length;
  const [restoring, publishing] = [platform.ask('restore.collections', { params: { set: 'rs0' }, body: { at: '2002,5', namespaces: ns } }), platform.ask('publication.start', { params: { set: 'rs0' }, body: { at: '2003,1' } })];
  await until('both to ask what is archived', 10_000, () => (fake.answered.slice(asked).filter((order) => order === 'archive.window').length >= 2 ? true : undefined));
  assert.equal(given(platform, 'restore-collections'), undefined);
  fake.through = later;
  const publication = await publishing;
  await platform.ask('publication.stop', { params: { publication: publication.id } });
  for (const session of [(await restoring).id, publication.session]) {
    await platform.ended(session);
    const lines = (await platform.events(session)).flatMap(({ event }) => (event.kind === 'line' ? [event.text] : []));
    assert.match(lines[0] ?? '', /^waited \d+\.\d s until the archive held 200[23],[15]$/);
  }
});

test('a moment behind a barrier is refused with the last safe one', async () => {
  await using platform = await openHistory();
  (platform.fake.barriers as { at: { t: number; i: number }; what: string }[]).push({ at: { t: 1700, i: 3 }, what: 'importCollection' });
  const refused = await platform.refused('publication.start', { params: { set: 'rs0' }, body: { at: '1800,1' } });
  assert.match(refused.message, /importCollection at 1700,3/);
  assert.deepEqual(refused.details.lastSafe, { t: 1700, i: 2 });
  assert.match(refused.hint, /1700,2/);
});

test('a whole set is planned by default and laid down with apply, under another name when asked', async () => {
  await using platform = await openHistory();
  const members = [{ directory: '/data/a', host: 'db1', port: 27017 }];
  await platform.ended((await platform.ask('restore.set', { params: { set: 'rs0' }, body: { at: '1200,1', members } })).id);
  assert.deepEqual([given(platform, 'restore-set')['apply'], given(platform, 'restore-set')['setName']], [false, 'rs0']);
  const session = await platform.ended((await platform.ask('restore.set', { params: { set: 'rs0' }, body: { at: '1200,1', members, name: 'rs1', apply: true, start: true } })).id);
  assert.deepEqual([given(platform, 'restore-set')['apply'], given(platform, 'restore-set')['setName'], given(platform, 'restore-set')['start']], [true, 'rs1', true]);
  assert.ok(session.result?.kind === 'restore-set' && session.result.applied);
});

test('a publication becomes ready with its address, is listed, and ends when it is stopped', async () => {
  await using platform = await openHistory();
  const started = await platform.ask('publication.start', { params: { set: 'rs0' }, body: { at: '1200,1', port: 31234 } });
  const show = async () => await platform.ask('publication.show', { params: { publication: started.id } });
  const ready = await until('the publication', 10_000, async () => ((await show()).state === 'ready' ? await show() : undefined), { everyMs: 20 });
  assert.equal(ready.uri, 'mongodb://127.0.0.1:31234/?directConnection=true');
  assert.equal(given(platform, 'publish')['withUsers'], true);
  await platform.restartServer();
  assert.equal((await platform.ask('publication.list', {})).publications[0]?.state, 'ready');
  await platform.ask('publication.stop', { params: { publication: started.id } });
  const session = await platform.ended(started.session);
  assert.ok(session.result?.kind === 'publish' && session.result.why === 'stopped');
  assert.deepEqual([(await show()).state, (await show()).uri], ['ended', null]);
  await platform.ask('publication.stop', { params: { publication: started.id } });
});

test('a publication whose host was restarted says so and when it ended', async () => {
  await using platform = await openHistory();
  const started = await platform.ask('publication.start', { params: { set: 'rs0' }, body: { at: '1200,1' } });
  const show = async () => await platform.ask('publication.show', { params: { publication: started.id } });
  await until('the publication', 10_000, async () => ((await show()).state === 'ready' ? true : undefined), { everyMs: 20 });
  assert.equal((await show()).endedAtMs, null);
  await platform.fake.restart();
  await platform.ended(started.session);
  const ended = await show();
  assert.equal(ended.says, 'ended because the transport service was restarted; start it again');
  assert.ok(ended.endedAtMs !== null && ended.endedAtMs < ended.expiresAtMs);
});

test('a publication expires by itself', async () => {
  await using platform = await openHistory();
  platform.fake.scripts.publish = async ({ expiresMs }) => {
    assert.ok(expiresMs > 5_000 && expiresMs <= 10_000);
    return { why: 'expired' };
  };
  const started = await platform.ask('publication.start', { params: { set: 'rs0' }, body: { at: 'latest', expiresSeconds: 10 } });
  const session = await platform.ended(started.session);
  assert.ok(session.result?.kind === 'publish' && session.result.why === 'expired');
});

test('a search of the oplog has its borders and finds operations', async () => {
  await using platform = await openHistory();
  const { id } = await platform.ask('oplog.find', { params: { set: 'rs0' }, body: { ns: 'shop.orders', op: 'command', since: 'p1', until: '1970-01-01T00:30:00Z' } });
  const session = await platform.ended(id);
  assert.ok(session.result?.kind === 'oplog-find');
  assert.equal(session.result.matches[0]?.what, 'drop orders');
  const { since, until: till, limit } = given(platform, 'oplog-find');
  assert.deepEqual([since, till, limit], [{ t: 1105, i: 2 }, { t: 1800, i: 0xffffffff }, 100]);
});

test('a proof that fails at another moment, or for the oplog, does not condemn the point; one of its own moment does', async () => {
  await using platform = await openHistory();
  const verify = async (code: string, at: string | null): Promise<boolean | undefined> => {
    platform.fake.scripts.prove = async () => Promise.reject(failWith(code, 'rot'));
    const session = await platform.ended((await platform.ask('point.verify', { params: { point: 'p1' }, body: { level: 'full', at } })).id);
    assert.equal(session.failure?.code, code);
    return (await platform.ask('point.show', { params: { point: 'p1' } })).proof?.ok;
  };
  const before = (await platform.ask('point.show', { params: { point: 'p1' } })).proof?.ok;
  assert.equal(await verify('agent.proof-failed', '1900,1'), before);
  assert.equal(await verify('repository.oplog-damaged', null), before);
  assert.equal(await verify('agent.proof-failed', 'p1'), false);
});

test('a second named as the beginning of a search is searched from its first operation', async () => {
  await using platform = await openHistory();
  await platform.ended((await platform.ask('oplog.find', { params: { set: 'rs0' }, body: { since: '1970-01-01T00:30:00.7Z', until: '1900,1' } })).id);
  assert.deepEqual(given(platform, 'oplog-find')['since'], { t: 1800, i: 0 });
});

for (const [catchesUp, words] of [[true, 'waits until the archive has what happened before the question'], [false, 'says that newer operations are not archived yet when the archive stays behind']] as const) {
  test(`a search into the present ${words}`, async () => {
    await using platform = await openServerPlatform({ findWaitMs: catchesUp ? 15_000 : 1_500 });
    const { fake } = platform;
    fake.points.push({ ...makePoint(fake), id: 'p2', checkpoint: { t: 1995, i: 1 }, top: { t: 1996, i: 2, term: 1 } });
    const committed = { t: 2003, i: 1, term: 1 };
    fake.scripts.oplog = async (_input, voice) => {
      while (!voice.signal.aborted) {
        voice.emit({ kind: 'status', atMs: systemClock.now(), key: 'chain', value: { chain: 'c1', through: fake.through, committed } });
        await systemClock.wait(50, voice.signal).catch(() => {});
      }
      return { through: null };
    };
    await platform.addSet();
    const { id } = await platform.ask('oplog.find', { params: { set: 'rs0' }, body: {} });
    await until('the search to wait', 10_000, async () => ((await platform.ask('session.show', { params: { session: id } })).steps.length > 0 ? true : undefined));
    assert.equal(given(platform, 'oplog-find'), undefined);
    if (catchesUp) fake.through = committed;
    const { result } = await platform.ended(id);
    assert.ok(result?.kind === 'oplog-find');
    assert.equal(result.notArchivedYet === null, catchesUp);
    assert.deepEqual(result.searchedThrough, catchesUp ? { t: 2003, i: 1 } : { t: 2000, i: 1 });
    assert.deepEqual(result.matches.map(({ at, reachable }) => [at.t, reachable]), [[1990, false]]);
  });
}

test('a point is verified in full at a moment it leads to, and not at one it does not', async () => {
  await using platform = await openHistory();
  const session = await platform.ended((await platform.ask('point.verify', { params: { point: 'p1' }, body: { level: 'full', at: '1900,1' } })).id);
  assert.ok(session.result?.kind === 'verify' && session.result.dbHash !== null);
  assert.deepEqual([given(platform, 'prove')['point'], given(platform, 'prove')['at']], ['p1', { t: 1900, i: 1 }]);
  assert.equal((await platform.ask('point.show', { params: { point: 'p1' } })).proof?.level, 'full');
  assert.equal((await platform.refused('point.verify', { params: { point: 'p2' }, body: { at: '1400,1' } })).code, 'domain.moment-unreachable');
  assert.equal((await platform.refused('point.verify', { params: { point: 'p9' }, body: {} })).code, 'server.point-unknown');
});

test('deleting points is planned with the moments that would be lost, and carried out with apply', async () => {
  await using platform = await openHistory();
  const plan = await platform.ask('point.delete', { body: { points: ['p1'] } });
  assert.deepEqual([plan.applied, plan.points.map(({ id }) => id), plan.deleted], [false, ['p1'], []]);
  assert.deepEqual(plan.momentsLost, [{ after: { t: 1100, i: 0 }, through: { t: 1500, i: 0 } }]);
  assert.equal(platform.fake.points.length, 2);
  const done = await platform.ask('point.delete', { body: { points: ['p1'], apply: true } });
  assert.deepEqual(done.deleted, ['p1']);
  assert.deepEqual((await platform.ask('point.list', { query: {} })).points.map(({ id }) => id), ['p2']);
  assert.equal((await platform.refused('point.delete', { body: { points: ['p1'] } })).code, 'server.point-unknown');
});

test('a held point and a point in use stay, with the reason', async () => {
  await using platform = await openHistory();
  await platform.ask('point.hold', { params: { point: 'p1' }, body: { reason: 'the audit of May' } });
  const held = await platform.refused('point.delete', { body: { points: ['p1'], apply: true } });
  assert.deepEqual([held.status, held.code], [409, 'server.point-held']);
  assert.match(held.message, /audit of May/);
  const published = await platform.ask('publication.start', { params: { set: 'rs0' }, body: { at: '1600,1' } });
  const both = await platform.ask('point.delete', { body: { points: ['p1', 'p2'], apply: true } });
  assert.deepEqual(both.deleted, []);
  assert.match(both.refused.find(({ point }) => point === 'p2')?.why ?? '', new RegExp(published.id));
  const inUse = await platform.refused('point.delete', { body: { points: ['p2'], apply: true } });
  assert.match(inUse.hint, new RegExp(`tidemark publish stop ${published.id}`));
  await platform.ask('point.release', { params: { point: 'p1' } });
  assert.deepEqual((await platform.ask('point.delete', { body: { points: ['p1'], apply: true } })).deleted, ['p1']);
});

test('a point that vanished from its repository is marked lost when the repository is asked', async () => {
  await using platform = await openHistory();
  platform.fake.points.shift();
  const window = await platform.ask('set.window', { params: { set: 'rs0' }, query: {} });
  assert.deepEqual([window.set, window.points.map(({ id }) => id), window.oplog.state], ['rs0', ['p2'], 'following']);
  assert.equal((await platform.ask('point.show', { params: { point: 'p1' } })).lost, true);
});

test('a point whose manifest is damaged is shown as hurt, neither gone nor lost, and leads to no moment', async () => {
  await using platform = await openHistory();
  platform.fake.points.shift();
  platform.fake.damaged.push({ object: 'sets/x/points/p1', what: 'its bytes are not those that were written', point: 'p1' });
  const window = await platform.ask('set.window', { params: { set: 'rs0' }, query: {} });
  assert.deepEqual([window.points.map(({ id }) => id), window.damaged.map(({ point }) => point)], [['p2'], ['p1']]);
  const { hurt, lost } = await platform.ask('point.show', { params: { point: 'p1' } });
  assert.deepEqual([hurt, lost], [true, false]);
  platform.fake.damaged.pop();
  await platform.ask('set.window', { params: { set: 'rs0' }, query: {} });
  assert.equal((await platform.ask('point.show', { params: { point: 'p1' } })).lost, true);
});

test('a check goes through every archive; damage is a warning with the points it hurts', async () => {
  await using platform = await openHistory();
  const fine = await platform.ended((await platform.ask('repository.check', { params: { repository: 'default' }, body: { readDataPercent: 50 } })).id);
  assert.ok(fine.state === 'success' && fine.result?.kind === 'check' && fine.result.archives[0]?.set === 'rs0');
  assert.equal(given(platform, 'check')['readDataPercent'], 50);
  platform.fake.scripts.check = async () => ({ ok: false, points: 2, chunks: 5, packs: 1, readBytes: 0, damage: [{ object: 'packs/1', what: 'missing' }], hurtPoints: ['p1'], hurtOplog: [] });
  const hurt = await platform.ended((await platform.ask('repository.check', { params: { repository: 'default' }, body: {} })).id);
  assert.deepEqual([hurt.state, hurt.warnings], ['warning', 1]);
  assert.ok(hurt.result?.kind === 'check' && !hurt.result.ok);
});

test('a test of a repository is a task of its host, and what is not kept is a warning; another host opens only what every host opens', async () => {
  await using platform = await openHistory();
  const fine = await platform.ended((await platform.ask('repository.test', { params: { repository: 'default' }, body: { megabytes: 5 } })).id);
  assert.ok(fine.state === 'success' && fine.result?.kind === 'test' && fine.result.host === 'local');
  assert.deepEqual([given(platform, 'test-storage')['megabytes'], (given(platform, 'test-storage')['location'] as { kind: string }).kind], [5, 'directory']);
  platform.fake.scripts['test-storage'] = async () => ({ ok: false, findings: [{ what: 'a list has everything', level: 'bad', says: '3 of 64' }], speeds: [], freeBytes: null, clockApartMs: 0 });
  const bad = await platform.ended((await platform.ask('repository.test', { params: { repository: 'default' }, body: {} })).id);
  assert.deepEqual([bad.state, bad.warnings, bad.result?.kind === 'test' && bad.result.ok], ['warning', 1, false]);
  await assert.rejects(platform.ask('repository.test', { params: { repository: 'default' }, body: { host: 'nobody' } }), /server\.host-unknown/);
});

test('a sweep runs once at a time in a repository and says how much it freed', async () => {
  await using platform = await openHistory();
  const go = Promise.withResolvers<void>();
  const usual = platform.fake.scripts.sweep;
  platform.fake.scripts.sweep = async (input, voice) => {
    await go.promise;
    return await usual(input, voice);
  };
  const { id } = await platform.ask('repository.sweep', { params: { repository: 'default' } });
  assert.equal((await platform.refused('repository.sweep', { params: { repository: 'default' } })).code, 'server.repository-busy');
  go.resolve();
  const session = await platform.ended(id);
  assert.ok(session.result?.kind === 'sweep' && session.result.freedBytes === 77);
});

test('repositories are added once, shown with their archives, and never with a secret', async () => {
  await using platform = await openHistory();
  const body = { name: 'second', location: { kind: 'directory' as const, path: '/elsewhere/somewhere/else' }, passphrase: 'a long passphrase' };
  const added = await platform.ask('repository.add', { body });
  assert.deepEqual([added.isDefault, added.archives], [false, []]);
  assert.equal((await platform.refused('repository.add', { body })).code, 'server.repository-exists');
  const { repositories } = await platform.ask('repository.list', {});
  assert.deepEqual(repositories.map(({ name, isDefault }) => [name, isDefault]), [['default', true], ['second', false]]);
  assert.deepEqual(repositories[0]?.archives, [{ setId, setName: 'rs0', isProtected: true, points: 2 }]);
  assert.equal((await platform.refused('backup.run', { params: { set: 'rs0' }, body: { repository: 'second' } })).code, 'server.repository-other');
});

test('a failure of the host crosses to the operator with its own code and hint', async () => {
  await using platform = await openHistory();
  platform.fake.scripts['restore-collections'] = async () => Promise.reject(failWith('mongo.namespace-exists', 'shop.back is there already'));
  const session = await platform.ended((await platform.ask('restore.collections', { params: { set: 'rs0' }, body: { at: 'latest', namespaces: ns, apply: true } })).id);
  assert.deepEqual([session.state, session.failure?.code, session.failure?.hint], ['failed', 'mongo.namespace-exists', 'a hint']);
});

test('the host is described with the difference of its clock, and other hosts are unknown', async () => {
  await using platform = await openHistory();
  const described = await platform.ask('host.describe', { params: { host: 'local' } });
  assert.ok(Math.abs(described.clockSkewMs) < 5_000);
  assert.equal((await platform.refused('host.describe', { params: { host: 'mars' } })).code, 'server.host-unknown');
  const info = await platform.ask('server.info', {});
  assert.deepEqual([info.version, info.hosts[0]?.state], ['9.9.9', 'connected']);
});
