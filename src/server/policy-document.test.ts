/** What a policy says of its backups besides when and where: hooks, proofs, new bases; on a real server with a simulated host. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../base/deadline.ts';
import { systemClock } from '../base/clock.ts';
import type { GivenPolicy } from '../contract/policies.ts';
import type { TaskInput } from '../contract/tasks.ts';
import { makePoint } from '../../test/kit/fake-transport.ts';
import { openServerPlatform, target, type ServerPlatform } from '../../test/kit/server-platform.ts';
import { goodPassword } from '../../test/kit/people.ts';

const nightly: GivenPolicy = { name: 'nightly', sets: ['rs0'], schedule: { kind: 'manual' } };
const shown = async (platform: ServerPlatform) => await platform.ask('set.show', { params: { set: 'rs0' } });
const byHand = async (platform: ServerPlatform) => await platform.ended((await platform.ask('backup.run', { params: { set: 'rs0' }, body: {} })).id);
const tasks = (platform: ServerPlatform): string[] => platform.fake.begun.flatMap(({ kind }) => (kind === 'oplog' ? [] : [kind]));

/** The session of its one set. */
async function run(platform: ServerPlatform, policy = 'nightly') {
  await platform.ask('policy.run', { params: { policy }, body: {} });
  const { parts } = await until('the run to end', 20_000, async () => {
    const { lastRun } = await platform.ask('policy.show', { params: { policy } });
    return lastRun !== null && lastRun.state !== 'open' ? lastRun : undefined;
  }, { everyMs: 20 });
  return await platform.ask('session.show', { params: { session: parts[0]!.session! } });
}

test('hooks of a policy run around the backups that are made as it says, after those of the set, and on hosts that exist', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  platform.fake.scripts['run-hook'] = async () => await Promise.resolve({ ok: true, status: 'exit code 0' });
  await platform.ask('hook.add', { body: { set: 'rs0', moment: 'before', program: 'of-the-set' } });
  const hooks: GivenPolicy['hooks'] = [{ when: 'after', program: 'wake' }, { when: 'before', on: 'local', program: 'quiet', args: ['a b'], onFailure: 'warn' }];
  const { message } = await platform.refused('policy.add', { body: { ...nightly, hooks: [{ when: 'before', on: 'nowhere', program: 'quiet' }] } });
  assert.match(message, /^policy nightly cannot be like this: hooks\[0\]\.on: no host is called nowhere/);
  const { document } = await platform.ask('policy.add', { body: { ...nightly, hooks } });
  assert.deepEqual(document.hooks.map(({ on, deadlineSeconds }) => [on, deadlineSeconds]), [['local', 60], ['local', 60]]);

  assert.equal((await run(platform)).state, 'success');
  assert.deepEqual(tasks(platform), ['run-hook', 'run-hook', 'backup', 'prove', 'run-hook']);
  const ran = platform.fake.begun.flatMap(({ kind, input }) => (kind === 'run-hook' ? [input as TaskInput<'run-hook'>] : []));
  assert.deepEqual(ran.map(({ program, args }) => [program, ...args]), [['of-the-set'], ['quiet', 'a b'], ['wake']]);
  assert.deepEqual([ran[1]!.environment['TIDEMARK_HOOK'], ran[1]!.environment['TIDEMARK_HOST'], ran[2]!.environment['TIDEMARK_STATE']], ['before', 'local', 'success']);

  platform.fake.scripts['run-hook'] = async () => await Promise.resolve({ ok: false, status: 'exit code 3' });
  await platform.ask('policy.edit', { params: { policy: 'nightly' }, body: { ...nightly, hooks: hooks.slice(1).map((hook) => ({ ...hook, onFailure: 'fail' })), retry: { times: 0 } } });
  const listed = await platform.ask('hook.list', {});
  assert.deepEqual(listed.ofPolicies.map(({ policy, moment, host, program, args, onFailure }) => [policy, moment, host, program, args, onFailure]), [['nightly', 'before', 'local', 'quiet', ['a b'], 'fail']]);
  assert.deepEqual((await platform.ask('set.show', { params: { set: 'rs0' } })).policies, [{ name: 'nightly', isEnabled: true }]);
  await platform.ask('hook.remove', { params: { hook: listed.hooks[0]!.id } });
  assert.equal((await run(platform)).failure?.message, 'the hook quiet before the backup failed: exit code 3');
});

