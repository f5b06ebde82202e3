import assert from 'node:assert/strict';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { openCatalog, type Catalog } from '../catalog/catalog.ts';
import { isFailure } from '../base/failure.ts';
import { openServerPlatform, type ServerPlatform } from '../../test/kit/server-platform.ts';
import { turnedClock } from '../../test/kit/turned-clock.ts';
import { openCredentials } from './credentials.ts';
import { openHostKeys } from './host-keys.ts';
import { sealerWith } from './sealing.ts';

let platform: ServerPlatform;
let catalog: Catalog;
before(async () => {
  platform = await openServerPlatform();
  catalog = await openCatalog(':memory:');
});
after(async () => {
  await catalog.close();
  await platform[Symbol.asyncDispose]();
});

const secrets = ['first-host-secret', 'sudo-host-secret', 'root-host-secret', 'PRIVATE-KEY-TEXT', 'phrase-secret', 'database-secret'];
const byPassword = { user: 'anna', port: 2222, signIn: { kind: 'password', password: secrets[0]! }, elevation: { kind: 'sudo', password: secrets[1]!, rootPassword: secrets[2]! } } as const;
const byKey = { user: 'anna', signIn: { kind: 'key', privateKey: secrets[3]!, passphrase: secrets[4]! } } as const;

test('credentials are listed without their secrets, which stand in no answer, log or file', async () => {
  const added = await platform.ask('credential.add', { body: { name: 'dba', record: { kind: 'host', host: byPassword } } });
  await platform.ask('credential.add', { body: { name: 'key', record: { kind: 'host', host: byKey } } });
  await platform.ask('credential.add', { body: { name: 'reader', record: { kind: 'database', credential: { kind: 'scram', user: 'tide', password: secrets[5]!, authSource: 'admin' } } } });
  const { credentials } = await platform.ask('credential.list', {});
  const rows = credentials.map(({ name, kind, user, signIn, port, elevation }) => [name, kind, user, signIn, port, elevation]);
  assert.deepEqual(rows, [['dba', 'host', 'anna', 'password', 2222, 'sudo'], ['key', 'host', 'anna', 'key', 22, 'none'], ['reader', 'database', 'tide', 'scram', null, null]]);
  const seen = [platform.logged.join(''), JSON.stringify(added), JSON.stringify(credentials)];
  for (const file of await readdir(join(platform.data, 'server'))) seen.push(await readFile(join(platform.data, 'server', file), 'latin1'));
  for (const secret of secrets) assert.ok(!seen.some((text) => text.includes(secret)), `${secret} was found`);
});

test('a name is given once; removing shows its plan and then forgets', async () => {
  const again = await platform.refused('credential.add', { body: { name: 'dba', record: { kind: 'host', host: byKey } } });
  assert.deepEqual([again.status, again.code], [409, 'server.credential-exists']);
  const plan = await platform.ask('credential.remove', { params: { credential: 'dba' }, query: {} });
  assert.deepEqual([plan.applied, plan.plan[0]], [false, 'forget the host credential dba with its secrets']);
  assert.equal((await platform.ask('credential.list', {})).credentials.length, 3);
  await platform.ask('credential.remove', { params: { credential: 'dba' }, query: { apply: 'true' } });
  const gone = await platform.refused('credential.remove', { params: { credential: 'dba' }, query: {} });
  assert.deepEqual([gone.status, gone.code], [404, 'server.credential-unknown']);
});

test('a credential that makes no sense is refused without repeating it', async () => {
  for (const host of [{ ...byKey, user: '-oProxyCommand=x' }, { ...byKey, port: 0 }, { ...byKey, signIn: { kind: 'password', password: '' } }]) {
    const answer = await platform.raw('POST', '/api/v1/credentials', { body: { name: 'bad', record: { kind: 'host', host } } });
    assert.deepEqual([answer.status, answer.json.code], [400, 'server.question-not-understood']);
    assert.doesNotMatch(answer.text, /PRIVATE-KEY-TEXT|phrase-secret|ProxyCommand/);
  }
});

test('what is kept comes back whole, for its own kind only, and does not open in another row', async () => {
  const clock = turnedClock();
  const credentials = openCredentials({ catalog, sealer: sealerWith(Buffer.alloc(32, 7)), clock });
  const row = await credentials.add('host', { kind: 'host', host: byPassword });
  assert.deepEqual(await credentials.host('host'), byPassword);
  await assert.rejects(credentials.database('host'), (error) => isFailure(error, { code: 'server.credential-other-kind' }));
  await catalog.credentials.add({ ...row, id: 'moved', name: 'moved' });
  await assert.rejects(credentials.host('moved'), (error) => isFailure(error, { code: 'server.secret-unreadable' }));
});

