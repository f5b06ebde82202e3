import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Group } from '../../contract/groups.ts';
import type { RouteQuestion } from '../../contract/routes.ts';
import type { Session } from '../../contract/sessions.ts';
import { foundMongod } from '../../../test/kit/simulated-hosts.ts';
import { openCommandLine } from '../../../test/kit/command-line.ts';
import { openRestServer } from '../../../test/kit/rest-server.ts';

const member = (id: number, host: string, more: object = {}) => ({ id, host, port: 27101, state: id === 0 ? ('primary' as const) : ('secondary' as const), health: true, priority: 1, votes: 1, hidden: false, delaySeconds: 0, lagSeconds: 0, isArbiter: false, tags: {}, version: '6.0.5', oplogSeconds: 7200, oplogReachSeconds: 7200, says: null, ...more });
const computer = (name: string, more: object = {}) => ({ name, address: name, isInScope: true, credential: null, awaitsKit: false, node: name, link: 'connected' as const, serviceVersion: '1.0.0', members: [`rs0 ${name}:27101`], system: 'Linux', mongods: [foundMongod(27_101)], lookedAtMs: 1, says: null, ...more });
const shop: Group = {
  id: 'g1', name: 'shop', isEnabled: true, schedule: { kind: 'every', minutes: 240, hours: { from: '08:00', to: '20:00' } }, timeZone: 'Europe/Berlin', installServices: true, updateServices: true, newMembers: 'include',
  hostCredential: 'admin', addedAtMs: 0, nextRescanAtMs: 1_795_464_567_000,
  sets: [{ id: 'a'.repeat(24), name: 'rs0', seed: { host: 'db1', port: 27101 }, credential: 'db', members: [member(0, 'db1'), member(1, 'fd00::2', { hidden: true, version: null, says: 'no such host name' })], lookedAtMs: 1, says: null, protectedAs: null }],
  computers: [computer('db1'), computer('fd00::2', { address: '10.0.0.2', isInScope: false, node: null, link: null, serviceVersion: null, mongods: [], lookedAtMs: null })],
};

test('the words of a group become what the contract wants, with the zone of this machine', async () => {
  const asked: unknown[] = [];
  await using server = await openRestServer({ 'group.add': ({ body }) => (asked.push(body), shop) });
  await using cli = await openCommandLine(server);
  const added = await cli.run('group', 'add', 'shop', '--set', 'db1', '--set', '[fd00::2]:27101', '--database-credential', 'db', '--credential', 'admin');
  assert.equal(added.code, 0, added.stderr);
  const deployments = [{ host: 'db1', port: 27017, credential: 'db' }, { host: 'fd00::2', port: 27101, credential: 'db' }];
  assert.deepEqual(asked.pop(), { name: 'shop', candidates: [], deployments, timeZone: 'Europe/Copenhagen', schedule: { kind: 'daily', at: '21:00', days: ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] }, installServices: true, updateServices: true, newMembers: 'include', hostCredential: 'admin' });
  assert.match(added.stdout, /Next: tidemark group rescan shop/);
  await cli.run('group', 'add', 'lab', '--set', 'db1', '--credential', 'kit', '--schedule', 'every 4h', '--hours', '22:00-06:00', '--time-zone', 'UTC', '--install-services', 'off', '--new-members', 'leave');
  const second = asked.pop() as RouteQuestion<'group.add'>['body'];
  assert.deepEqual([second.schedule, second.timeZone, second.hostCredential, second.installServices, second.newMembers], [{ kind: 'every', minutes: 240, hours: { from: '22:00', to: '06:00' } }, 'UTC', null, false, 'leave']);
});

