/** Policies on a real server: what its schedule, its objects and its retention come to, with a host that is simulated. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../base/deadline.ts';
import { systemClock, type Clock } from '../base/clock.ts';
import type { GivenPolicy, PolicyRun } from '../contract/policies.ts';
import { failWith, makePoint } from '../../test/kit/fake-transport.ts';
import { openServerPlatform, type ServerPlatform } from '../../test/kit/server-platform.ts';

const nightly: GivenPolicy = { name: 'nightly', sets: ['rs0'], schedule: { kind: 'manual' } };

async function openWithSet(more: { clock?: Clock } = {}): Promise<ServerPlatform> {
  const platform = await openServerPlatform({}, more);
  await platform.addSet();
  return platform;
}

const runEnded = async (platform: ServerPlatform, policy = 'nightly'): Promise<PolicyRun> =>
  await until(`a run of ${policy} to end`, 20_000, async () => {
    const { lastRun } = await platform.ask('policy.show', { params: { policy } });
    return lastRun !== null && lastRun.state !== 'open' ? lastRun : undefined;
  }, { everyMs: 20 });

test('a policy that is run makes a point of its set, and the policy after it runs then', async () => {
  await using platform = await openWithSet();
  await platform.ask('policy.add', { body: nightly });
  await platform.ask('policy.add', { body: { name: 'then', sets: ['rs0'], schedule: { kind: 'after', policy: 'nightly' } } });
  await platform.ask('policy.run', { params: { policy: 'nightly' }, body: {} });
  const run = await runEnded(platform);
  assert.deepEqual([run.state, run.parts.map(({ set, state, tries }) => [set, state, tries])], ['success', [['rs0', 'success', 1]]]);
  const session = await platform.ask('session.show', { params: { session: run.parts[0]!.session! } });
  assert.deepEqual([session.kind, session.state, session.reason], ['backup', 'success', 'policy nightly: by hand']);
  const then = await runEnded(platform, 'then');
  assert.deepEqual([then.state, then.why], ['success', 'policy nightly has ended']);
  assert.equal(platform.fake.begun.filter(({ kind }) => kind === 'backup').length, 2);
});

test('a backup by hand and one for an alarm take node and compression of the policy whose run comes next, unless asked otherwise', async () => {
  await using platform = await openWithSet();
  const { fake } = platform;
  fake.discovered = { ...fake.discovered, local: fake.discovered.local.slice(0, 1) };
  const byHand = async (body: { compression?: 'none' }) => await platform.ended((await platform.ask('backup.run', { params: { set: 'rs0' }, body })).id);
  assert.equal((await byHand({})).failure?.code, 'domain.no-source-node', 'only the primary is in reach');
  await platform.ask('policy.add', { body: { name: 'archive', sets: ['rs0'], schedule: { kind: 'manual' } } });
  await platform.ask('policy.add', { body: { ...nightly, schedule: { kind: 'every', minutes: 720 }, compression: 'strong', source: { primaryAllowed: true } } });
  assert.deepEqual([(await byHand({})).state, (await byHand({ compression: 'none' })).state], ['success', 'success']);

  const follow = fake.scripts.oplog;
  fake.scripts.oplog = async (input, voice) => {
    voice.emit({ kind: 'status', atMs: systemClock.now(), key: 'barrier', value: { at: { t: 1_500, i: 2 }, what: 'setFeatureCompatibilityVersion', chain: 'c1' } });
    return await follow(input, voice);
  };
  await fake.restart();
  const answer = await until('the answer to the alarm', 20_000, async () => (await platform.ask('set.show', { params: { set: 'rs0' } })).alarms[0]?.backupSession ?? undefined, { everyMs: 20 });
  assert.equal((await platform.ended(answer)).state, 'success');
  const inputs = fake.begun.flatMap(({ kind, input }) => (kind === 'backup' ? [input as { compression: string; source: { port: number } }] : []));
  assert.deepEqual(inputs.map(({ compression, source }) => [compression, source.port]), [['strong', 27_017], ['none', 27_017], ['strong', 27_017]]);
});

test('what was missed while the server was down runs once at its start, and says how often it was missed', async () => {
  let aheadMs = 0;
  const clock: Clock = { ...systemClock, now: () => systemClock.now() + aheadMs };
  await using platform = await openWithSet({ clock });
  const added = await platform.ask('policy.add', { body: { ...nightly, schedule: { kind: 'every', minutes: 60 } } });
  assert.ok(added.nextRunAtMs !== null && added.lastRun === null);
  aheadMs = 5 * 3_600_000;
  await platform.restartServer();
  const run = await runEnded(platform);
  assert.deepEqual([run.state, run.missed, run.why], ['success', 4, 'its schedule, which was missed 4 times']);
  assert.equal(platform.fake.begun.filter(({ kind }) => kind === 'backup').length, 1);
});

test('only what failed is tried again, by itself and by hand, and an operator can stop a run', async () => {
  await using platform = await openWithSet();
  const backup = platform.fake.scripts.backup;
  platform.fake.scripts.backup = async () => await Promise.reject(failWith('mongo.not-reached', 'it is away'));
  await platform.ask('policy.add', { body: { ...nightly, retry: { times: 1, minutes: 10 } } });
  await platform.ask('policy.run', { params: { policy: 'nightly' }, body: {} });
  const waiting = await until('the part to wait for its second try', 20_000, async () => {
    const part = (await platform.ask('policy.show', { params: { policy: 'nightly' } })).lastRun?.parts[0];
    return part?.state === 'waiting' && part.tries === 1 ? part : undefined;
  }, { everyMs: 20 });
  assert.match(waiting.says ?? '', /it is away/);
  assert.equal((await platform.refused('policy.run', { params: { policy: 'nightly' }, body: {} })).code, 'server.policy-busy');
  await platform.ask('policy.stop', { params: { policy: 'nightly' } });
  assert.equal((await runEnded(platform)).state, 'stopped');
  platform.fake.scripts.backup = backup;
  await platform.ask('policy.run', { params: { policy: 'nightly' }, body: { onlyFailed: true } });
  assert.equal((await runEnded(platform)).state, 'success');
  assert.equal((await platform.refused('policy.run', { params: { policy: 'nightly' }, body: { onlyFailed: true } })).code, 'server.policy-nothing-failed');
});

test('retention shows its plan, deletes what is too old after the next point, and leaves what is held or in a removed policy without a rule', async () => {
  await using platform = await openWithSet();
  const day = 86_400_000;
  for (const age of [9, 8, 6, 5, 4]) platform.fake.points.push({ ...makePoint(platform.fake), id: `old-${age}`, createdAtMs: systemClock.now() - age * day, proof: { level: 'open', atMs: 0, ok: true, says: '' } });
  await platform.ask('set.window', { params: { set: 'rs0' }, query: {} });
  assert.deepEqual((await platform.ask('retention.preview', { params: { set: 'rs0' } })).goes, [], 'without a policy nothing goes');
  await platform.ask('policy.add', { body: { ...nightly, retention: { keep: { kind: 'days', days: 5 } } } });
  await platform.ask('point.hold', { params: { point: 'old-9' }, body: { reason: 'audit' } });
  await platform.ask('policy.run', { params: { policy: 'nightly' }, body: {} });
  assert.equal((await runEnded(platform)).state, 'success');
  const applied = await until('retention to be applied', 20_000, async () => (await platform.ask('session.list', { query: { kind: 'retention' } })).sessions.find(({ state }) => state === 'success'), { everyMs: 20 });
  assert.ok(applied.result?.kind === 'retention');
  assert.deepEqual([...applied.result.deleted].sort(), ['old-6', 'old-8'], 'old-5 is one of the newest three');
  const plan = await platform.ask('retention.preview', { params: { set: 'rs0' } });
  assert.deepEqual([plan.goes, plan.stays.find(({ point }) => point === 'old-9')?.why], [[], ['it is held: audit']]);

  assert.equal((await platform.refused('policy.remove', { params: { policy: 'nightly' } })).code, 'server.policy-enabled');
  await platform.ask('policy.enable', { params: { policy: 'nightly' }, body: { isEnabled: false } });
  await platform.ask('policy.remove', { params: { policy: 'nightly' } });
  assert.deepEqual((await platform.ask('retention.preview', { params: { set: 'rs0' } })).rules, ['former policy nightly']);
  await platform.ask('retention.forget', { params: { set: 'rs0' } });
  assert.deepEqual((await platform.ask('retention.preview', { params: { set: 'rs0' } })).rules, []);
});

test('the rule of a policy goes on for a set that it has no more, beside those of other policies, until it is forgotten', async () => {
  await using platform = await openWithSet();
  const rules = async (): Promise<string[]> => (await platform.ask('retention.preview', { params: { set: 'rs0' } })).rules;
  await platform.ask('policy.add', { body: nightly });
  await platform.ask('policy.add', { body: { ...nightly, name: 'short' } });
  await platform.ask('policy.edit', { params: { policy: 'nightly' }, body: { ...nightly, sets: [] } });
  assert.deepEqual(await rules(), ['short', 'former policy nightly'], 'an edit that takes the set out');
  await platform.ask('retention.forget', { params: { set: 'rs0' } });
  await platform.ask('policy.edit', { params: { policy: 'nightly' }, body: nightly });
  await platform.ask('policy.enable', { params: { policy: 'nightly' }, body: { isEnabled: false } });
  await platform.ask('policy.remove', { params: { policy: 'nightly' } });
  assert.deepEqual(await rules(), ['short', 'former policy nightly'], 'a removal, with another policy that has the set');
  await platform.ask('retention.forget', { params: { set: 'rs0' } });
  assert.deepEqual(await rules(), ['short']);
});

test('each rule that a set has left goes on for its points: those of several policies, of one that was edited in between, of a group, and of a set that is not protected any more', async () => {
  await using platform = await openWithSet();
  const kept = async (): Promise<string[]> => (await platform.ask('retention.orphans', {})).orphans.map(({ policy, retention: { keep } }) => `${policy} ${keep.kind === 'days' ? keep.days : ''}`).sort();
  const days = (count: number): Pick<GivenPolicy, 'retention'> => ({ retention: { keep: { kind: 'days', days: count } } });
  await platform.ask('policy.add', { body: { ...nightly, ...days(300) } });
  await platform.ask('policy.edit', { params: { policy: 'nightly' }, body: { ...nightly, ...days(300), sets: [] } });
  await platform.ask('policy.edit', { params: { policy: 'nightly' }, body: { ...nightly, ...days(7) } });
  await platform.ask('policy.edit', { params: { policy: 'nightly' }, body: { ...nightly, ...days(7), sets: [] } });
  assert.deepEqual(await kept(), ['nightly 300', 'nightly 7'], 'the shorter rule takes nothing from the longer one');

  const { setId } = platform.fake.discovered;
  for (const name of ['berlin', 'paris']) {
    await platform.ask('group.add', { body: { name, deployments: [{ host: '127.0.0.1', port: 27017 }] } });
    await platform.ask('policy.add', { body: { ...nightly, ...days(40), name: `of-${name}`, sets: [], groups: [name] } });
    if (name === 'berlin') {
      await platform.ask('policy.add', { body: { ...nightly, ...days(50), name: 'both', groups: [name] } });
      await platform.ask('group.edit', { params: { group: name }, body: { removeSets: [setId] } });
      assert.deepEqual(await kept(), ['nightly 300', 'nightly 7', 'of-berlin 40'], 'not of a policy that has the set by itself as well');
    }
  }
  const refused = await platform.refused('group.remove', { params: { group: 'paris' }, query: { apply: 'false' } });
  assert.deepEqual([refused.code, refused.message], ['server.group-in-use', 'group paris is protected by policy of-paris']);
  await platform.ask('policy.enable', { params: { policy: 'of-paris' }, body: { isEnabled: false } });
  await platform.ask('policy.remove', { params: { policy: 'of-paris' } });
  await platform.ask('group.remove', { params: { group: 'paris' }, query: { apply: 'true' } });
  assert.deepEqual(await kept(), ['nightly 300', 'nightly 7', 'of-berlin 40', 'of-paris 40']);
  await platform.ask('set.remove', { params: { set: 'rs0' }, query: { apply: 'true' } });
  assert.deepEqual(await kept(), ['both 50', 'nightly 300', 'nightly 7', 'of-berlin 40', 'of-paris 40']);
  await platform.ask('retention.forget', { params: { set: setId } });
  assert.deepEqual(await kept(), []);
});

test('of two sets of one name the rule that ends is that of the one that is named by its id', async () => {
  await using platform = await openWithSet();
  const former = platform.fake.discovered.setId;
  await platform.ended((await platform.ask('backup.run', { params: { set: 'rs0' }, body: {} })).id);
  await platform.ask('policy.add', { body: nightly });
  await platform.ask('set.remove', { params: { set: 'rs0' }, query: { apply: 'true' } });
  platform.fake.discovered = { ...platform.fake.discovered, setId: 'b'.repeat(24) };
  await platform.addSet();
  await platform.ask('policy.edit', { params: { policy: 'nightly' }, body: { ...nightly, sets: ['rs0'] } });
  await platform.ask('policy.edit', { params: { policy: 'nightly' }, body: { ...nightly, sets: [] } });
  const left = async (): Promise<string[]> => (await platform.ask('retention.orphans', {})).orphans.map(({ setId }) => setId).sort();
  assert.deepEqual(await left(), [former, 'b'.repeat(24)]);
  const refused = await platform.refused('retention.forget', { params: { set: 'rs0' } });
  assert.deepEqual([refused.code, refused.message], ['server.set-ambiguous', `2 sets are called rs0: ${former}, ${'b'.repeat(24)}`]);
  await platform.ask('retention.forget', { params: { set: former } });
  assert.deepEqual(await left(), ['b'.repeat(24)]);
});

test('a policy that does not fit is refused with the reason, and one that is saved shows names and its next run', async () => {
  await using platform = await openWithSet();
  const refused = async (document: GivenPolicy): Promise<string> => (await platform.refused('policy.add', { body: document })).message;
  assert.match(await refused({ ...nightly, sets: ['nope'] }), /no protected set is called nope/);
  assert.match(await refused({ ...nightly, groups: ['nope'] }), /no group is called nope/);
  assert.match(await refused({ ...nightly, timeZone: 'Mars' }), /no time zone/);
  assert.match(await refused({ ...nightly, schedule: { kind: 'after', policy: 'nope' } }), /no policy is called nope/);
  await platform.ask('policy.add', { body: nightly });
  await platform.ask('policy.add', { body: { name: 'then', schedule: { kind: 'after', policy: 'nightly' } } });
  assert.equal((await platform.refused('policy.edit', { params: { policy: 'nightly' }, body: { ...nightly, schedule: { kind: 'after', policy: 'then' } } })).code, 'server.policy-circle');
  const turned = { document: { name: 'nightly', schedule: { kind: 'after', policy: 'then' } }, policy: 'nightly' } as const;
  assert.equal((await platform.refused('policy.preview', { body: turned })).code, 'server.policy-circle');
  await platform.ask('policy.preview', { body: { ...turned, besides: ['nightly', 'then'] } });
  const edited = await platform.ask('policy.edit', { params: { policy: 'nightly' }, body: { ...nightly, schedule: { kind: 'daily', at: '02:30' }, timeZone: 'Europe/Berlin' } });
  const { runs } = await platform.ask('policy.preview', { body: { document: edited.document } });
  assert.deepEqual([edited.document.sets, edited.protects, edited.nextRunAtMs], [['rs0'], ['rs0'], runs[0]?.atMs]);
  assert.equal(runs.length, 10);
});
