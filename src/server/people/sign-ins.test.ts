import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { isFailure } from '../../base/failure.ts';
import { accountOf, goodPassword, openTestPeople, writtenSettings, type TestPeople } from '../../../test/kit/people.ts';
import { networkOf } from './attempts.ts';
import { codeAt } from './one-time-codes.ts';
import { totpPlace, type SignedIn } from './sign-ins.ts';
import { sealerWith } from '../sealing.ts';

let people: TestPeople;
beforeEach(async () => {
  people = await openTestPeople();
});
afterEach(async () => await people[Symbol.asyncDispose]());

const first = 'first words of another';
const minuteMs = 60_000;

async function addAnna(): Promise<void> {
  await people.users.add('anna', ['backup-operator'], first, people.admin);
  await signIn('anna', first, { newPassword: goodPassword });
}

let about: string[] = [];
async function signIn(user: string, password: string, more: { code?: string; newPassword?: string; from?: string } = {}): Promise<SignedIn> {
  about = [];
  return await people.signIns.start({ user, password, code: more.code, newPassword: more.newPassword }, people.signIns.knock(more.from ?? '10.0.0.1'), (who) => about.push(who));
}

async function codeOf(attempt: Promise<unknown>): Promise<string> {
  return await attempt.then(() => 'done', (error: unknown) => (isFailure(error) ? error.code : String(error)));
}

const admitted = async (token: string): Promise<string> => await people.gate.admit(`Bearer ${token}`, '10.0.0.9').then(({ who }) => who, (error: unknown) => (isFailure(error) ? error.code : String(error)));

test('a password that was set by somebody else opens only its own change', async () => {
  await people.users.add('anna', ['viewer'], first, people.admin);
  assert.equal(await codeOf(signIn('anna', first)), 'server.sign-in-password-old');
  assert.equal(await codeOf(signIn('anna', first, { newPassword: first })), 'server.password-weak');
  const { token, roles } = await signIn('Anna ', first, { newPassword: goodPassword });
  assert.deepEqual([await admitted(token), roles], ['anna', ['viewer']]);
  assert.equal(await codeOf(signIn('anna', first)), 'server.sign-in-refused');
  assert.equal(await codeOf(signIn('anna', goodPassword)), 'done');
});

test('an unknown user, a wrong password, a wrong code and a disabled user are one failure', async () => {
  await addAnna();
  await people.users.add('bert', ['viewer'], first, people.admin);
  await people.users.edit(await people.users.find('bert'), { isDisabled: true }, people.admin);
  for (const [user, password] of [['nobody', goodPassword], ['anna', 'wrong words of anna'], ['bert', first]] as const) {
    const refused = await signIn(user, password).catch((error: unknown) => error as Error);
    assert.ok(isFailure(refused) && refused.code === 'server.sign-in-refused' && refused.message === 'user, password or code is wrong', user);
  }
});

test('five wrong passwords lock a name for fifteen minutes, whether it is anybody\'s or not', async () => {
  await addAnna();
  for (const user of ['anna', 'nobody']) {
    const from = `10.0.1.${user.length}`;
    for (let n = 0; n < 5; n++) assert.equal(await codeOf(signIn(user, `wrong ${n}`, { from })), 'server.sign-in-refused');
    const locked = await signIn(user, goodPassword, { from }).catch((error: unknown) => error as Error);
    assert.ok(isFailure(locked) && locked.code === 'server.sign-in-locked' && /for 15 more minutes/.test(locked.message), user);
  }
  people.clock.turn(14 * minuteMs);
  assert.equal(await codeOf(signIn('anna', goodPassword, { from: '10.0.2.1' })), 'server.sign-in-locked');
  people.clock.turn(2 * minuteMs);
  assert.equal(await codeOf(signIn('anna', goodPassword, { from: '10.0.2.1' })), 'done');
});

test('an administrator unlocks a name before its time', async () => {
  await addAnna();
  for (let n = 0; n < 6; n++) await codeOf(signIn('anna', 'wrong'));
  assert.notEqual((await people.users.view(await people.users.find('anna'))).lockedUntilMs, null);
  await people.users.unlock(await people.users.find('anna'));
  assert.equal(await codeOf(signIn('anna', goodPassword)), 'done');
});

