/** What is verified by itself, on a real server whose host is simulated: full verifications with own checks, and the re-read. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../base/deadline.ts';
import { systemClock, type Clock } from '../base/clock.ts';
import { showTime, type ClusterTime } from '../base/cluster-time.ts';
import type { GivenPolicy } from '../contract/policies.ts';
import type { Session } from '../contract/sessions.ts';
import type { TaskInput } from '../contract/tasks.ts';
import { failWith } from '../../test/kit/fake-transport.ts';
import { openServerPlatform, type ServerPlatform } from '../../test/kit/server-platform.ts';

const hour = 3_600_000;
const check = (name: string) => ({ name, collection: 'shop.orders', count: {}, expect: { atLeast: 1 } });
const hourly: GivenPolicy = { name: 'nightly', sets: ['rs0'], schedule: { kind: 'manual' }, verification: { schedule: { kind: 'every', minutes: 60 }, checks: [check('orders are there'), check('orders are paid')] } };

type Turned = ServerPlatform & { turn(ms: number): void; point: string };

/** A set with one point at 2000,1 and archived oplog up to 3000,1, so that nearly every moment lies behind the point. */
async function openTurned(): Promise<Turned> {
  let aheadMs = 0;
  const clock: Clock = { ...systemClock, now: () => systemClock.now() + aheadMs };
  const platform = await openServerPlatform({}, { clock });
  await platform.addSet();
  const { id } = await platform.ask('backup.run', { params: { set: 'rs0' }, body: {} });
  assert.equal((await platform.ended(id)).state, 'success');
  platform.fake.through = { t: 3_000, i: 1, term: 1 };
  return Object.assign(platform, { turn: (ms: number) => void (aheadMs += ms), point: platform.fake.points[0]!.id });
}

/** Own checks hold where `holds` says so. */
function answerChecks(platform: ServerPlatform, holds: (name: string, at: ClusterTime | null) => boolean): void {
  const prove = platform.fake.scripts.prove;
  platform.fake.scripts.prove = async (input, voice) => ({ ...(await prove(input, voice)), checks: input.checks.map(({ name }) => ({ name, ok: holds(name, input.at), says: holds(name, input.at) ? '42 documents' : '0 documents, expected at least 1', seconds: 0.1 })) });
}

const proofs = (platform: ServerPlatform): TaskInput<'prove'>[] => platform.fake.begun.filter(({ kind }) => kind === 'prove').map(({ input }) => input as TaskInput<'prove'>).filter(({ level }) => level === 'full');
const ofKind = async (platform: ServerPlatform, kind: 'verify' | 'check' | 'backup'): Promise<Session[]> => (await platform.ask('session.list', { query: { kind } })).sessions;
const shown = async (platform: Turned) => await platform.ask('point.show', { params: { point: platform.point } });
const alarmed = async (platform: ServerPlatform): Promise<string[]> => (await platform.ask('set.show', { params: { set: 'rs0' } })).alarms.map(({ what, says }) => `${what}: ${says}`);

async function verifyNow(platform: ServerPlatform): Promise<Session> {
  const { sessions } = await platform.ask('policy.verify', { params: { policy: 'nightly' }, body: {} });
  assert.equal(sessions.length, 1);
  return await platform.ended(sessions[0]!.id);
}

async function newPoint(platform: ServerPlatform): Promise<Session> {
  return await until('a restore point that is made by itself', 20_000, async () => (await ofKind(platform, 'backup')).find(({ state, reason }) => state === 'success' && reason !== null), { everyMs: 20 });
}

test('a set is verified in full when it is due, once, at a moment by chance, and what was found is on the point', async () => {
  await using platform = await openTurned();
  answerChecks(platform, () => true);
  await platform.ask('policy.add', { body: hourly });
  await until('the policy to count', 10_000, async () => ((await platform.ask('check.list', { query: {} })).verifications[0]?.nextAtMs ?? null) !== null ? true : undefined);
  assert.deepEqual(await ofKind(platform, 'verify'), [], 'nothing is due yet');
  platform.turn(3 * hour);
  await platform.restartServer();
  const [session] = await until('a verification', 20_000, async () => {
    const found = await ofKind(platform, 'verify');
    return found[0]?.state === 'success' ? found : undefined;
  }, { everyMs: 20 });
  assert.equal(session!.reason, 'policy nightly: its verification is due');
  await platform.restartServer();
  assert.equal((await ofKind(platform, 'verify')).length, 1, 'what was missed is made up for once');
  const [asked] = proofs(platform);
  assert.ok(asked!.at !== null && asked!.at.t >= 1_995 && asked!.at.t <= 3_000, JSON.stringify(asked));
  assert.deepEqual([asked!.level, asked!.checks.map(({ name }) => name)], ['full', ['orders are there', 'orders are paid']]);
  const { proof } = await shown(platform);
  assert.deepEqual([proof?.level, proof?.ok, proof?.checks?.map(({ name, ok }) => [name, ok])], ['full', true, [['orders are there', true], ['orders are paid', true]]]);
  assert.match(proof?.says ?? '', /2 own checks hold/);
  const { verifications } = await platform.ask('check.list', { query: { set: 'rs0' } });
  assert.deepEqual(verifications.map(({ policy, set, last }) => [policy, set, last?.ok, last?.point, last?.session]), [['nightly', 'rs0', true, platform.point, session!.id]]);
  assert.deepEqual(await alarmed(platform), []);
});

