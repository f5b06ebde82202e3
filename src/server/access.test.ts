/** Who is answered what: every route against no token, a wrong one and a weaker role; and what no answer ever holds. */
import assert from 'node:assert/strict';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { DatabaseSync } from 'node:sqlite';
import type { Route } from '../contract/route.ts';
import { fillPath, routes, type RouteName } from '../contract/routes.ts';
import { builtInRoles } from '../contract/roles.ts';
import { hashOf } from './sign-in.ts';
import { httpStatusOf } from './rest/http-status.ts';
import { declaredFailures } from '../base/failure.ts';
import { until } from '../base/deadline.ts';
import { openServerPlatform, type ServerPlatform } from '../../test/kit/server-platform.ts';
import './failures.ts';
import '../domain/failures.ts';
import '../contract/failures.ts';
import '../directory/failures.ts';
import './people/failures.ts';

let platform: ServerPlatform;
before(async () => {
  platform = await openServerPlatform();
  await platform.addSet();
});
after(async () => await platform[Symbol.asyncDispose]());

const all = Object.entries(routes) as [RouteName, Route][];
const named = { set: 'rs0', point: 'p', session: 's', publication: 'x', repository: 'default', host: 'local', credential: 'x', group: 'x', user: 'x', role: 'x', token: 'x', copy: 'x', policy: 'x', notification: 'x', hook: 'x', name: 'tidemark-deployer', version: '1.0.0', platform: 'linux-x64' };
const anyPath = (route: Route): string => fillPath(route.path, named);

const viewer = 'tm_viewer-token-of-the-access-test';
const asViewer = (): void => {
  const database = new DatabaseSync(join(platform.data, 'server', 'catalog.sqlite'));
  database.prepare('insert into tokens values (?, ?, ?, ?, ?) on conflict do nothing').run('v', 'viewer', 'viewer', hashOf(viewer), 1);
  database.close();
};

test('no route answers without a token, with a wrong one, or with one of another form', async () => {
  await using strict = await openServerPlatform();
  for (const [name, route] of all) {
    for (const token of [null, 'tm_wrong-token-wrong-token-wrong', 'x']) {
      const answer = await strict.raw(route.method, anyPath(route), { token, body: route.method === 'POST' || route.method === 'PUT' ? {} : undefined });
      // The one that signs in takes no token, and tells what it takes.
      if (name === 'sign-in.start') {
        assert.deepEqual([answer.status, answer.json.code], [400, 'server.question-not-understood']);
        continue;
      }
      assert.ok(answer.status === 401 || answer.status === 429, `${name} answered ${answer.status}`);
      assert.match(answer.json.code, /^server\.(not-signed-in|too-many-attempts)$/);
    }
  }
});

test('a path that is not a route is not told apart from one that is, without a token', async () => {
  const [there, nowhere] = [await platform.raw('GET', '/api/v1/sets', { token: null }), await platform.raw('GET', '/api/v1/nothing', { token: null })];
  assert.deepEqual(nowhere.json, there.json);
  const known = await platform.raw('GET', '/api/v1/nothing');
  assert.deepEqual([known.status, known.json.code], [404, 'server.no-such-route']);
});

test('guesses are cut off after a while, and the right token is heard all the same', async () => {
  await using strict = await openServerPlatform();
  const statuses = [];
  for (let n = 0; n < 25; n++) statuses.push((await strict.raw('GET', '/api/v1/server', { token: `tm_guess-number-${n}-of-many` })).status);
  assert.deepEqual(statuses.slice(0, 20), Array.from({ length: 20 }, () => 401));
  assert.deepEqual(statuses.slice(20), Array.from({ length: 5 }, () => 429));
  assert.equal((await strict.raw('GET', '/api/v1/server')).status, 200);
});

test('a viewer may read what is backed up and change nothing', async () => {
  asViewer();
  for (const [name, route] of all) {
    if (route.stream === true || route.permission === 'self' || route.permission === 'anyone') continue;
    const answer = await platform.raw(route.method, anyPath(route), { token: viewer, body: route.method === 'POST' || route.method === 'PUT' ? {} : undefined });
    if (route.permission.endsWith('.read') && !/^(people|directory|audit)\./.test(route.permission)) assert.notEqual(answer.status, 403, name);
    else assert.deepEqual([answer.status, answer.json.code], [403, 'server.not-allowed'], name);
  }
});

test('the administrator has every permission a route asks for', () => {
  for (const [name, { permission }] of all) assert.ok(permission === 'self' || permission === 'anyone' || builtInRoles.administrator.permissions.includes(permission), name);
});