test('a hundred guesses at once are no more than five', async () => {
  await addAnna();
  const codes = await Promise.all(Array.from({ length: 100 }, (_, n) => codeOf(signIn('anna', `guess ${n}`, { from: `10.1.0.${n}` }))));
  assert.equal(codes.filter((code) => code === 'server.sign-in-refused').length, 5);
  assert.equal(codes.filter((code) => code === 'server.sign-in-locked').length, 95);
});

test('one password tried on many names is cut off by address, and told to the log once, without it', async () => {
  await addAnna();
  const codes: string[] = [];
  for (let n = 0; n < 14; n++) codes.push(await codeOf(signIn(`user${n}`, 'Spring2026-sprayed', { from: '10.6.6.6' })));
  assert.deepEqual(codes.slice(8), ['server.sign-in-refused', 'server.sign-in-refused', ...Array.from({ length: 4 }, () => 'server.too-many-sign-ins')]);
  assert.equal(await codeOf(signIn('anna', goodPassword, { from: '10.6.6.7' })), 'done', 'another address is heard');
  const log = people.logged.join('');
  assert.equal(log.match(/too many sign-ins that came to nothing from one address/g)?.length, 1);
  assert.doesNotMatch(log, /sprayed|user1[0-9]/);
  people.clock.turn(16 * minuteMs);
  assert.equal(await codeOf(signIn('anna', goodPassword, { from: '10.6.6.6' })), 'done');
});

test('addresses of one IPv6 network are one', () => {
  const networks = ['2001:db8:1:2:3::4', '2001:db8:1:2::9', '2001:db8::1', 'fe80::1%eth0', '::1', '10.0.0.1', '::ffff:10.0.0.1'].map(networkOf);
  assert.deepEqual(networks, ['2001:db8:1:2::/64', '2001:db8:1:2::/64', '2001:db8:0:0::/64', 'fe80:0:0:0::/64', '0:0:0:0::/64', '10.0.0.1', '10.0.0.1']);
});

test('a second factor is asked for once it was proved, and each code is good once', async () => {
  await addAnna();
  const secret = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ';
  const anna = await people.users.find('anna');
  await people.catalog.users.update(anna.id, { sealed_totp: sealerWith(Buffer.alloc(32, 3)).seal(secret, totpPlace(anna.id)), totp_on: 1 });
  const code = (): string => codeAt(secret, Math.floor(people.clock.now() / 30_000));
  assert.equal(await codeOf(signIn('anna', goodPassword)), 'server.sign-in-code-needed');
  assert.equal(await codeOf(signIn('anna', 'wrong', { code: code() })), 'server.sign-in-refused');
  assert.equal(await codeOf(signIn('anna', goodPassword, { code: '000000' })), 'server.sign-in-refused');
  assert.equal(await codeOf(signIn('anna', goodPassword, { code: code() })), 'done');
  assert.equal(await codeOf(signIn('anna', goodPassword, { code: code() })), 'server.sign-in-refused', 'the same code again');
  people.clock.turn(30_000);
  const [one, two] = await Promise.all([codeOf(signIn('anna', goodPassword, { code: code() })), codeOf(signIn('anna', goodPassword, { code: code() }))]);
  assert.deepEqual([one, two].sort(), ['done', 'server.sign-in-refused'], 'of two at once one is let in');
});

test('who has the password guesses five codes in fifteen minutes, whatever the password is shown for', async () => {
  await addAnna();
  const anna = await people.users.find('anna');
  await people.catalog.users.update(anna.id, { sealed_totp: sealerWith(Buffer.alloc(32, 3)).seal('GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ', totpPlace(anna.id)), totp_on: 1 });
  const [one, other] = [goodPassword, 'seven other quiet words'];
  const guesses: string[] = [];
  for (let n = 0; n < 7; n++) {
    const [now, next] = n % 2 === 0 ? [one, other] : [other, one];
    const user = await people.users.find('anna');
    guesses.push(await codeOf(people.signIns.confirmBoth(user, now, '000000')));
    await codeOf(people.signIns.confirm(user, now));
    await codeOf(people.signIns.changeOwn(user, 'none', now, next));
  }
  assert.deepEqual(guesses, [...Array.from({ length: 5 }, () => 'server.sign-in-refused'), 'server.sign-in-locked', 'server.sign-in-locked']);
});