test('a check that does not hold marks the point, is an alarm, and a new point is made by itself', async () => {
  await using platform = await openTurned();
  answerChecks(platform, (name) => name !== 'orders are paid');
  await platform.ask('policy.add', { body: hourly });
  const session = await verifyNow(platform);
  assert.deepEqual([session.state, session.failure?.code], ['failed', 'server.verification-failed']);
  assert.match(session.failure!.message, /1 of 2 own checks does not hold \("orders are paid": 0 documents, expected at least 1\)/);
  assert.equal(proofs(platform)[1]!.at, null, 'the point was looked at at its own moment, too');
  const { proof } = await shown(platform);
  assert.deepEqual([proof?.level, proof?.ok, proof?.checks?.map(({ ok }) => ok)], ['full', false, [true, false]]);
  assert.match((await alarmed(platform)).join(), /a verification failed: 1 of 2 own checks.* itself is bad, too/);
  const backup = await newPoint(platform);
  assert.match(backup.reason!, /^a verification failed/);
  const plan = await platform.ask('retention.preview', { params: { set: 'rs0' } });
  assert.equal(plan.stays.find(({ point }) => point === platform.point)?.why.includes('not proved good, and fewer than 3 newer ones are'), true, 'with one good point there is no older one to go');
  const [last] = (await platform.ask('check.list', { query: {} })).verifications;
  assert.deepEqual([last?.last?.ok, last?.last?.checks.map(({ ok }) => ok)], [false, [true, false]]);
});

test('when only the moments behind a point are bad, the point is not blamed, and the alarm says what is', async () => {
  await using platform = await openTurned();
  answerChecks(platform, (_, at) => at === null);
  await platform.ask('policy.add', { body: hourly });
  const session = await verifyNow(platform);
  assert.equal(session.state, 'failed');
  assert.deepEqual([(await shown(platform)).proof?.ok, (await shown(platform)).proof?.level], [true, 'full']);
  assert.match((await alarmed(platform)).join(), new RegExp(`restore point ${platform.point} itself is sound, the moments behind it are not`));
  await newPoint(platform);
});

test('a damaged archive behind the point is a finding, and a host that lacks something is none', async () => {
  await using platform = await openTurned();
  await platform.ask('policy.add', { body: hourly });
  const prove = platform.fake.scripts.prove;
  platform.fake.scripts.prove = async () => await Promise.reject(failWith('mongo.binary-missing', 'no mongod of 6.0 here'));
  assert.equal((await verifyNow(platform)).failure?.code, 'mongo.binary-missing');
  assert.deepEqual([await alarmed(platform), (await shown(platform)).proof?.level], [[], 'open']);
  platform.fake.scripts.prove = async (input, voice) => (input.at === null ? await prove(input, voice) : await Promise.reject(failWith('repository.oplog-damaged', 'slice 7 is damaged')));
  assert.equal((await verifyNow(platform)).failure?.code, 'repository.oplog-damaged');
  assert.match((await alarmed(platform)).join(), /slice 7 is damaged; restore point \w+ itself is sound/);
});

test('another history does not condemn a point while two chains hold its time: nobody knows then which of them was wrong', async () => {
  await using platform = await openTurned();
  platform.fake.scripts.prove = async () => await Promise.reject(failWith('mongo.replay-history-differs', 'term 2 in the copy, 1 in the archive'));
  const verify = async (): Promise<Session> => await platform.ended((await platform.ask('point.verify', { params: { point: platform.point }, body: {} })).id);
  const [first] = platform.fake.spans.splice(0);
  platform.fake.spans.push({ ...first!, through: { t: 2_900, i: 1 } }, { chain: 'c2', after: { t: 1_500, i: 1 }, through: { t: 3_000, i: 1 } });
  assert.equal((await verify()).failure?.code, 'mongo.replay-history-differs');
  assert.equal((await shown(platform)).proof?.ok, true);
  platform.fake.spans.splice(1);
  assert.equal((await verify()).failure?.code, 'mongo.replay-history-differs');
  assert.equal((await shown(platform)).proof?.ok, false);
});

test('a verification that a server left is taken up by the next one at the same moment', async () => {
  await using platform = await openTurned();
  await platform.ask('policy.add', { body: hourly });
  const go = Promise.withResolvers<void>();
  const prove = platform.fake.scripts.prove;
  platform.fake.scripts.prove = async (input, voice) => {
    await go.promise;
    return await prove(input, voice);
  };
  const { sessions } = await platform.ask('policy.verify', { params: { policy: 'nightly' }, body: {} });
  await until('the proof', 10_000, () => (proofs(platform).length > 0 ? true : undefined), { everyMs: 10 });
  assert.equal((await platform.refused('policy.verify', { params: { policy: 'nightly' }, body: {} })).code, 'server.set-busy');
  assert.equal((await platform.refused('point.delete', { body: { points: [platform.point], apply: true } })).code, 'server.point-busy', 'its point is in use');
  await platform.restartServer();
  go.resolve();
  const session = await platform.ended(sessions[0]!.id);
  assert.equal(session.state, 'success');
  assert.equal(proofs(platform).length, 1);
  assert.ok(session.result?.kind === 'verify');
  assert.equal(showTime(session.result.at), showTime(proofs(platform)[0]!.at!));
});