test('who may write policies and not hosts changes no hook of a policy', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  await platform.ask('role.add', { body: { name: 'planner', permissions: ['policies.read', 'policies.write'] } });
  await platform.ask('user.add', { body: { name: 'ann', roles: ['planner'], password: 'words of somebody else' } });
  const { token } = await platform.ask('sign-in.start', { body: { user: 'ann', password: 'words of somebody else', newPassword: goodPassword } });
  const hooks = [{ when: 'before', program: 'quiet' }];
  const asked = async (method: string, path: string, body: unknown) => (await platform.raw(method, path, { token, body })).json?.code;
  assert.equal(await asked('POST', '/api/v1/policies', { ...nightly, hooks }), 'server.not-allowed');
  await platform.ask('policy.add', { body: { ...nightly, hooks: [{ when: 'before', program: 'quiet' }] } });
  assert.equal(await asked('PUT', '/api/v1/policies/nightly', nightly), 'server.not-allowed', 'nor takes one away');
  assert.equal(await asked('PUT', '/api/v1/policies/nightly', { ...nightly, hooks, description: 'of the shop' }), undefined, 'what else it says');
});

test('with "proof: none" a run ends well with a point that is said to be unproved, and it protects nothing before it is proved; by hand it is proved', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  await platform.ask('policy.add', { body: { ...nightly, proof: 'none' } });
  const session = await run(platform);
  assert.ok(session.state === 'success' && session.result?.kind === 'backup');
  assert.deepEqual([tasks(platform), session.result.verified], [['backup'], false]);
  assert.ok((await platform.events(session.id)).some(({ event }) => event.kind === 'line' && event.text.includes('NOT PROVED: its policy has "proof: none"')));
  assert.equal((await platform.ask('point.show', { params: { point: session.result.point } })).proof, null);
  const { report: { sets: [standing] } } = await platform.ask('report.daily', { query: {} });
  assert.ok(standing!.reasons.includes('there is no good restore point, and 1 newer one was never opened to prove them'), standing!.reasons.join('\n'));
  assert.equal(standing!.verified, null);
  const second = await byHand(platform);
  assert.ok(second.result?.kind === 'backup' && second.result.verified);
  const { report: { sets: [then] } } = await platform.ask('report.daily', { query: {} });
  assert.ok(then!.points === 1 && then!.verified !== null && !then!.reasons.some((why) => why.includes('good restore point')), then!.reasons.join('\n'));
});

test('with "newBase: false" an alarm makes no base and says what to run; a backup by hand settles it', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  await platform.ask('policy.add', { body: { ...nightly, newBase: false } });
  const follow = platform.fake.scripts.oplog;
  platform.fake.scripts.oplog = async (input, voice) => {
    voice.emit({ kind: 'status', atMs: 5, key: 'barrier', value: { at: { t: 1_500, i: 2 }, what: 'setFeatureCompatibilityVersion', chain: 'c1' } });
    return await follow(input, voice);
  };
  await platform.fake.restart();
  const [alarm] = await until('the alarm', 20_000, async () => ((found) => (found.length > 0 ? found : undefined))((await shown(platform)).alarms), { everyMs: 20 });
  assert.deepEqual([alarm!.isSettled, alarm!.next], [false, 'no new restore point is made by itself ("newBase: false" in nightly): run "tidemark backup run rs0"']);
  assert.equal((await byHand(platform)).state, 'success');
  const settled = await until('the alarm to be settled', 20_000, async () => (await shown(platform)).alarms.find(({ isSettled }) => isSettled), { everyMs: 20 });
  assert.deepEqual([settled.next, tasks(platform).filter((kind) => kind === 'backup').length], [null, 1]);
});

