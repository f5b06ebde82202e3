/** Who may ask for what: every route against every role, on the real REST API, and what a narrowed role reaches. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { readFile } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { Agent, get } from 'node:https';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { atOnce } from '../../base/at-once.ts';
import { builtInRoles } from '../../contract/roles.ts';
import { permissions, type Permission, type Route } from '../../contract/route.ts';
import { fillPath, routes, type RouteName } from '../../contract/routes.ts';
import { cheap, goodPassword, writtenDirectory, writtenSettings } from '../../../test/kit/people.ts';
import { openServerPlatform, target, type RawAnswer, type ServerPlatform } from '../../../test/kit/server-platform.ts';

let platform: ServerPlatform;
const agent = new Agent({ keepAlive: true, maxSockets: 4 });
before(async () => {
  platform = await openServerPlatform({ streamQuietMs: 50 }, { people: { cost: cheap, openDirectory: writtenDirectory({ accounts: new Map(), isAway: undefined, proofs: 0 }) } });
  await platform.addSet();
});
after(async () => {
  agent.destroy();
  await platform[Symbol.asyncDispose]();
});

const all = Object.entries(routes) as [RouteName, Route][];
/** Nothing is called so: whoever is let in changes nothing. */
const nowhere = Object.fromEntries(['set', 'point', 'session', 'publication', 'repository', 'host', 'credential', 'group', 'user', 'role', 'token', 'copy', 'notification', 'hook', 'policy', 'name', 'version', 'platform'].map((param) => [param, 'nowhere']));

async function signInAs(name: string, roles: string[]): Promise<string> {
  await platform.ask('user.add', { body: { name, roles, password: 'words of somebody else' } });
  return (await platform.ask('sign-in.start', { body: { user: name, password: 'words of somebody else', newPassword: goodPassword } })).token;
}

/** A body that no route takes: permission is asked for before it is read. */
async function knock(name: RouteName, token: string): Promise<RawAnswer> {
  const route: Route = routes[name];
  return await platform.raw(route.method, fillPath(route.path, nowhere), { token, agent, body: route.method === 'GET' || route.method === 'DELETE' ? undefined : [] });
}

/** Routes that change or start something, as design/sign-in.md gives them to each role; reading follows below. */
const changing: Readonly<Record<string, readonly RouteName[]>> = {
  'security-administrator': [
    'credential.add', 'credential.remove', 'user.add', 'user.edit', 'user.password', 'user.unlock', 'user.second-factor-off', 'user.remove', 'user.revoke', 'role.add', 'role.edit', 'role.remove',
    'directory.set', 'directory.test', 'directory.remove', 'policy.preview',
  ],
  'backup-operator': [
    'set.add', 'set.remove', 'oplog.pause', 'oplog.resume', 'oplog.every', 'backup.run', 'group.add', 'group.edit', 'group.remove', 'group.enable', 'group.rescan', 'group.test', 'point.verify', 'point.hold', 'point.release', 'repository.check', 'repository.sweep', 'repository.test', 'repository.repair', 'copy.run',
    'ports.check', 'session.stop', 'session.retry', 'policy.run', 'policy.verify', 'policy.stop', 'policy.preview',
  ],
  'restore-operator': ['restore.set', 'restore.collections', 'publication.start', 'publication.stop', 'oplog.find', 'point.verify', 'point.hold', 'point.release', 'session.stop', 'session.retry', 'policy.preview'],
  viewer: ['policy.preview'],
  metrics: [],
  administrator: all.filter(([, { method }]) => method !== 'GET').map(([name]) => name),
  custom: ['backup.run', 'copy.run'],
};
const readsOfPeople: readonly RouteName[] = ['user.list', 'user.show', 'user.tokens', 'role.list', 'role.show', 'directory.show', 'audit.list', 'audit.verify'];
const custom: Permission[] = ['points.read', 'backups.run'];
const own = new Set(all.filter(([, { permission }]) => permission === 'self' || permission === 'anyone').map(([name]) => name));

function mayOpen(role: string, name: RouteName, route: Route): boolean {
  if (own.has(name)) return true;
  if (route.method !== 'GET') return changing[role]!.includes(name);
  if (role === 'metrics') return route.permission === 'metrics.read';
  if (role === 'custom') return route.permission === 'points.read';
  if (name === 'directory.computers') return role === 'backup-operator' || role === 'administrator';
  if (name === 'package.bytes') return role === 'administrator';
  return role === 'administrator' || role === 'security-administrator' || !readsOfPeople.includes(name);
}