test('questions that do not keep the contract are refused with the field and without repeating its value', async () => {
  for (const [method, path, body, field] of [
    ['POST', '/api/v1/sets', { target: { hosts: [], credential: { kind: 'scram', user: 'u', password: 12345678 } } }, /hosts|password/],
    ['POST', '/api/v1/sets', {}, /target/],
    ['POST', '/api/v1/points/delete', { points: [] }, /points/],
    ['GET', '/api/v1/sessions?limit=0', undefined, /limit/],
    ['GET', '/api/v1/sessions?state=sleepy', undefined, /state/],
    ['POST', '/api/v1/sets/rs0/restores/collections', { at: 'latest', namespaces: [{ from: 'a', to: 'b.c' }] }, /namespaces/],
  ] as const) {
    const answer = await platform.raw(method, path, { body });
    assert.deepEqual([answer.status, answer.json.code], [400, 'server.question-not-understood'], answer.text);
    assert.match(answer.json.message, field);
    assert.doesNotMatch(answer.text, /12345678|sleepy/);
  }
  const broken = await platform.raw('POST', '/api/v1/sets', { headers: { 'content-type': 'text/plain' }, body: 'x' });
  assert.equal(broken.json.code, 'server.question-not-understood');
});

test('no answer, log line or open file holds a secret', async () => {
  const backup = await platform.ask('backup.run', { params: { set: 'rs0' }, body: {} });
  await platform.ended(backup.id);
  const restore = await platform.ask('restore.collections', { params: { set: 'rs0' }, body: { at: 'latest', namespaces: [{ from: 'shop.orders', to: 'shop.back' }] } });
  await platform.ended(restore.id);
  const passphrase = (await readFile(join(platform.data, 'repository.passphrase'), 'utf8')).trim();
  const token = (await readFile(join(platform.data, 'admin.token'), 'utf8')).trim();
  const secrets = { password: 'very-secret-password', archiveKey: 'ab'.repeat(32), passphrase, token };
  const seen = [platform.logged.join('')];
  for (const [, route] of all) {
    if (route.method !== 'GET') continue;
    for (const session of [backup.id, restore.id]) {
      seen.push((await platform.raw('GET', fillPath(route.path, { ...named, point: restore.id, session }))).text);
    }
  }
  for (const file of await readdir(join(platform.data, 'server'))) seen.push(await readFile(join(platform.data, 'server', file), 'latin1'));
  for (const [what, secret] of Object.entries(secrets)) assert.ok(!seen.some((text) => text.includes(secret)), `${what} was found`);
});

test('files that hold secrets are their owner\'s alone', async () => {
  for (const name of ['admin.token', 'master.key', 'repository.passphrase', 'transport.json', 'server/identity.json', 'server/ca.json']) {
    assert.equal((await stat(join(platform.data, name))).mode & 0o777, 0o600, name);
  }
  assert.equal((await stat(join(platform.data, 'server'))).mode & 0o777, 0o700);
});

test('a token file that was removed is made anew with another token, and the old one opens nothing', async () => {
  await using other = await openServerPlatform();
  const old = (await readFile(other.server.tokenFile, 'utf8')).trim();
  const { rm } = await import('node:fs/promises');
  await rm(other.server.tokenFile);
  await other.restartServer();
  assert.equal((await other.raw('GET', '/api/v1/server')).status, 200);
  assert.equal((await other.raw('GET', '/api/v1/server', { token: old })).status, 401);
});

test('every failure code has an HTTP status of its own kind', () => {
  for (const { code } of declaredFailures()) {
    const status = httpStatusOf({ code });
    if (code.startsWith('server.')) assert.equal(status === 500, code === 'server.answer-broken' || code === 'server.secret-unreadable', `${code} is ${status}`);
    assert.ok(status >= 400 && status < 600);
  }
  assert.deepEqual([httpStatusOf({ code: 'server.set-unknown' }), httpStatusOf({ code: 'domain.moment-unreachable' }), httpStatusOf({ code: 'what.ever' })], [404, 422, 500]);
});

test('the failures a route names are failures that exist', () => {
  const known = new Set(declaredFailures().map(({ code }) => code));
  for (const [name, route] of all) for (const code of route.failures) assert.ok(known.has(code), `${name} names ${code}`);
});

test('the OpenAPI page describes every route, and its references lead somewhere', async () => {
  const page = await platform.ask('server.openapi', {});
  const text = JSON.stringify(page);
  const { paths, components } = page as { paths: Record<string, Record<string, { operationId: string }>>; components: { schemas: Record<string, unknown> } };
  const described = Object.values(paths).flatMap((path) => Object.values(path).map(({ operationId }) => operationId));
  assert.deepEqual(described.sort(), Object.keys(routes).sort());
  for (const [, name] of text.matchAll(/"#\/components\/schemas\/([^"]+)"/g)) assert.ok(components.schemas[name!] !== undefined, name);
  for (const [name, schema] of Object.entries(components.schemas)) assert.notEqual((schema as { $ref?: string }).$ref, `#/components/schemas/${name}`, `${name} is only itself`);
  assert.equal(page['openapi'], '3.1.0');
});

test('a transport whose certificate was taken off the list is refused at the next connection, and the server says so', async () => {
  await using other = await openServerPlatform();
  const database = new DatabaseSync(join(other.data, 'server', 'catalog.sqlite'));
  database.prepare("update certificates set revoked_ms = 1 where name = 'local'").run();
  database.close();
  await other.fake.cut();
  await other.fake.mend();
  const standing = await until('the refusal', 10_000, async () => {
    const [host] = (await other.ask('server.info', {})).hosts;
    return host?.state === 'refused' ? host : undefined;
  });
  assert.match(standing.says ?? '', /is not on the list of certificates in force/);
});