test('the codes are those of RFC 6238', () => {
  const secret = 'GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ';
  assert.deepEqual([59, 1_111_111_109, 1_111_111_111, 1_234_567_890, 2_000_000_000].map((at) => codeAt(secret, Math.floor(at / 30))), ['287082', '081804', '050471', '005924', '279037']);
});

test('a sign-in ends after twelve hours, by a change of the password, by disabling and by removal', async () => {
  await addAnna();
  const [one, two] = [await signIn('anna', goodPassword), await signIn('anna', goodPassword)];
  const anna = await people.users.find('anna');
  const { secret: api } = await people.tokens.api(anna, { name: 'nightly', role: null, seconds: 86_400, from: '10.0.0.1' });
  const mine = (await people.gate.admit(`Bearer ${one.token}`, 'x')).tokenId!;
  await people.signIns.changeOwn(anna, mine, goodPassword, 'seven other quiet words');
  assert.deepEqual(await Promise.all([one.token, two.token, api].map(admitted)), ['anna', 'server.not-signed-in', 'anna']);
  people.clock.turn(12 * 3_600_000);
  assert.deepEqual(await Promise.all([one.token, api].map(admitted)), ['server.not-signed-in', 'anna']);
  await people.users.edit(await people.users.find('anna'), { isDisabled: true }, people.admin);
  await people.users.edit(await people.users.find('anna'), { isDisabled: false }, people.admin);
  assert.equal(await admitted(api), 'server.not-signed-in', 'what was revoked does not come back');
});

test('an API token allows what its user and its role both allow, at the moment it is used', async () => {
  await addAnna();
  const anna = await people.users.find('anna');
  const { secret } = await people.tokens.api(anna, { name: 'reads', role: 'administrator', seconds: 86_400, from: '10.0.0.1' });
  const may = async (permission: 'backups.run' | 'points.delete'): Promise<boolean> => (await people.gate.admit(`Bearer ${secret}`, 'x')).layers.every((grants) => grants.some(({ permissions }) => permissions.has(permission)));
  assert.deepEqual([await may('backups.run'), await may('points.delete')], [true, false]);
  await people.users.edit(anna, { roles: ['viewer'] }, people.admin);
  assert.equal(await may('backups.run'), false);
  await people.users.remove(await people.users.find('anna'), people.admin, true);
  assert.equal(await admitted(secret), 'server.not-signed-in');
});

test('an account of the directory is one user, however its name is typed, with the roles of its groups', async () => {
  await people.directory.set(writtenSettings, 'bind-secret');
  people.directoryWritten.accounts.set('carla', accountOf('carla', { groups: ['cn=ops, dc=comp,dc=test'] }));
  for (const typed of ['carla', 'COMPAD\\Carla', 'carla@comp.test']) {
    const { user, roles } = await signIn(typed, goodPassword);
    assert.deepEqual([user, roles], ['carla@comp.test', ['backup-operator']]);
  }
  assert.equal((await people.users.list()).length, 1);
  for (let n = 0; n < 5; n++) assert.equal(await codeOf(signIn(n % 2 === 0 ? 'compad\\carla' : 'carla@comp.test', 'wrong')), 'server.sign-in-refused');
  const before = people.directoryWritten.proofs;
  assert.equal(await codeOf(signIn('carla', goodPassword)), 'server.sign-in-locked');
  assert.equal(people.directoryWritten.proofs, before, 'a locked name is not asked of the directory');
});