test('every route opens to exactly the roles that the table gives it', async () => {
  assert.deepEqual(Object.keys(changing).filter((role) => role !== 'custom').sort(), Object.keys(builtInRoles).sort());
  await platform.ask('role.add', { body: { name: 'custom', permissions: custom } });
  for (const role of Object.keys(changing)) {
    const token = await signInAs(`is-${role}`, [role]);
    const wrong: string[] = [];
    await atOnce(4, all, async ([name, route]) => {
      if (route.stream === true || name === 'sign-in.end') return;
      const { status, json } = await knock(name, token);
      const isOpen = status !== 403;
      if (status === 401 && name !== 'sign-in.start' && json?.code !== 'server.sign-in-refused') wrong.push(`${name}: 401 ${json?.code}`);
      if (isOpen !== mayOpen(role, name, route)) wrong.push(`${name}: ${status} ${json?.code ?? ''}`);
      if (!isOpen && json.code !== 'server.not-allowed') wrong.push(`${name}: ${json.code}`);
    });
    assert.deepEqual(wrong, [], role);
  }
});

test('a stream opens to those who may read it', async () => {
  for (const [role, status] of [['viewer', 404], ['custom', 403]] as const) {
    const token = await signInAs(`streams-${role}`, [role]);
    assert.equal((await platform.raw('GET', '/api/v1/sessions/nowhere/events', { token })).status, status, role);
  }
});

/** Resolves once the stream has told of its first event. */
async function watch(session: string, token: string): Promise<IncomingMessage> {
  const asked = get(new URL(`/api/v1/sessions/${session}/events`, platform.server.url), { ca: await readFile(platform.server.caFile, 'utf8'), headers: { authorization: `Bearer ${token}` }, agent: false });
  const [response] = (await once(asked, 'response')) as [IncomingMessage];
  await once(response.setEncoding('utf8'), 'data');
  return response;
}

const overs: [what: string, change: (user: string, role: string) => Promise<unknown>][] = [
  ['the user is disabled', async (user) => await platform.ask('user.edit', { params: { user }, body: { isDisabled: true } })],
  ['the role may watch no sessions any more', async (_user, role) => await platform.ask('role.edit', { params: { role }, body: { permissions: ['sets.read'] } })],
  ['the role reaches another set only', async (_user, role) => await platform.ask('role.edit', { params: { role }, body: { permissions: ['sessions.read'], objects: ['set:another'] } })],
];
for (const [n, [what, change]] of overs.entries()) {
  test(`an open stream ends when ${what}, and not before`, async () => {
    const [user, role] = [`watches-${n}`, `watcher-${n}`];
    await platform.ask('role.add', { body: { name: role, permissions: ['sessions.read'], objects: ['set:rs0'] } });
    const token = await signInAs(user, [role]);
    const followed = (await platform.ask('session.list', { query: {} })).sessions.find(({ kind, object }) => kind === 'oplog' && object.name === 'rs0');
    const response = await watch(followed!.id, token);
    for (let quiet = 0; quiet < 2;) if (String((await once(response, 'data', { signal: AbortSignal.timeout(10_000) }))[0]).includes(': still here')) quiet++;
    const ended = once(response.resume(), 'end', { signal: AbortSignal.timeout(10_000) });
    await change(user, role);
    await ended;
  });
}

test('every permission is some route\'s, and every route\'s is in the table', () => {
  const used = new Set(all.map(([, { permission }]) => permission));
  assert.deepEqual(Object.keys(permissions).filter((permission) => !used.has(permission as Permission)), []);
});

test('several roles of one user add up', async () => {
  const token = await signInAs('doubled', ['viewer', 'custom']);
  assert.notEqual((await knock('backup.run', token)).status, 403);
  assert.equal((await knock('point.delete', token)).status, 403);
});

