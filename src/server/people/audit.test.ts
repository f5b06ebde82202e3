/** The audit over the real REST API, and what is found when somebody has been at it. */
import assert from 'node:assert/strict';
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { openLog } from '../../base/log.ts';
import { cheap, goodPassword, openTestPeople, writtenDirectory, writtenSettings } from '../../../test/kit/people.ts';
import { openServerPlatform, type ServerPlatform } from '../../../test/kit/server-platform.ts';
import { sealerWith } from '../sealing.ts';
import { openAudit } from './audit.ts';

let platform: ServerPlatform;
before(async () => {
  platform = await openServerPlatform({}, { people: { cost: cheap } });
});
after(async () => await platform[Symbol.asyncDispose]());

const firstPassword = 'words of somebody else';

function change(sql: string, of = platform): void {
  const database = new DatabaseSync(join(of.data, 'server', 'catalog.sqlite'));
  database.exec(sql);
  database.close();
}

const faults = async (): Promise<string[]> => (await platform.ask('audit.verify', {})).faults.map(({ number, what }) => `${number}: ${what}`);

test('every changing request and every sign-in is a row: who, from where, what, on what, with what outcome', async () => {
  await platform.ask('user.add', { body: { name: 'anna', roles: ['viewer'], password: firstPassword } });
  const { token } = await platform.ask('sign-in.start', { body: { user: 'anna', password: firstPassword, newPassword: goodPassword } });
  await platform.raw('POST', '/api/v1/sign-in', { token: null, body: { user: 'anna', password: 'wrong-hush' } });
  await platform.raw('POST', '/api/v1/sign-in', { token: null, body: { user: 'typed-password-as-name', password: 'x' } });
  await platform.raw('GET', '/api/v1/users', { token });
  await platform.raw('GET', '/api/v1/sets', { token });
  await platform.raw('POST', '/api/v1/sets/rs0/restores/collections', { token, body: { reason: 'because' } });
  await platform.raw('DELETE', '/api/v1/users/anna');
  const rows = (await platform.ask('audit.list', { query: { limit: 100 } })).rows.toReversed().map(({ who, from, what, on, outcome }) => [who, from, what, on, outcome].join(' | '));
  assert.deepEqual(rows, [
    'admin | 127.0.0.1 | user.add | anna roles=viewer | done',
    'anna | 127.0.0.1 | sign-in.start |  | done',
    'anna | 127.0.0.1 | sign-in.start |  | server.sign-in-refused',
    '(a name that is nobody\'s) | 127.0.0.1 | sign-in.start |  | server.sign-in-refused',
    'anna | 127.0.0.1 | user.list |  | server.not-allowed',
    'anna | 127.0.0.1 | restore.collections | rs0 | server.not-allowed',
    'admin | 127.0.0.1 | user.remove | anna (plan) | done',
  ]);
  assert.deepEqual(await faults(), []);
  const made = await platform.raw('POST', '/api/v1/tokens', { token, body: { name: 'nightly' } });
  assert.equal(made.status, 201);
  assert.equal((await platform.ask('audit.list', { query: { who: 'anna', limit: 1 } })).rows[0]?.what, 'token.add');

  const secrets = [firstPassword, goodPassword, 'wrong-hush', 'typed-password-as-name', token, made.json.secret as string];
  const seen = [platform.logged.join('')];
  for (const file of await readdir(join(platform.data, 'server'))) seen.push(await readFile(join(platform.data, 'server', file), 'latin1'));
  for (const path of ['audit?limit=1000', 'users', 'users/anna', 'users/anna/tokens']) seen.push((await platform.raw('GET', `/api/v1/${path}`)).text);
  for (const secret of secrets) assert.ok(!seen.some((text) => text.includes(secret)), `${secret.slice(0, 5)}… was found`);
});