test('a repository is re-read a slice each night; one that was cut short is read again, and nights that were missed are made up for', async () => {
  await using platform = await openTurned();
  const slices = (): number[][] => platform.fake.begun.filter(({ kind }) => kind === 'check').map(({ input }) => (input as TaskInput<'check'>).slice!.parts);
  const night = async (days: number): Promise<Session> => {
    const before = (await ofKind(platform, 'check')).length;
    platform.turn(days * 24 * hour);
    await platform.restartServer();
    return await until('the re-read of a night', 20_000, async () => {
      const found = await ofKind(platform, 'check');
      return found.length > before && found[0]!.endedAtMs !== null ? found[0] : undefined;
    }, { everyMs: 20 });
  };
  // In the evening: of a morning the first night is so near to the second day that it reads two slices.
  platform.turn(((20 - new Date().getHours() + 24) % 24) * hour);
  const name = (await platform.ask('repository.list', {})).repositories[0]!.name;
  const set = await platform.ask('repository.reread', { params: { repository: name }, body: { days: 8, at: '01:00' } });
  assert.deepEqual([set.reread?.days, set.reread?.readSinceMs, set.reread?.partsRead], [8, null, 0]);
  assert.equal((await night(1)).state, 'success');
  const whole = platform.fake.scripts.check;
  platform.fake.scripts.check = async () => await Promise.reject(failWith('agent.mover-died', 'it was killed'));
  assert.equal((await night(1)).state, 'failed');
  platform.fake.scripts.check = whole;
  assert.equal((await night(1)).state, 'success');
  assert.deepEqual(slices(), [[0], [1], [1, 2]]);
  await night(4);
  assert.deepEqual(slices().at(-1), [3, 4], 'at most a quarter in one night');
});

async function rereadNight(platform: Turned): Promise<void> {
  const before = (await ofKind(platform, 'check')).length;
  platform.turn(24 * hour);
  await platform.restartServer();
  await until('a re-read', 20_000, async () => {
    const checks = await ofKind(platform, 'check');
    return checks.length > before && checks.every(({ endedAtMs }) => endedAtMs !== null) ? true : undefined;
  }, { everyMs: 20 });
}

test('what is missing in a folder is an alarm each time that other things are missing, and one as long as they are the same', async () => {
  await using platform = await openTurned();
  const lost = ['chunk a is nowhere whole'];
  platform.fake.scripts.check = async () => ({ ok: false, points: 1, chunks: 5, packs: 1, readBytes: 100, damage: lost.map((what) => ({ object: 'sets/x/packs/', what })), hurtPoints: [platform.point], hurtOplog: [] });
  await platform.ask('repository.reread', { params: { repository: (await platform.ask('repository.list', {})).repositories[0]!.name }, body: { days: 8 } });
  for (const then of [undefined, undefined, 'chunk b is nowhere whole', undefined]) {
    if (then !== undefined) lost.unshift(then);
    await rereadNight(platform);
  }
  const hurt = '1 restore points and 0 stretches of oplog are hurt';
  assert.deepEqual((await alarmed(platform)).sort(), [`stored bytes are damaged: sets/x/packs/: chunk a is nowhere whole (and 1 more); ${hurt}`, `stored bytes are damaged: sets/x/packs/: chunk a is nowhere whole; ${hurt}`]);
});

test('damage that a re-read finds marks the points that it hurts, is one alarm however often it is found, and a new point is made', async () => {
  await using platform = await openTurned();
  platform.fake.scripts.check = async () => ({ ok: false, points: 1, chunks: 5, packs: 1, readBytes: 100, damage: [{ object: 'packs/ab', what: 'frame 3 is not what was stored' }], hurtPoints: [platform.point], hurtOplog: [] });
  await platform.ask('repository.reread', { params: { repository: (await platform.ask('repository.list', {})).repositories[0]!.name }, body: { days: 8 } });
  await rereadNight(platform);
  await rereadNight(platform);
  assert.deepEqual((await ofKind(platform, 'check')).map(({ state }) => state), ['warning', 'warning']);
  const { proof } = await shown(platform);
  assert.deepEqual([proof?.level, proof?.ok, proof?.says], ['full', false, 'a re-read found damage in its bytes: packs/ab: frame 3 is not what was stored']);
  assert.deepEqual(await alarmed(platform), ['stored bytes are damaged: packs/ab: frame 3 is not what was stored; 1 restore points and 0 stretches of oplog are hurt']);
  await newPoint(platform);
});