test('an API token with a role of its own opens no more than that role and its user both', async () => {
  const token = await signInAs('maker', ['restore-operator']);
  const made = await platform.raw('POST', '/api/v1/tokens', { token, body: { name: 'narrow', role: 'backup-operator' } });
  const { secret } = made.json as { secret: string };
  const codes = await Promise.all((['backup.run', 'restore.set', 'point.hold', 'set.list'] as const).map(async (name) => (await knock(name, secret)).status === 403));
  assert.deepEqual(codes, [true, true, false, false]);
  const selfish = await Promise.all((['token.add', 'self.password', 'second-factor.begin', 'token.revoke'] as const).map(async (name) => {
    const body = { name: 'more', password: goodPassword, newPassword: 'entirely other words' };
    return (await platform.raw(routes[name].method, fillPath(routes[name].path, { token: 'narrow' }), { token: secret, body: routes[name].method === 'DELETE' ? undefined : body })).json.code as string;
  }));
  assert.deepEqual(selfish, Array.from({ length: 4 }, () => 'server.sign-in-needed'), 'a token makes no token, and changes no password');
});

test('a narrowed role reaches its objects and targets, and what is not there and out of reach is refused alike', async () => {
  const database = new DatabaseSync(join(platform.data, 'server', 'catalog.sqlite'));
  database.prepare("insert into sets select 'f0f0f0f0f0f0f0f0f0f0f0f0', 'other', repository, sealed_target, sign_in, hosts, discovered, added_ms, refreshed_ms, oplog_mode from sets where name = 'rs0'").run();
  database.close();
  assert.equal((await platform.ask('set.list', {})).sets.length, 2);
  const reads: Permission[] = ['sets.read', 'sets.write', 'backups.run', 'restores.run', 'sessions.read', 'sessions.write', 'repositories.read', 'groups.read', 'points.read', 'points.delete', 'server.read'];
  await platform.ask('role.add', { body: { name: 'shop', permissions: reads, objects: ['set:rs0'], targets: ['publish'] } });
  const token = await signInAs('narrowed', ['shop']);
  const ask = async (method: string, path: string, body?: unknown): Promise<string> => {
    const { status, json } = await platform.raw(method, `/api/v1/${path}`, { token, body });
    return status < 400 ? 'done' : json.code;
  };
  const asked = async (path: string): Promise<any> => (await platform.raw('GET', `/api/v1/${path}`, { token })).json;

  assert.deepEqual((await asked('sets')).sets.map(({ name }: { name: string }) => name), ['rs0']);
  assert.deepEqual((await asked('repositories')).repositories, []);
  assert.ok((await asked('sessions')).sessions.every(({ object }: { object: { name: string } }) => object.name === 'rs0'));
  assert.equal(await ask('GET', 'sets/rs0'), 'done');
  assert.equal(await ask('GET', 'server'), 'done');
  const backup = (await platform.raw('POST', '/api/v1/sets/rs0/backups', { token, body: {} })).json as { id: string };
  await platform.ended(backup.id);
  assert.equal(await ask('GET', `sessions/${backup.id}`), 'done');
  for (const path of ['sets/other', 'sets/nowhere', 'repositories/default', 'sessions/nowhere', 'points/nowhere', 'points?set=other']) assert.equal(await ask('GET', path), 'server.not-in-reach', path);
  assert.equal(await ask('POST', 'sets/other/backups', {}), 'server.not-in-reach');
  assert.equal(await ask('POST', 'sets', { target }), 'server.not-in-reach');
  assert.equal(await ask('POST', 'points/delete', { points: ['nowhere'] }), 'server.not-in-reach');
  assert.equal(await ask('POST', 'sets/rs0/restores/collections', { at: 'latest', namespaces: [{ from: 'a.b', to: 'a.c' }] }), 'server.not-in-reach', 'another target');
  assert.equal(await ask('POST', 'sets/rs0/publications', { at: 'nonsense' }), 'domain.moment-not-understood', 'its own target');
});