test('a row says what somebody was given, and no local user is called as those who are none', async () => {
  await using other = await openServerPlatform({}, { people: { cost: cheap, openDirectory: writtenDirectory({ accounts: new Map(), isAway: undefined, proofs: 0 }) } });
  for (const name of ['admin', 'tidemark']) assert.equal((await other.refused('user.add', { body: { name, roles: ['viewer'], password: firstPassword } })).code, 'server.question-not-understood');
  await other.ask('role.add', { body: { name: 'shop', permissions: ['sets.read', 'restores.run'], objects: ['set:shop'], targets: ['publish'] } });
  await other.ask('user.add', { body: { name: 'anna', roles: ['viewer', 'shop'], password: firstPassword } });
  await other.ask('user.edit', { params: { user: 'anna' }, body: { roles: ['administrator'], isDisabled: true } });
  await other.ask('directory.set', { body: { ...writtenSettings, bindPassword: 'bind-secret' } });
  await other.raw('POST', '/api/v1/copies', { body: { set: 'rs0', to: 'second' } });
  await other.raw('POST', '/api/v1/repositories', { body: { name: 'second', host: 'db1', passphrase: 'of the repository', secret: 'of the place' } });
  const rows = (await other.ask('audit.list', { query: { limit: 100 } })).rows.toReversed().map(({ who, what, on, outcome }) => `${who} ${what}: ${on} (${outcome})`);
  assert.deepEqual(rows, [
    'admin user.add: admin roles=viewer (server.question-not-understood)',
    'admin user.add: tidemark roles=viewer (server.question-not-understood)',
    'admin role.add: shop objects=set:shop targets=publish permissions=sets.read,restores.run (done)',
    'admin user.add: anna roles=viewer,shop (done)',
    'admin user.edit: anna roles=administrator isDisabled=true (done)',
    'admin directory.set: roles=CN=Ops,DC=comp,DC=test:backup-operator; CN=Boss,DC=comp,DC=test:administrator (done)',
    'admin copy.add: set=rs0 to=second (server.set-unknown)',
    'admin repository.add: second host=db1 (server.question-not-understood)',
  ]);
});

test('a flood of sign-ins fills neither audit nor log', async () => {
  await using other = await openServerPlatform({}, { people: { cost: cheap } });
  for (let n = 0; n < 30; n++) await other.raw('POST', '/api/v1/sign-in', { token: null, body: { user: `user${n}`, password: 'sprayed' } });
  assert.equal((await other.ask('audit.list', { query: { limit: 100 } })).rows.length, 10);
});

test('what is no sign-in at all costs its address an attempt, and the audit no row', async () => {
  await using other = await openServerPlatform({}, { people: { cost: cheap } });
  const statuses: number[] = [];
  for (let n = 0; n < 14; n++) statuses.push((await other.raw('POST', '/api/v1/sign-in', { token: null, body: n % 2 === 0 ? {} : [], ...(n % 3 === 0 && { headers: { 'content-type': 'application/xml' } }) })).status);
  assert.deepEqual(statuses, [...Array.from({ length: 10 }, () => 400), ...Array.from({ length: 4 }, () => 429)]);
  assert.deepEqual((await other.ask('audit.list', { query: { limit: 100 } })).rows, []);
});

const tampered: [what: string, sql: string, found: RegExp[]][] = [
  ['changed', "update audit set who = 'bert' where number = 3", [/^3: it, or its place in the chain, was changed$/]],
  ['given another outcome and hash', "update audit set outcome = 'done', hash = (select hash from audit where number = 2) where number = 3", [/^3: /, /^4: /]],
  ['removed', 'delete from audit where number = 4', [/^5: rows 4 to 4 are missing$/, /^5: it, or its place/]],
  ['swapped', 'update audit set number = 900 where number = 3; update audit set number = 3 where number = 4; update audit set number = 4 where number = 900', [/^3: /, /^4: /, /^5: /]],
  ['cut off at the end', 'delete from audit where number > (select max(number) - 2 from audit)', [/^\d+: rows \d+ to \d+ are missing at the end$/]],
  ['cut off at the beginning', 'delete from audit where number < 3', [/^3: rows 1 to 2 are missing$/, /^3: it, or its place/]],
  ['put in between', "update audit set number = number + 100 where number > 4; update audit set number = number - 99 where number > 100; insert into audit select 5, at_ms, who, from_address, what, object, outcome, reason, hash from audit where number = 2", [/^5: /, /^6: /]],
];
for (const [what, sql, found] of tampered) {
  test(`a row that was ${what} is found`, async () => {
    const kept = (await platform.ask('audit.list', { query: { limit: 5_000 } })).rows.length;
    assert.ok(kept >= 7);
    change('create table audit_kept as select * from audit');
    try {
      change(sql);
      const seen = await faults();
      for (const says of found) assert.ok(seen.some((fault) => says.test(fault)), `${says.source}: ${seen.join('; ')}`);
    } finally {
      change('delete from audit; insert into audit select * from audit_kept; drop table audit_kept');
    }
    assert.deepEqual(await faults(), [], 'all is well again');
  });
}