test('a single-use credential is written nowhere, opens once, and is over after ten minutes', async () => {
  const clock = turnedClock();
  const credentials = openCredentials({ catalog, sealer: sealerWith(Buffer.alloc(32, 7)), clock });
  const before = (await catalog.credentials.list()).length;
  const [ticket, late] = [credentials.keepOnce(byPassword), credentials.keepOnce(byPassword)];
  assert.deepEqual(credentials.takeOnce(ticket), byPassword);
  assert.throws(() => credentials.takeOnce(ticket), (error) => isFailure(error, { code: 'server.credential-gone' }));
  clock.turn(600_000);
  assert.throws(() => credentials.takeOnce(late), (error) => isFailure(error, { code: 'server.credential-gone' }));
  assert.equal((await catalog.credentials.list()).length, before);
});

const key = (fingerprint: string) => ({ type: 'ssh-ed25519', fingerprint: `SHA256:${fingerprint}` });

test('in automatic mode the first key is trusted and a later one waits until an operator admits it', async () => {
  const keys = openHostKeys({ catalog, clock: turnedClock() });
  const first = await keys.rule('db1', 22);
  assert.deepEqual([first.recorded, first.unknown], [null, 'admit']);
  await first.seen!(key('a'));
  assert.equal((await keys.standing('db1', 22))?.state, 'trusted');
  const next = await keys.rule('db1', 22);
  assert.deepEqual(next.recorded, key('a'));
  await next.seen!(key('b'));
  const standing = await keys.standing('db1', 22);
  assert.deepEqual([standing?.state, standing?.trusted?.fingerprint, standing?.waiting?.fingerprint], ['changed', 'SHA256:a', 'SHA256:b']);
  assert.deepEqual((await keys.rule('db1', 22)).recorded, key('a'), 'a changed key is not trusted by itself');
  await assert.rejects(keys.admit('db1', 22, 'SHA256:c', 'admin'), (error) => isFailure(error, { code: 'server.host-key-other' }));
  const admitted = await keys.admit('db1', 22, 'SHA256:b', 'admin');
  assert.deepEqual([admitted.state, admitted.trusted?.by, admitted.trusted?.fingerprint], ['trusted', 'admin', 'SHA256:b']);
  assert.equal(await keys.standing('db1', 2222), null, 'another port is another sshd');
});

test('in manual mode a host waits as untrusted, is listed, and is admitted with the fingerprint that was compared', async () => {
  const keys = openHostKeys({ catalog, clock: turnedClock() });
  await keys.setMode('manual');
  const rule = await keys.rule('db2', 22);
  assert.deepEqual([rule.recorded, rule.unknown], [null, 'refuse']);
  await assert.rejects(keys.admit('db2', 22, 'SHA256:d', 'admin'), (error) => isFailure(error, { code: 'server.host-key-unknown' }));
  await rule.seen!(key('d'));
  assert.deepEqual((await keys.list()).filter(({ state }) => state === 'untrusted').map(({ host, state }) => [host, state]), [['db2', 'untrusted']]);
  await keys.admit('db2', 22, 'SHA256:d', 'admin');
  assert.equal((await keys.admit('db2', 22, 'SHA256:d', 'admin')).state, 'trusted', 'twice is once');
  assert.deepEqual((await keys.rule('db2', 22)).recorded, key('d'));
  await (await keys.rule('db4', 22)).seen!(key('g'));
  await keys.setMode('automatic');
  assert.deepEqual(await (await keys.rule('db4', 22)).seen!(key('h')), key('h'), 'what nobody has admitted is met for the first time in automatic mode');
  assert.equal((await keys.standing('db4', 22))?.trusted?.fingerprint, 'SHA256:h');
});

test('of two that meet a host for the first time at once with different keys, one is trusted and the other waits', async () => {
  const keys = openHostKeys({ catalog, clock: turnedClock() });
  const rules = await Promise.all([keys.rule('db3', 22), keys.rule('db3', 22)]);
  const recorded = await Promise.all([rules[0].seen!(key('e')), rules[1].seen!(key('f'))]);
  assert.deepEqual(recorded[0], recorded[1], 'both are told of the same key, so that one of them is refused');
  const standing = await keys.standing('db3', 22);
  assert.equal(standing?.state, 'changed');
  assert.deepEqual([standing?.trusted?.fingerprint, standing?.waiting?.fingerprint].sort((a, b) => (a! < b! ? -1 : 1)), ['SHA256:e', 'SHA256:f']);
});

test('over REST an operator sets the mode and is told of every key; a key that was never seen cannot be admitted', async () => {
  assert.deepEqual(await platform.ask('host-key.list', {}), { mode: 'automatic', hostKeys: [] });
  assert.deepEqual(await platform.ask('host-key.mode', { body: { mode: 'manual' } }), { mode: 'manual' });
  const refused = await platform.refused('host-key.admit', { body: { host: 'db1', fingerprint: `SHA256:${'a'.repeat(43)}` } });
  assert.deepEqual([refused.status, refused.code], [404, 'server.host-key-unknown']);
});
