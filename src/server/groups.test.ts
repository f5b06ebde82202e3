/** Protection groups over REST, on a fake transport. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { setId, wireLookOf } from '../../test/kit/fake-set.ts';
import { failWith } from '../../test/kit/fake-transport.ts';
import type { Links } from './links.ts';
import { openSetLooks } from './set-looks.ts';
import { openServerPlatform, type ServerPlatform } from '../../test/kit/server-platform.ts';

let platform: ServerPlatform;
const other = 'b'.repeat(24);
beforeEach(async () => {
  platform = await openServerPlatform();
  const usual = wireLookOf(platform.fake.discovered);
  platform.fake.lookAtSet = ({ hosts: [seed] }) => {
    if (seed!.host === 'nobody') throw failWith('mongo.unreachable', 'cannot reach nobody:27017');
    return seed!.host === 'other' ? { ...usual, setId: other, name: 'rs1', members: [{ ...usual.members[0]!, host: 'db9' }] } : usual;
  };
  await platform.ask('credential.add', { body: { name: 'db', record: { kind: 'database', credential: { kind: 'scram', user: 'tide', password: 'secret', authSource: 'admin' } } } });
  await platform.ask('credential.add', { body: { name: 'admin', record: { kind: 'host', host: { user: 'admin', signIn: { kind: 'password', password: 'secret' } } } } });
});
afterEach(async () => await platform[Symbol.asyncDispose]());

const shop = { name: 'shop', deployments: [{ host: 'db1', credential: 'db' }] };

test('a group is added with what nobody has to say, and its sets are looked at with their credential', async () => {
  const targets: unknown[] = [];
  const usual = platform.fake.lookAtSet;
  platform.fake.lookAtSet = (target) => (targets.push(target), usual(target));
  const group = await platform.ask('group.add', { body: shop });
  assert.deepEqual(targets, [{ hosts: [{ host: 'db1', port: 27017 }], credential: { kind: 'scram', user: 'tide', password: 'secret', authSource: 'admin' } }]);
  assert.deepEqual([group.schedule, group.timeZone, group.installServices, group.updateServices, group.newMembers, group.isEnabled], [{ kind: 'daily', at: '21:00', days: ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] }, 'UTC', true, true, 'include', true]);
  assert.match(new Date(group.nextRescanAtMs!).toISOString(), /T21:00:00.000Z$/);
  const [set] = group.sets;
  assert.deepEqual([set!.id, set!.name, set!.credential, set!.members.map(({ port, version, oplogSeconds }) => [port, version, oplogSeconds])], [setId, 'rs0', 'db', [[27017, '6.0.5', 3600], [27018, '6.0.5', 3600], [27019, '6.0.5', 3600]]]);
  assert.deepEqual(group.computers.map(({ name, members, node }) => [name, members, node]), [['127.0.0.1', ['rs0 127.0.0.1:27017', 'rs0 127.0.0.1:27018', 'rs0 127.0.0.1:27019'], 'local']], 'three on one computer, which is the server’s own');
  assert.deepEqual((await platform.ask('group.list', {})).groups, [group]);
  assert.doesNotMatch(platform.logged.join(''), /secret/);
});

test('a set is in one group: a second one is refused with the name of the first, and nothing of it is kept', async () => {
  await platform.ask('group.add', { body: shop });
  const refused = await platform.refused('group.add', { body: { name: 'second', deployments: [{ host: 'other' }, { host: 'db2' }] } });
  assert.deepEqual([refused.status, refused.code, refused.message], [409, 'server.set-in-group', 'the replica set rs0 is in group shop already']);
  assert.equal((await platform.refused('group.add', { body: { name: 'twice', deployments: [{ host: 'other' }, { host: 'other', port: 27018 }] } })).code, 'server.set-in-group');
  assert.deepEqual((await platform.ask('group.list', {})).groups.map(({ name }) => name), ['shop']);
  await platform.ask('group.add', { body: { name: 'second', deployments: [{ host: 'other' }] } });
  const edited = await platform.refused('group.edit', { params: { group: 'second' }, body: { addDeployments: [{ host: 'db2' }] } });
  assert.match(edited.message, /is in group shop already/);
});

test('of candidates those are taken on which a member of a set answers, each set once, and without any there is no group', async () => {
  await platform.ask('group.add', { body: { name: 'first', deployments: [{ host: 'other' }] } });
  const candidates = [{ host: 'nobody' }, { host: 'db1' }, { host: 'db2' }, { host: 'other' }];
  const group = await platform.ask('group.add', { body: { name: 'shop', candidates } });
  assert.deepEqual(group.sets.map(({ name }) => name), ['rs0'], 'nobody answers nowhere, and rs1 is in another group');
  const refused = await platform.refused('group.add', { body: { name: 'none', candidates } });
  assert.deepEqual([refused.status, refused.code], [422, 'server.group-empty']);
  assert.match(refused.message, /on none of the 4 candidates/);
  assert.equal((await platform.refused('group.add', { body: { name: 'none', candidates: [{ host: 'db1', credential: 'mistyped' }] } })).code, 'server.credential-unknown');
});

test('what cannot be is refused before anything is written', async () => {
  for (const [change, code] of [
    [{ deployments: [{ host: 'nobody' }] }, 'mongo.unreachable'],
    [{ timeZone: 'Mars/Olympus' }, 'server.time-zone-unknown'],
    [{ hostCredential: 'nobody' }, 'server.credential-unknown'],
    [{ hostCredential: 'db' }, 'server.credential-other-kind'],
    [{ deployments: [{ host: 'db1', credential: 'admin' }] }, 'server.credential-other-kind'],
  ] as const) assert.equal((await platform.refused('group.add', { body: { ...shop, ...change, deployments: [...('deployments' in change ? change.deployments : shop.deployments)] } })).code, code);
  assert.deepEqual((await platform.ask('group.list', {})).groups, []);
  await platform.ask('group.add', { body: shop });
  assert.equal((await platform.refused('group.add', { body: { ...shop, deployments: [{ host: 'other' }] } })).code, 'server.group-exists');
  for (const [body, code] of [
    [{ removeSets: ['rs7'] }, 'server.deployment-unknown'],
    [{ computers: [{ computer: 'db7', isInScope: false }] }, 'server.computer-unknown'],
    [{ name: 'new', timeZone: 'Nowhere' }, 'server.time-zone-unknown'],
  ] as const) assert.equal((await platform.refused('group.edit', { params: { group: 'shop' }, body: { ...body } as object })).code, code);
  assert.equal((await platform.ask('group.show', { params: { group: 'shop' } })).name, 'shop');
});

test('what is given is changed and the rest is left', async () => {
  const before = await platform.ask('group.add', { body: { ...shop, hostCredential: 'admin' } });
  const edit = async (body: object) => await platform.ask('group.edit', { params: { group: before.id }, body });
  const after = await edit({ schedule: { kind: 'off' }, computers: [{ computer: '127.0.0.1', address: '192.0.2.7', credential: 'admin' }] });
  assert.deepEqual({ ...after, schedule: before.schedule, nextRescanAtMs: before.nextRescanAtMs, computers: [] }, { ...before, computers: [] });
  assert.deepEqual(after.computers.map(({ name, address, credential, node }) => [name, address, credential, node]), [['127.0.0.1', '192.0.2.7', 'admin', null]]);
  const more = await edit({ name: 'store', addDeployments: [{ host: 'other', credential: 'db' }] });
  assert.deepEqual([more.name, more.sets.map(({ name }) => name).sort(), more.computers.map(({ name }) => name)], ['store', ['rs0', 'rs1'], ['127.0.0.1', 'db9']]);
  assert.equal(more.computers[0]!.address, '192.0.2.7', 'what was changed of the others stays');
  const moved = await edit({ addDeployments: [{ host: 'db3', port: 27018 }] });
  assert.deepEqual(moved.sets.filter(({ name }) => name === 'rs0').map(({ seed, credential }) => [seed, credential]), [[{ host: 'db3', port: 27018 }, null]], 'a set that is there is reached in the new way');
  const less = await edit({ removeSets: ['rs1'] });
  assert.deepEqual([less.sets.map(({ name }) => name), less.computers.map(({ name }) => name)], [['rs0'], ['127.0.0.1']]);
});

test('a group that is disabled has no next run, and makes up nothing when it is enabled', async () => {
  await platform.ask('group.add', { body: { ...shop, schedule: { kind: 'every', minutes: 60 } } });
  const disabled = await platform.ask('group.enable', { params: { group: 'shop' }, body: { isEnabled: false } });
  assert.deepEqual([disabled.isEnabled, disabled.nextRescanAtMs], [false, null]);
  const enabled = await platform.ask('group.enable', { params: { group: 'shop' }, body: { isEnabled: true } });
  assert.ok(enabled.nextRescanAtMs! > platform.fake.through.t, 'it has one again');
});

test('a group goes only when told to, and leaves what is protected', async () => {
  await platform.addSet();
  const group = await platform.ask('group.add', { body: shop });
  assert.equal(group.sets[0]!.protectedAs, 'rs0');
  await platform.ask('notification.add', { body: { name: 'of-shop', channel: { kind: 'syslog', host: '127.0.0.1' }, rule: { about: ['group:shop'] } } });
  for (const [from, to] of [['shop', 'store'], ['store', 'shop']] as const) {
    await platform.ask('group.edit', { params: { group: from }, body: { name: to } });
    assert.deepEqual((await platform.ask('notification.list', {})).notifications[0]!.rule.about, [`group:${to}`]);
  }
  const ask = async (apply: string) => await platform.ask('group.remove', { params: { group: 'shop' }, query: { apply } });
  assert.equal((await ask('false')).applied, false);
  assert.equal((await platform.ask('group.list', {})).groups.length, 1);
  assert.equal((await ask('true')).applied, true);
  assert.deepEqual((await platform.ask('group.list', {})).groups, []);
  assert.equal((await platform.ask('set.list', {})).sets.length, 1);
  await platform.ask('group.add', { body: shop });
});

test('a set that a group has found is protected by its name, with the group’s credential', async () => {
  await platform.ask('group.add', { body: shop });
  assert.equal((await platform.refused('set.add', { body: { found: { set: 'rs7' } } })).code, 'server.found-set-unknown');
  assert.equal((await platform.refused('set.add', { body: { found: { set: 'rs0', group: 'none' } } })).code, 'server.group-unknown');
  const set = await platform.ask('set.add', { body: { found: { set: 'rs0' } } });
  assert.deepEqual([set.id, set.signIn, set.hosts.map(({ host, port }) => `${host}:${port}`)], [setId, 'scram', ['db1:27017', '127.0.0.1:27017', '127.0.0.1:27018', '127.0.0.1:27019']]);
  assert.equal((await platform.ask('group.show', { params: { group: 'shop' } })).sets[0]!.protectedAs, 'rs0');
});

test('a credential that a group signs in with is not forgotten', async () => {
  await platform.ask('group.add', { body: { ...shop, hostCredential: 'admin' } });
  for (const credential of ['db', 'admin']) {
    const refused = await platform.refused('credential.remove', { params: { credential }, query: { apply: 'true' } });
    assert.deepEqual([refused.status, refused.code, refused.message], [409, 'server.credential-in-use', `credential ${credential} is in use by group shop`]);
  }
  await platform.ask('group.remove', { params: { group: 'shop' }, query: { apply: 'true' } });
  await platform.ask('credential.remove', { params: { credential: 'db' }, query: { apply: 'true' } });
});

test('a set is asked for from the server’s own machine, and from other hosts only where it cannot be reached from there', async () => {
  const link = (id: string, answer: () => Promise<unknown>) => ({ id, standing: () => ({ state: 'connected', says: null }), ask: async () => (asked.push(id), await answer()) });
  const asked: string[] = [];
  const unreachable = async () => await Promise.reject(failWith('mongo.unreachable'));
  const look = wireLookOf(platform.fake.discovered);
  const from = async (...links: ReturnType<typeof link>[]) => await openSetLooks({ all: () => links } as unknown as Links)({ hosts: [{ host: 'db1', port: 27017 }], credential: { kind: 'none' } });
  assert.equal(await from(link('b', unreachable), link('local', unreachable), link('c', async () => await Promise.resolve(look))), look);
  assert.deepEqual(asked.splice(0), ['local', 'b', 'c']);
  await assert.rejects(from(link('local', async () => await Promise.reject(failWith('mongo.sign-in-refused'))), link('b', unreachable)), { code: 'mongo.sign-in-refused' });
  assert.deepEqual(asked, ['local'], 'who refuses here refuses there');
});
