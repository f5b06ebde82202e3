/** Groups and their rescans on a real server, with hosts that are simulated; whole hosts are in test/platform/groups.test.ts. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { until } from '../base/deadline.ts';
import type { MemberLook, SetLook } from '../contract/values.ts';
import type { Session } from '../contract/sessions.ts';
import { failWith } from '../../test/kit/fake-transport.ts';
import { openServerPlatform, type ServerPlatform } from '../../test/kit/server-platform.ts';
import { foundMongod, openSimulatedHosts, type SimulatedHosts } from '../../test/kit/simulated-hosts.ts';

let simulated: SimulatedHosts;
let platform: ServerPlatform;
let looks: Map<number, SetLook>;

const member = (id: number, host: string, more: Partial<MemberLook> = {}): MemberLook => ({
  id, host, port: 27100 + id, state: id === 0 ? 'primary' : 'secondary', health: true, priority: 1, votes: 1, hidden: false, delaySeconds: 0, lagSeconds: 0, isArbiter: false, tags: {}, version: '6.0.5', oplogSeconds: 3600, says: null, ...more,
});
const setLook = (digit: string, name: string, members: MemberLook[]): SetLook => ({ setId: digit.repeat(24), name, featureCompatibilityVersion: '6.0', members });
const at = (n: number): string => simulated.hosts[n]!.address;

beforeEach(async () => {
  simulated = openSimulatedHosts(12);
  for (const host of simulated.hosts) host.mongods = [foundMongod(27_117)];
  platform = await openServerPlatform({ rescanMs: { visitMs: 4_000, deployMs: 15_000 } }, { contact: simulated.contact });
  looks = new Map();
  platform.fake.lookAtSet = ({ hosts }) => looks.get(hosts[0]!.port) ?? Promise.reject(failWith('mongo.unreachable', `cannot reach port ${hosts[0]!.port}`));
  const host = { user: 'admin', signIn: { kind: 'password' as const, password: 'Pa55-word' }, elevation: { kind: 'sudo' as const } };
  await platform.ask('credential.add', { body: { name: 'admin', record: { kind: 'host', host } } });
});
afterEach(async () => {
  await platform[Symbol.asyncDispose]();
  await simulated[Symbol.asyncDispose]();
});

const packageFile = async (): Promise<string> => {
  const file = join(platform.data, 'tidemark-transport_9.9.8_amd64.deb');
  await writeFile(file, 'a package');
  return file;
};

async function addGroup(members: MemberLook[], more: object = {}): Promise<void> {
  looks.set(1, setLook('a', 'rs0', members));
  await platform.ask('group.add', { body: { name: 'shop', hostCredential: 'admin', package: await packageFile(), schedule: { kind: 'off' }, deployments: [{ host: 'seed', port: 1 }], ...more } });
}

async function rescan(of: { computer?: string; set?: string } = {}): Promise<Session & { found: Extract<Session['result'], { kind: 'rescan' }> }> {
  const started = await platform.ask('group.rescan', { params: { group: 'shop' }, body: of });
  const session = await platform.ended(started.id);
  assert.equal(session.result?.kind, 'rescan', JSON.stringify(session.failure));
  return { ...session, found: session.result as Extract<Session['result'], { kind: 'rescan' }> };
}
const outcomes = ({ found }: Awaited<ReturnType<typeof rescan>>): string[] => found.computers.map(({ computer, ok, way, services }) => `${simulated.hosts.findIndex(({ address }) => address === computer)} ${ok ? 'ok' : 'failed'} ${way ?? 'not reached'} ${services}`);

test('one member is enough: the others are found, deployed over SSH, and from then on reached by their links', async () => {
  await addGroup([member(0, at(0)), member(1, at(1)), member(2, at(2))]);
  const before = await platform.ask('group.show', { params: { group: 'shop' } });
  assert.deepEqual(before.computers.map(({ isInScope, node, says }) => [isInScope, node, says]), [[true, null, null], [true, null, null], [true, null, null]]);
  assert.equal(simulated.hosts.reduce((sum, { contacts }) => sum + contacts.looks, 0), 0, 'nobody is visited when a group is added');

  const first = await rescan();
  assert.equal(first.state, 'success', JSON.stringify(first.found));
  assert.deepEqual(outcomes(first), ['0 ok ssh installed', '1 ok ssh installed', '2 ok ssh installed']);
  assert.deepEqual(first.steps.map(({ name }) => name), ['read settings', 'computers', 'sets']);
  const { computers } = await platform.ask('group.show', { params: { group: 'shop' } });
  assert.deepEqual(computers.map(({ link, serviceVersion, mongods, says }) => [link, serviceVersion, mongods.map(({ port }) => port), says]), Array.from({ length: 3 }, () => ['connected', '9.9.8', [27_117], null]));

  const second = await rescan();
  assert.deepEqual(outcomes(second), ['0 ok link in place', '1 ok link in place', '2 ok link in place']);
  assert.deepEqual(simulated.hosts.slice(0, 3).map(({ contacts }) => contacts), Array.from({ length: 3 }, () => ({ looks: 1, deployments: 1 })));
});

test('a host that is down and one that hangs stop no other, and each says why', async () => {
  await addGroup([0, 1, 2].map((n) => member(n, at(n))));
  simulated.hosts[1]!.ssh = async () => await Promise.reject(failWith('ssh.host-not-reached', 'nobody answers'));
  simulated.hosts[2]!.ssh = async (_, signal) => await new Promise((_resolve, reject) => signal!.addEventListener('abort', () => reject(signal!.reason as Error)));
  const session = await rescan();
  assert.equal(session.state, 'warning');
  assert.deepEqual(outcomes(session), ['0 ok ssh installed', '1 failed not reached none', '2 failed not reached none']);
  assert.match(session.found.computers[1]!.says!, /^nobody answers {2}\[ssh\.host-not-reached\]$/);
  assert.match(session.found.computers[2]!.says!, /the look at .* 4 s|deadline/);
  const { computers } = await platform.ask('group.show', { params: { group: 'shop' } });
  assert.match(computers[1]!.says!, /nobody answers/);
  const offline = await platform.ask('host.list', { query: { filter: 'unmanaged' } });
  assert.deepEqual([offline.hosts, offline.found.map(({ name, group }) => [name, group])], [[], [[at(1), 'shop'], [at(2), 'shop']]]);
  simulated.hosts[2]!.ssh = async () => await Promise.resolve();
  const tested = await platform.ask('group.test', { params: { group: 'shop' } });
  assert.deepEqual(tested.computers.map(({ ok, way }) => [ok, way]), [[true, 'link'], [false, null], [true, 'ssh']]);
  assert.equal(tested.ok, false);
  assert.equal(simulated.hosts[2]!.contacts.deployments, 0, 'a test changes nothing');
});

test('no more than eight are reached at one moment', async () => {
  await addGroup(Array.from({ length: 12 }, (_, n) => member(n, at(n))), { installServices: false });
  let arrived = 0;
  let release = (): void => {};
  const all = new Promise<void>((resolve) => (release = resolve));
  for (const host of simulated.hosts) host.ssh = async () => {
    if (++arrived === 8) release();
    await all;
  };
  const session = await rescan();
  assert.equal(session.state, 'success');
  assert.deepEqual([arrived, simulated.mostAtOnce()], [12, 8]);
});

test('a member that joins is in scope and visited by the rescan that notices it; one that leaves is told and let go', async () => {
  await addGroup([member(0, at(0)), member(1, at(1))]);
  await rescan();
  looks.set(1, setLook('a', 'rs0', [member(0, at(0), { priority: 5 }), member(3, at(3))]));
  const session = await rescan();
  assert.deepEqual(session.found.sets.map(({ joined, left, changed }) => ({ joined, left, changed })), [{ joined: [`${at(3)}:27103`], left: [`${at(1)}:27101`], changed: [{ member: `${at(0)}:27100`, what: 'priority 1 → 5' }] }]);
  assert.deepEqual(outcomes(session), ['0 ok link in place', '3 ok ssh installed'], 'the one that left is not counted');
  assert.deepEqual(session.steps.map(({ name }) => name), ['read settings', 'computers', 'sets', 'new computers']);
  const again = await rescan();
  assert.deepEqual(again.found.sets.map(({ joined, left, changed }) => [...joined, ...left, ...changed]), [[]], 'told once');
});

test('where new members are left, their computer is found, waits, and is not visited', async () => {
  await addGroup([member(0, at(0))], { newMembers: 'leave' });
  await rescan();
  looks.set(1, setLook('a', 'rs0', [member(0, at(0)), member(3, at(3))]));
  const session = await rescan();
  assert.deepEqual(outcomes(session), ['0 ok link in place']);
  assert.equal(simulated.hosts[3]!.contacts.looks, 0);
  const edited = await platform.ask('group.edit', { params: { group: 'shop' }, body: { computers: [{ computer: at(3), isInScope: true }] } });
  assert.deepEqual(edited.computers.map(({ isInScope }) => isInScope), [true, true]);
  assert.deepEqual(outcomes(await rescan({ computer: at(3) })), ['3 ok ssh installed']);
});

test('nothing is written to a computer out of scope, one that waits for its kit is not reached over SSH', async () => {
  await addGroup([0, 1, 2].map((n) => member(n, at(n))));
  await platform.ask('group.edit', { params: { group: 'shop' }, body: { computers: [{ computer: at(1), isInScope: false }, { computer: at(2), awaitsKit: true }] } });
  const session = await rescan();
  assert.deepEqual(outcomes(session), ['0 ok ssh installed', '2 failed not reached none']);
  assert.match(session.found.computers[1]!.says!, /\[server\.kit-awaited\]/);
  assert.deepEqual([1, 2].map((n) => simulated.hosts[n]!.contacts), [{ looks: 0, deployments: 0 }, { looks: 0, deployments: 0 }]);
  const { hosts } = await platform.ask('host.list', { query: { filter: 'unmanaged' } });
  assert.deepEqual(hosts.map(({ address, state }) => [address, state]), [[at(2), 'expected']], 'so that a kit can be made for it');
});

test('where nothing can be installed it is said, and found mongods are kept all the same', async () => {
  await addGroup([member(0, at(0))], { package: null });
  const session = await rescan();
  assert.match(session.found.computers[0]!.says!, /names no package.*\[server\.package-not-named\]/);
  assert.deepEqual(session.found.computers[0]!.mongods, [{ port: 27_117, version: '6.0.5', replicaSet: 'rs0' }]);
});

test('a rescan that reaches nothing has failed', async () => {
  await addGroup([member(0, at(0))]);
  looks.clear();
  simulated.hosts[0]!.ssh = async () => await Promise.reject(failWith('ssh.sign-in-refused', 'the password is wrong'));
  const started = await platform.ask('group.rescan', { params: { group: 'shop' }, body: {} });
  const session = await platform.ended(started.id);
  assert.deepEqual([session.state, session.failure?.code], ['failed', 'server.rescan-reached-nothing']);
  const { sets, computers } = await platform.ask('group.show', { params: { group: 'shop' } });
  assert.match(sets[0]!.says!, /cannot reach port 1/);
  assert.match(computers[0]!.says!, /the password is wrong/);
});

test('another replica set behind the same addresses is not taken for the one that was there', async () => {
  await addGroup([member(0, at(0))]);
  looks.set(1, setLook('b', 'rs0', [member(0, at(0))]));
  const session = await rescan();
  assert.match(session.found.sets[0]!.says!, /\[server\.set-changed\]/);
  assert.equal((await platform.ask('group.show', { params: { group: 'shop' } })).sets[0]!.id, 'a'.repeat(24));
});

test('one rescan of a group at a time, and the one that is open is named', async () => {
  await addGroup([member(0, at(0))]);
  let release = (): void => {};
  simulated.hosts[0]!.ssh = async () => await new Promise<void>((resolve) => (release = resolve));
  const started = await platform.ask('group.rescan', { params: { group: 'shop' }, body: {} });
  await until('the first to arrive', 10_000, () => (simulated.hosts[0]!.contacts.looks === 1 ? true : undefined));
  const refused = await platform.refused('group.rescan', { params: { group: 'shop' }, body: {} });
  assert.deepEqual([refused.code, refused.details.session], ['server.group-busy', started.id]);
  assert.equal((await platform.refused('group.remove', { params: { group: 'shop' }, query: { apply: 'true' } })).code, 'server.group-busy');
  release();
  assert.equal((await platform.ended(started.id)).state, 'success');
});

test('a server killed in the middle of a rescan takes it up again: whom it had visited is not visited twice', async () => {
  await addGroup([0, 1, 2].map((n) => member(n, at(n))));
  let isHeld = true;
  simulated.hosts[2]!.ssh = async (_, signal) => {
    if (isHeld) await new Promise((_resolve, reject) => signal!.addEventListener('abort', () => reject(signal!.reason as Error)));
  };
  const started = await platform.ask('group.rescan', { params: { group: 'shop' }, body: {} });
  await until('two to be visited', 10_000, async () => ((await platform.ask('group.show', { params: { group: 'shop' } })).computers.filter(({ lookedAtMs }) => lookedAtMs !== null).length === 2 ? true : undefined));
  isHeld = false;
  await platform.restartServer();
  const session = await platform.ended(started.id);
  assert.equal(session.state, 'success', JSON.stringify(session.failure ?? session.result));
  assert.deepEqual(simulated.hosts.slice(0, 3).map(({ contacts }) => contacts.deployments), [1, 1, 1]);
  assert.deepEqual(simulated.hosts.slice(0, 3).map(({ contacts }) => contacts.looks), [1, 1, 2]);
  assert.equal(session.result?.kind === 'rescan' && session.result.computers.length, 3);
});

test('an older service, one that went away and a host that waits are found by their filters', async () => {
  await addGroup([0, 1].map((n) => member(n, at(n))));
  await rescan();
  const names = async (filter: 'out-of-date' | 'offline' | 'untrusted') => (await platform.ask('host.list', { query: { filter } })).hosts.map(({ address }) => address);
  assert.deepEqual(await names('out-of-date'), [at(0), at(1)], '9.9.8 is older than 9.9.9');
  assert.deepEqual(await names('offline'), []);
  await simulated.hosts[1]!.service!.close();
  await until('the server to notice', 10_000, async () => ((await names('offline')).length > 0 ? true : undefined));
  assert.deepEqual(await names('offline'), [at(1)]);
  assert.deepEqual(await names('untrusted'), []);
});
