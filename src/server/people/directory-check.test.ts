import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { isFailure } from '../../base/failure.ts';
import { accountOf, goodPassword, openTestPeople, writtenSettings, type TestPeople } from '../../../test/kit/people.ts';

let people: TestPeople;
let token: string;
beforeEach(async () => {
  people = await openTestPeople();
  await people.directory.set(writtenSettings, 'bind-secret');
  people.directoryWritten.accounts.set('carla', accountOf('carla'));
  token = (await people.signIns.start({ user: 'carla', password: goodPassword }, people.signIns.knock('10.0.0.1'), () => {})).token;
});
afterEach(async () => await people[Symbol.asyncDispose]());

const standing = async (): Promise<string> => await people.gate.admit(`Bearer ${token}`, 'x').then(({ layers }) => layers.flat().map(({ role }) => role).join(), (error: unknown) => (isFailure(error) ? error.code : String(error)));
const check = async (): Promise<void> => await people.directory.check(AbortSignal.timeout(20_000));

const ends: [what: string, change: () => void, says: RegExp][] = [
  ['is removed', () => people.directoryWritten.accounts.clear(), /no longer in the directory/],
  ['is disabled', () => people.directoryWritten.accounts.set('carla', accountOf('carla', { state: 'disabled' })), /disabled in the directory/],
  ['has expired', () => people.directoryWritten.accounts.set('carla', accountOf('carla', { state: 'expired' })), /expired in the directory/],
  ['leaves its groups', () => people.directoryWritten.accounts.set('carla', accountOf('carla', { groups: [] })), /no group that has a role/],
];
for (const [what, change, says] of ends) {
  test(`an account that ${what} is not heard from the next check on, and the one after it revokes its tokens`, async () => {
    assert.equal(await standing(), 'backup-operator');
    change();
    await check();
    assert.equal(await standing(), 'server.not-signed-in');
    const user = await people.users.find('carla@comp.test');
    assert.match(user.says ?? '', says);
    await check();
    assert.deepEqual(await people.tokens.list(user), []);
    const rows = (await people.audit.list({ limit: 10 })).map(({ what: asked, on, outcome }) => [asked, on, outcome]);
    assert.deepEqual(rows, [['directory.check', 'carla@comp.test', 'revoked'], ['directory.check', 'carla@comp.test', 'not-heard']]);
  });
}

test('an account that one check missed is heard again after the next, with its tokens', async () => {
  const account = people.directoryWritten.accounts.get('carla')!;
  people.directoryWritten.accounts.clear();
  await check();
  people.directoryWritten.accounts.set('carla', account);
  await check();
  assert.equal(await standing(), 'backup-operator');
});

test('another group means another role from the next check on', async () => {
  people.directoryWritten.accounts.set('carla', accountOf('carla', { groups: ['CN=Boss,DC=comp,DC=test'] }));
  await check();
  assert.equal(await standing(), 'administrator');
  await people.directory.set({ ...writtenSettings, roles: [{ group: 'CN=Boss,DC=comp,DC=test', role: 'viewer' }] }, undefined);
  assert.equal(await standing(), 'viewer', 'what groups mean holds at once');
});

test('an account that guesses have locked there keeps its tokens', async () => {
  people.directoryWritten.accounts.set('carla', accountOf('carla', { state: 'locked' }));
  await check();
  assert.equal(await standing(), 'backup-operator');
});

test('a directory that cannot be asked for an hour vouches for nobody, until it can be again', async () => {
  people.directoryWritten.isAway = new Error('no route');
  people.clock.turn(59 * 60_000);
  await assert.rejects(check());
  assert.equal(await standing(), 'backup-operator');
  people.clock.turn(2 * 60_000);
  assert.equal(await standing(), 'server.sign-in-unchecked');
  people.directoryWritten.isAway = undefined;
  await check();
  assert.equal(await standing(), 'backup-operator');
});

test('the password of the account goes to no other server without being given again', async () => {
  const changes: Partial<typeof writtenSettings>[] = [{ servers: [{ host: 'evil.test', port: 389 }] }, { encryption: 'none' }, { caPem: 'x' }, { bindUser: 'other@comp.test' }];
  for (const change of changes) await assert.rejects(people.directory.set({ ...writtenSettings, ...change }, undefined), /password of the account has to be given again/);
  await people.directory.set({ ...writtenSettings, base: 'OU=IT,DC=comp,DC=test' }, undefined);
});

test('a filter that is none, and a directory that cannot be asked, are refused before anything is kept', async () => {
  await assert.rejects(people.directory.set({ ...writtenSettings, userFilter: '(objectClass=user' }, undefined), /is not a filter/);
  people.directoryWritten.isAway = new Error('no route');
  await assert.rejects(people.directory.set({ ...writtenSettings, base: 'DC=new' }, undefined), /no route/);
  assert.equal((await people.directory.settings())?.base, writtenSettings.base);
});

test('without the directory its users are not heard', async () => {
  await people.directory.remove(true);
  assert.equal(await standing(), 'server.not-signed-in');
  await assert.rejects(people.directory.remove(true), /no directory is set/);
});

test('many users are checked fifty at a time, the oldest check first, and what hangs takes only its fifty with it', async (t) => {
  for (let n = 0; n < 119; n++) {
    people.directoryWritten.accounts.set(`user${n}`, accountOf(`user${n}`));
    await people.signIns.start({ user: `user${n}`, password: goodPassword }, people.signIns.knock('10.0.0.1'), () => {});
    people.clock.turn(10);
  }
  const carla = await people.users.find('carla@comp.test');
  await people.catalog.users.update(carla.id, { checked_ms: people.clock.now() });
  people.directoryWritten.accounts.clear();
  const unheard = async (): Promise<number> => (await people.users.list()).filter(({ says }) => says !== null).length;
  const seen: [size: number, first: string, unheard: number][] = [];
  t.mock.timers.enable({ apis: ['setTimeout'] });
  people.directoryWritten.onKeys = async (keys) => {
    seen.push([keys.length, keys[0]!, await unheard()]);
    if (seen.length !== 2) return;
    setImmediate(() => t.mock.timers.tick(30_000));
    await new Promise(() => {});
  };
  await assert.rejects(people.directory.check(new AbortController().signal), /the directory to answer/);
  assert.deepEqual(seen, [[50, 'guid:user0', 0], [50, 'guid:user50', 50], [20, 'guid:user100', 50]]);
  assert.equal(await unheard(), 70);
  assert.equal(await standing(), 'server.not-signed-in', 'she was checked last, and was checked');
  seen.length = 0;
  people.directoryWritten.onKeys = async (keys) => void seen.push([keys.length, keys[0]!, await unheard()]);
  await check();
  assert.equal(seen[0]![1], 'guid:user50', 'who was left out comes first');
});

test('the schedule checks every two minutes', async () => {
  const ended = new AbortController();
  people.directory.keepChecked(ended.signal);
  people.directoryWritten.accounts.clear();
  for (let n = 0; n < 200 && (await standing()) !== 'server.not-signed-in'; n++) {
    people.clock.turn(12_000);
    await new Promise((resolve) => setImmediate(resolve));
  }
  assert.equal(await standing(), 'server.not-signed-in');
  ended.abort(new Error('the test ends'));
});