test('rows cut off at the end stay missing, whatever is written after them', async () => {
  await using other = await openServerPlatform({}, { people: { cost: cheap } });
  const missing = async (): Promise<string> => (await other.ask('audit.verify', {})).faults.map(({ number, what }) => `${number}: ${what}`).join('; ');
  const request = async (): Promise<unknown> => await other.raw('DELETE', '/api/v1/users/nobody');
  for (let n = 0; n < 5; n++) await request();
  assert.equal(await missing(), '');
  change('delete from audit where number > 3', other);
  for (let n = 0; n < 3; n++) await request();
  assert.equal(await missing(), '6: rows 4 to 5 are missing; 6: it, or its place in the chain, was changed');
  change('delete from audit', other);
  await request();
  assert.match(await missing(), /^9: rows 1 to 8 are missing; 9: /);
});

test('a row whose head was not written any more is followed, rows that are missing at the next start are not', async () => {
  await using people = await openTestPeople();
  const { catalog, clock, data } = people;
  const entry = { who: 'anna', from_address: '', what: 'user.add', object: 'bert', outcome: 'done', reason: null };
  const head = join(data, 'audit.head');
  const started = () => openAudit({ catalog, clock, log: openLog(() => {}), sealer: sealerWith(Buffer.alloc(32, 3)), directory: data });
  await started().record(entry);
  await rm(head);
  assert.equal((await started().verify()).isWhole, true, 'killed before the first head');
  await started().record(entry);
  const old = await readFile(head, 'utf8');
  await started().record(entry);
  await writeFile(head, old, { mode: 0o600 });
  await started().record(entry);
  assert.deepEqual(await started().verify().then(({ isWhole, rows }) => [isWhole, rows]), [true, 4]);
  await writeFile(head, old, { mode: 0o600 });
  await started().record(entry);
  assert.deepEqual((await started().verify()).faults, [{ number: 5, what: 'it, or its place in the chain, was changed' }], 'two rows ahead of the head are not this server\'s');
});

test('a chain made anew without the master key does not fit, and neither does a missing head', async () => {
  const head = join(platform.data, 'audit.head');
  const kept = await readFile(head, 'utf8');
  await writeFile(head, '{"number":1,"hash":"00"}');
  assert.match((await faults()).join(), /1: it is not the row that the head was made of/);
  await rm(head);
  assert.match((await faults()).join(), /the head .* is missing/);
  await writeFile(head, kept, { mode: 0o600 });
  assert.deepEqual(await faults(), []);
});

test('many changes at once make one chain', async () => {
  await Promise.all(Array.from({ length: 40 }, async (_, n) => await platform.raw('DELETE', `/api/v1/users/nobody${n}`)));
  const verdict = await platform.ask('audit.verify', {});
  assert.deepEqual([verdict.isWhole, verdict.faults], [true, []]);
  assert.ok(verdict.rows >= 47);
});

test('what cannot be written into the audit is not answered as done', async () => {
  change('alter table audit rename to audit_away');
  const { status } = await platform.raw('POST', '/api/v1/users', { body: { name: 'bert', roles: ['viewer'], password: firstPassword } });
  change('alter table audit_away rename to audit');
  assert.equal(status, 500);
  assert.match(platform.logged.join(''), /a row of the audit was not kept/);
});