test('a role that cannot be is refused', async () => {
  for (const [body, says] of [
    [{ permissions: ['hosts.write'], objects: ['set:rs0'] }, /narrowed to objects cannot have hosts\.write/],
    [{ permissions: ['groups.write'], objects: ['group:x'] }, /cannot have groups\.write/],
    [{ permissions: ['self'] }, /self is no role's/],
    [{ permissions: ['sets.read'], targets: ['live'] }, /does not have restores\.run/],
  ] as const) {
    const refused = await platform.refused('role.add', { body: { name: 'unfit', ...body } as never });
    assert.equal(refused.code, 'server.role-unfit');
    assert.match(refused.message, says);
  }
  assert.equal((await platform.refused('role.add', { body: { name: 'viewer', permissions: ['sets.read'] } })).code, 'server.role-exists');
  assert.equal((await platform.refused('role.edit', { params: { role: 'viewer' }, body: { permissions: ['sets.read'] } })).code, 'server.role-built-in');
  assert.equal((await platform.refused('role.remove', { params: { role: 'shop' }, query: { apply: 'true' } })).code, 'server.role-in-use');
});

test('whoever has not everything gives nobody everything, and nobody changes themselves', async () => {
  const token = await signInAs('guard', ['security-administrator']);
  await signInAs('boss', ['administrator']);
  const ask = async (method: string, path: string, body: unknown): Promise<string> => {
    const { status, json } = await platform.raw(method, `/api/v1/${path}`, { token, body });
    return status < 400 ? 'done' : json.code;
  };
  const whole = (await platform.ask('role.show', { params: { role: 'administrator' } })).permissions;
  assert.equal(await ask('POST', 'users', { name: 'evil', roles: ['administrator'], password: goodPassword }), 'server.user-protected');
  assert.equal(await ask('PUT', 'users/boss', { isDisabled: true }), 'server.user-protected');
  assert.equal(await ask('PUT', 'users/boss/password', { password: 'a password of my choice' }), 'server.user-protected');
  assert.equal(await ask('DELETE', 'users/boss/second-factor', undefined), 'server.user-protected');
  assert.equal(await ask('DELETE', 'users/boss?apply=true', undefined), 'server.user-protected');
  assert.equal(await ask('PUT', 'users/guard', { roles: ['viewer'] }), 'server.user-protected');
  assert.equal(await ask('POST', 'roles', { name: 'everything', permissions: whole }), 'server.user-protected');
  assert.equal(await ask('POST', 'users', { name: 'helper', roles: ['viewer'], password: goodPassword }), 'done');
});

test('whoever has not everything shuts nobody out who has it: neither through the directory nor by the shape of a role', async () => {
  const token = await signInAs('warden', ['security-administrator']);
  const ask = async (method: string, path: string, body?: unknown): Promise<string> => {
    const { status, json } = await platform.raw(method, `/api/v1/${path}`, { token, body });
    return status < 400 ? 'done' : json.code;
  };
  const { permissions: whole } = await platform.ask('role.show', { params: { role: 'administrator' } });
  const others = writtenSettings.roles.filter(({ role }) => role !== 'administrator');
  await platform.ask('directory.set', { body: { ...writtenSettings, bindPassword: 'bind-secret' } });
  assert.equal(await ask('PUT', 'directory', { ...writtenSettings, roles: others }), 'server.user-protected');
  assert.equal(await ask('DELETE', 'directory?apply=true'), 'server.user-protected');
  await platform.ask('role.add', { body: { name: 'owner', permissions: whole } });
  await platform.ask('directory.set', { body: { ...writtenSettings, roles: [{ group: 'CN=Boss,DC=comp,DC=test', role: 'owner' }] } });
  assert.equal(await ask('DELETE', 'directory?apply=true'), 'server.user-protected', 'a role made here that is everything');
  assert.equal(await ask('PUT', 'roles/owner', { permissions: ['sets.read'] }), 'server.user-protected');
  await platform.ask('directory.set', { body: { ...writtenSettings, roles: others } });
  assert.equal(await ask('PUT', 'directory', { ...writtenSettings, roles: others }), 'done');
  assert.equal(await ask('DELETE', 'directory?apply=true'), 'done');
});

test('a session is retried by whoever may start it, and by nobody else', async () => {
  const restore = await platform.ask('restore.collections', { params: { set: 'rs0' }, body: { at: 'latest', namespaces: [{ from: 'shop.orders', to: 'shop.back' }] } });
  await platform.ended(restore.id);
  const token = await signInAs('backs-up', ['backup-operator']);
  const answer = await platform.raw('POST', `/api/v1/sessions/${restore.id}/retry`, { token });
  assert.deepEqual([answer.status, answer.json.code], [403, 'server.not-allowed']);
  assert.match(answer.json.message, /does not allow restores\.run/);
});

test('what several roles have does not add up to what none of them has', async () => {
  const refusal = async (token: string, path: string, body?: unknown): Promise<string> => {
    const { status, json } = await platform.raw('POST', `/api/v1/${path}`, { token, body });
    return status < 400 ? 'done' : json.code;
  };
  const add = async (name: string, permissions: Permission[], objects: string[] | null, targets: ('live' | 'publish')[] | null): Promise<void> => void (await platform.ask('role.add', { body: { name, permissions, objects, targets } }));
  await add('publishes-all', ['restores.run', 'sets.read', 'points.read'], null, ['publish']);
  await add('overwrites-other', ['restores.run', 'points.read'], ['set:other'], ['live']);
  const mixed = await signInAs('mixed', ['publishes-all', 'overwrites-other']);
  const live = { at: 'latest', namespaces: [{ from: 'a.b', to: 'a.c' }] };
  assert.equal(await refusal(mixed, 'sets/rs0/restores/collections', live), 'server.not-in-reach', 'live is for the other set');
  assert.notEqual(await refusal(mixed, 'sets/other/restores/collections', live), 'server.not-in-reach');
  assert.equal(await refusal(mixed, 'sets/rs0/publications', { at: 'nonsense' }), 'domain.moment-not-understood');

  const backup = (await platform.raw('POST', '/api/v1/sets/rs0/backups', { body: {} })).json as { id: string };
  await platform.ended(backup.id);
  await add('stops-all', ['sessions.write', 'sessions.read'], null, null);
  await add('backs-up-other', ['backups.run'], ['set:other'], null);
  await add('backs-up-shop', ['backups.run'], ['set:rs0'], null);
  assert.equal(await refusal(await signInAs('retries-other', ['stops-all', 'backs-up-other']), `sessions/${backup.id}/retry`), 'server.not-in-reach');
  assert.notEqual(await refusal(await signInAs('retries-shop', ['stops-all', 'backs-up-shop']), `sessions/${backup.id}/retry`), 'server.not-in-reach');
});

test('a role narrowed to a repository neither moves sets into it nor repairs it, or tries that again, from one out of reach', async () => {
  const { repositories } = await platform.ask('repository.list', {});
  const [own] = repositories;
  const database = new DatabaseSync(join(platform.data, 'server', 'catalog.sqlite'));
  const columns = (database.prepare('select name from pragma_table_info(\'repositories\')').all() as { name: string }[]).map(({ name }) => name);
  const copied = columns.map((name) => ({ id: "'e0e0'", name: "'elsewhere'", is_default: '0' })[name] ?? name);
  database.prepare(`insert into repositories (${columns.join(', ')}) select ${copied.join(', ')} from repositories where name = '${own!.name}'`).run();
  database.close();
  await platform.ask('role.add', { body: { name: 'keeper', permissions: ['repositories.read', 'repositories.write', 'repositories.maintain', 'sessions.read', 'sessions.write'], objects: [`repository:${own!.name}`] } });
  const token = await signInAs('keeps', ['keeper']);
  const ask = async (path: string, body: unknown): Promise<string> => {
    const { status, json } = await platform.raw('POST', `/api/v1/repositories/${path}`, { token, body });
    return status < 400 ? 'done' : json.code;
  };
  assert.equal(await ask(`${own!.name}/adopt`, { apply: false }), 'server.not-in-reach');
  assert.equal(await ask('import', { name: 'other', location: { kind: 'directory', path: '/x' }, passphrase: 'long enough' }), 'server.not-in-reach');
  assert.equal(await ask(`${own!.name}/repair`, { from: 'elsewhere' }), 'server.not-in-reach');
  assert.equal(await ask(`${own!.name}/repair`, { from: own!.name }), 'server.copy-to-itself', 'what it reaches is asked of the repository');
  const retried = async (from: string | null): Promise<string> => {
    const { id } = await platform.ask('repository.repair', { params: { repository: own!.name }, body: { from } });
    await platform.ended(id);
    const { status, json } = await platform.raw('POST', `/api/v1/sessions/${id}/retry`, { token, body: {} });
    return status < 400 ? 'done' : json.code;
  };
  assert.equal(await retried('elsewhere'), 'server.not-in-reach');
  assert.notEqual(await retried(null), 'server.not-in-reach');
});