test('an account with two names has one count of guesses, and a locked one is not told from a wrong password by its other name', async () => {
  await people.directory.set(writtenSettings, 'bind-secret');
  // The name before the @ and that of the account differ.
  people.directoryWritten.accounts.set('carla', accountOf('carla', { name: 'carla.smith@comp.test' }));
  for (let n = 0; n < 5; n++) assert.equal(await codeOf(signIn(n % 2 === 0 ? 'carla' : 'carla.smith@comp.test', 'wrong', { from: `10.5.0.${n}` })), 'server.sign-in-refused');
  for (const typed of ['carla', 'carla.smith@comp.test']) assert.equal(await codeOf(signIn(typed, goodPassword, { from: '10.5.1.1' })), 'server.sign-in-refused', typed);
  people.clock.turn(900_001);
  assert.equal((await signIn('carla', goodPassword)).user, 'carla.smith@comp.test');
  for (let n = 0; n < 6; n++) await codeOf(signIn(n % 2 === 0 ? 'carla' : 'carla.smith@comp.test', 'wrong', { from: `10.6.0.${n}` }));
  const row = await people.users.find('carla.smith@comp.test');
  assert.ok(((await people.users.list()).find(({ name }) => name === row.name)?.lockedUntilMs ?? 0) > 0);
  await people.users.unlock(row);
  assert.equal(await codeOf(signIn('carla.smith@comp.test', goodPassword)), 'done');
});

test('what the directory refuses for is told, and an unknown account is not', async () => {
  await people.directory.set(writtenSettings, 'bind-secret');
  const told: [string, Parameters<typeof accountOf>[1], string][] = [
    ['locked', { refusal: 'locked' }, 'server.sign-in-account-locked'],
    ['disabled', { refusal: 'disabled' }, 'server.sign-in-account-disabled'],
    ['expired', { refusal: 'expired' }, 'server.sign-in-account-expired'],
    ['old', { refusal: 'password-expired' }, 'server.sign-in-password-expired'],
    ['reset', { refusal: 'password-reset' }, 'server.sign-in-password-reset'],
    ['gone', { refusal: 'wrong' }, 'server.sign-in-refused'],
    ['loner', { groups: [] }, 'server.sign-in-no-role'],
  ];
  for (const [name, more, code] of told) {
    people.directoryWritten.accounts.set(name, accountOf(name, more));
    assert.equal(await codeOf(signIn(name, goodPassword, { from: `10.3.0.${name.length}` })), code, name);
  }
  assert.equal(await codeOf(signIn('nobody', goodPassword, { from: '10.3.1.1' })), 'server.sign-in-refused');
});

test('a directory that is away costs no name an attempt, but addresses theirs, and its servers are told to the log alone', async () => {
  await people.directory.set(writtenSettings, 'bind-secret');
  people.directoryWritten.isAway = new Error('dc1.comp.test:389: connect ECONNREFUSED');
  for (let n = 0; n < 20; n++) {
    const refused = await signIn('carla', goodPassword, { from: `10.4.0.${n % 2}` }).catch((error: unknown) => error as Error);
    assert.ok(isFailure(refused) && refused.code === 'server.directory-away' && !refused.message.includes('dc1'));
  }
  assert.equal(await codeOf(signIn('carla', goodPassword, { from: '10.4.0.0' })), 'server.too-many-sign-ins');
  people.directoryWritten.isAway = undefined;
  people.directoryWritten.accounts.set('carla', accountOf('carla'));
  assert.equal(await codeOf(signIn('carla', goodPassword)), 'done');
  assert.match(people.logged.join(''), /dc1\.comp\.test:389/);
});

test('another account under the name of one that is gone inherits nothing', async () => {
  await people.directory.set(writtenSettings, 'bind-secret');
  people.directoryWritten.accounts.set('carla', accountOf('carla'));
  const { token } = await signIn('carla', goodPassword);
  people.directoryWritten.accounts.set('carla', accountOf('carla', { key: 'guid:another' }));
  await signIn('carla', goodPassword);
  assert.equal(await admitted(token), 'server.not-signed-in');
});

test('a local user is asked here, whatever the directory has of that name', async () => {
  await addAnna();
  await people.directory.set(writtenSettings, 'bind-secret');
  people.directoryWritten.accounts.set('anna', accountOf('anna', { password: 'the other anna' }));
  assert.equal((await signIn('anna', goodPassword)).user, 'anna');
  assert.equal(people.directoryWritten.proofs, 0);
  assert.equal((await signIn('anna@comp.test', 'the other anna')).user, 'anna@comp.test');
});

test('what is typed as a name is known to the audit only where it is somebody', async () => {
  await addAnna();
  await codeOf(signIn('anna', 'wrong'));
  assert.deepEqual(about, ['anna']);
  await codeOf(signIn('my-secret-password', 'x'));
  assert.deepEqual(about, []);
});