test('words that make no sense are refused before anybody is asked', async () => {
  await using server = await openRestServer({});
  await using cli = await openCommandLine(server);
  for (const [words, why] of [
    [['--schedule', '25:00'], /takes off, a time such as 21:00/],
    [['--schedule', 'every 0m'], /takes off/],
    [['--schedule', 'every 3d'], /takes off/],
    [['--days', 'mon'], /need --schedule/],
    [['--schedule', '21:00', '--days', 'someday'], /not "someday"/],
    [['--schedule', 'every 30m', '--days', 'mon'], /--days goes with a time/],
    [['--schedule', '21:00', '--hours', '08:00-20:00'], /--hours goes with "every"/],
    [['--schedule', 'every 30m', '--hours', '8-20'], /HH:MM-HH:MM/],
    [['--set', 'db1:99999'], /is not HOST or HOST:PORT/],
    [['--set', 'mongodb://db1'], /is not HOST or HOST:PORT/],
  ] as const) {
    const { code, stderr } = await cli.run('group', 'add', 'shop', '--set', 'db1', ...words);
    assert.equal(code, 2, words.join(' '));
    assert.match(stderr, why);
  }
  for (const words of [['--scope', 'out'], ['--computer', 'db1'], ['--database-credential', 'db']]) assert.equal((await cli.run('group', 'edit', 'shop', ...words)).code, 2, words.join(' '));
  assert.deepEqual(server.asked, []);
});

test('a group is shown with its members, its computers and what each says', async () => {
  await using server = await openRestServer({ 'group.show': () => shop, 'group.list': () => ({ groups: [shop] }) });
  await using cli = await openCommandLine(server);
  const { stdout } = await cli.run('group', 'show', 'shop');
  assert.match(stdout, /^schedule +every 4 hours from 08:00 to 20:00, Europe\/Berlin$/m);
  assert.match(stdout, /^rs0 {2}\[fd00::2\]:27101 +secondary, hidden +– .* no such host name$/m);
  assert.match(stdout, /^rs0 is not protected; protect it with "tidemark set add rs0"; signs in with db$/m);
  assert.match(stdout, /^fd00::2 at 10\.0\.0\.2 +out +– +none +– +not visited yet$/m);
  assert.match((await cli.run('group', 'list')).stdout, /^shop +rs0 +1 of 2 +2026-11-23T/m);
});

test('only what is given is changed', async () => {
  const asked: unknown[] = [];
  await using server = await openRestServer({ 'group.edit': ({ body }) => (asked.push(body), shop), 'group.enable': ({ body }) => (asked.push(body), { ...shop, ...body }) });
  await using cli = await openCommandLine(server);
  const none = { addDeployments: [], removeSets: [], computers: [] };
  for (const [words, body] of [
    [['--computer', 'db1', '--scope', 'out'], { ...none, computers: [{ computer: 'db1', isInScope: false }] }],
    [['--computer', 'db1', '--address', '10.0.0.7', '--sign-in', 'old'], { ...none, computers: [{ computer: 'db1', address: '10.0.0.7', credential: 'old' }] }],
    [['--computer', 'db1', '--sign-in', 'kit'], { ...none, computers: [{ computer: 'db1', awaitsKit: true }] }],
    [['--computer', 'db1', '--sign-in', 'group'], { ...none, computers: [{ computer: 'db1', credential: null }] }],
    [['--schedule', 'off', '--update-services', 'off'], { ...none, schedule: { kind: 'off' }, updateServices: false }],
    [['--name', 'store', '--add-set', 'db9', '--remove-set', 'rs0'], { name: 'store', addDeployments: [{ host: 'db9', port: 27017, credential: null }], removeSets: ['rs0'], computers: [] }],
  ] as const) {
    const { code, stderr } = await cli.run('group', 'edit', 'shop', ...words);
    assert.equal(code, 0, stderr);
    assert.deepEqual(asked.pop(), body);
  }
  assert.match((await cli.run('group', 'disable', 'shop')).stdout, /shop: next rescan disabled/);
  assert.deepEqual(asked, [{ isEnabled: false }]);
});

test('a group goes only when told to', async () => {
  await using server = await openRestServer({ 'group.remove': ({ query }) => ({ applied: query.apply, group: 'shop', plan: ['forget group shop'] }) });
  await using cli = await openCommandLine(server);
  assert.match((await cli.run('group', 'remove', 'shop')).stdout, /forget group shop\nNothing was changed/);
  assert.match((await cli.run('group', 'remove', 'shop', '--apply')).stdout, /group shop was removed/);
});