test('what a policy would change is said before it is saved: of a set without one, of one that another retains, and where nothing proves its points', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  const says = async (document: GivenPolicy, policy?: string): Promise<string[]> => (await platform.ask('policy.preview', { body: { document, ...(policy !== undefined && { policy }) } })).says;
  const day = 86_400_000;
  for (const age of [9, 8, 6, 5, 4]) platform.fake.points.push({ ...makePoint(platform.fake), id: `old-${age}`, createdAtMs: systemClock.now() - age * day, proof: { level: 'open', atMs: 0, ok: true, says: '' } });
  await platform.ask('set.window', { params: { set: 'rs0' }, query: {} });
  const short: GivenPolicy = { ...nightly, retention: { keep: { kind: 'days', days: 3 } } };
  assert.deepEqual(await says(short), ['set rs0 has no policy: its oplog is followed and nothing of it goes by itself; with nightly its points and its oplog go by the retention of nightly (as it is now, 2 of its 5 points would go), and its oplog is taken from the members that nightly allows']);
  await platform.ask('policy.add', { body: short });
  assert.deepEqual(await says({ ...short, description: 'x' }, 'nightly'), [], 'it has the set already');
  assert.deepEqual(await says({ ...nightly, name: 'hourly' }), ['set rs0 is retained by policy nightly already: a point, and its oplog, will stay for as long as any of them or hourly keeps it; nothing goes sooner than now']);
  await platform.ask('policy.edit', { params: { policy: 'nightly' }, body: { ...short, sets: [] } });
  assert.match((await says(short, 'nightly'))[0]!, /^set rs0 is retained by its former policy nightly already/);

  const daily: GivenPolicy = { name: 'daily', proof: 'none' };
  assert.match((await says(daily))[0]!, /these are up to 169 h apart, and 25 h are promised/);
  assert.deepEqual(await says({ ...daily, verification: { schedule: { kind: 'daily', at: '03:00' } } }), ['daily names no set and no group: it protects nothing']);
  assert.match((await says({ ...daily, verification: { schedule: { kind: 'manual' } } }))[0]!, /nothing proves its points/);
  const refused = await platform.refused('policy.preview', { body: { document: { ...nightly, sets: ['nope'], groups: ['no'], schedule: { kind: 'after', policy: 'soon' }, timeZone: 'Mars' }, besides: ['soon'] } });
  assert.deepEqual(refused.details.problems.map((problem: string) => problem.split(':')[0]), ['timeZone', 'groups[0]', 'sets[0]']);
});

test('a policy whose set, group or host is gone can be edited in all else, and takes no other that is not there', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  await platform.addHost('db2');
  await platform.ask('policy.add', { body: { ...nightly, hooks: [{ when: 'before', on: 'db2', program: 'quiet' }] } });
  await platform.ask('set.remove', { params: { set: 'rs0' }, query: { apply: 'true' } });
  await platform.ask('host.remove', { params: { host: 'db2' }, query: { apply: 'true' } });
  const { document } = await platform.ask('policy.show', { params: { policy: 'nightly' } });
  const edited = await platform.ask('policy.edit', { params: { policy: 'nightly' }, body: { ...document, description: 'of the shop' } });
  assert.deepEqual([edited.document.description, edited.document.sets, edited.protects], ['of the shop', document.sets, []]);
  assert.equal((await platform.refused('policy.edit', { params: { policy: 'nightly' }, body: { ...document, sets: ['rs0'] } })).code, 'server.policy-unfit');
});

test('a policy is told beforehand when it protects nothing, and when it prefers a node that is no member', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  const says = async (document: GivenPolicy): Promise<string[]> => (await platform.ask('policy.preview', { body: { document, count: 1, besides: [] } })).says;
  assert.match((await says({ ...nightly, sets: [] })).join('\n'), /^nightly names no set and no group: it protects nothing$/m);
  const stranger: GivenPolicy = { ...nightly, overrides: { rs0: { preferredNode: 'gone:9' } }, source: { failOver: false } };
  assert.match((await says(stranger)).join('\n'), /the preferred gone:9 is no member of rs0 \([^)]*:\d+[^)]*\), and no other is allowed: its backups will fail/);
  const members = (await shown(platform)).members.map(({ host, port }) => `${host}:${port}`);
  assert.doesNotMatch((await says({ ...stranger, overrides: { rs0: { preferredNode: members[0]! } } })).join('\n'), /no member/);
});

test('a set that has another name here than in MongoDB is found by either', async () => {
  await using platform = await openServerPlatform();
  await platform.ask('set.add', { body: { target, name: 'shop' } });
  const { sets: [set] } = await platform.ask('set.list', {});
  const other = platform.fake.discovered.name;
  assert.deepEqual([set!.name, other], ['shop', 'rs0']);
  assert.equal((await platform.ask('set.show', { params: { set: other } })).id, set!.id);
  assert.equal((await platform.refused('set.show', { params: { set: 'neither' } })).code, 'server.set-unknown');
});