test('a rescan ends in a table of computers and the news of the sets, and with 3 when some failed', async () => {
  const result = {
    kind: 'rescan' as const, group: 'shop',
    computers: [
      { computer: 'db1', ok: true, way: 'ssh' as const, services: 'installed' as const, mongods: [{ port: 27101, version: '6.0.5', replicaSet: 'rs0' }], says: null },
      { computer: 'db2', ok: false, way: null, services: 'none' as const, mongods: [], says: 'nobody answers  [ssh.host-not-reached]' },
    ],
    sets: [{ set: 'rs0', ok: true, members: 3, joined: ['db4:27404'], left: ['db3:27303'], changed: [{ member: 'db1:27101', what: 'priority 1 → 5' }], says: null }],
  };
  const session: Session = { id: 's1', kind: 'rescan', object: { kind: 'group', id: 'g1', name: 'shop' }, state: 'warning', createdAtMs: 0, startedAtMs: 0, endedAtMs: 1, steps: [], progress: null, warnings: 1, result, failure: null, reason: null, retryOf: null, isPlan: false };
  await using server = await openRestServer({
    'group.rescan': () => ({ ...session, state: 'waiting', result: null }),
    'session.events': async function* () { yield await Promise.resolve({ number: 1, atMs: 1, event: { kind: 'state' as const, state: 'warning' as const } }); },
    'session.show': () => session,
  });
  await using cli = await openCommandLine(server);
  const { code, stdout } = await cli.run('group', 'rescan', 'shop');
  assert.equal(code, 3);
  assert.match(stdout, /^db1 +over SSH +installed +27101 \(6\.0\.5\)$/m);
  assert.match(stdout, /^db2 +no +none +– +nobody answers/m);
  assert.match(stdout, /rs0: 3 members\nrs0: db4:27404 joined\nrs0: db3:27303 left\nrs0: db1:27101: priority 1 → 5/);
});

test('a test of a group says what failed where, what to do about it, and ends with 3', async () => {
  const answer = {
    ok: false,
    computers: [{ computer: 'db1', address: '10.0.0.1', ok: true, way: 'link' as const, says: 'mongod on port 27101', hint: null }, { computer: 'db2', address: '10.0.0.2', ok: false, way: null, says: 'the password was refused', hint: 'Give another.' }],
    sets: [{ set: 'rs0', seed: 'db1:27101', ok: true, says: '3 members answer', hint: null }],
  };
  await using server = await openRestServer({ 'group.test': () => answer });
  await using cli = await openCommandLine(server);
  const { code, stdout } = await cli.run('group', 'test', 'shop');
  assert.equal(code, 3);
  assert.match(stdout, /^db2 +10\.0\.0\.2 +FAILED +the password was refused$/m);
  assert.match(stdout, /Give another\.$/m);
  server.answers = { 'group.test': () => ({ ...answer, ok: true }) };
  assert.equal((await cli.run('group', 'test', 'shop')).code, 0);
});

test('a set is protected by a name, and hosts are listed by a filter', async () => {
  const asked: unknown[] = [];
  await using server = await openRestServer({
    'set.add': ({ body }) => {
      asked.push(body);
      throw new Error('as far as this test goes');
    },
    'host.list': ({ query }) => (asked.push(query), { hosts: [], found: query.filter === 'unmanaged' ? [{ name: 'db4', address: '10.0.0.4', group: 'shop', isInScope: false, says: null }] : [], alarms: [] }),
  });
  await using cli = await openCommandLine(server);
  await cli.run('set', 'add', 'rs0', '--group', 'shop');
  assert.deepEqual(asked.pop(), { found: { set: 'rs0', group: 'shop' } });
  assert.equal((await cli.run('set', 'add', 'rs0', '--tls')).code, 2);
  assert.equal((await cli.run('set', 'add', 'mongodb://db1', '--group', 'shop')).code, 2);
  assert.match((await cli.run('node', 'list', '--filter', 'unmanaged')).stdout, /^db4 +10\.0\.0\.4 +– +– +found +– +– +in group shop, out of scope$/m);
  assert.match((await cli.run('node', 'list', '--filter', 'offline')).stdout, /^there is none$/m);
});
