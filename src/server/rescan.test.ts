/** Groups and their rescans on a real server, with hosts that are simulated; whole hosts are in test/platform/groups.test.ts. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { until } from '../base/deadline.ts';
import type { MemberLook, SetLook } from '../contract/values.ts';
import type { Session } from '../contract/sessions.ts';
import { failWith, untilStopped } from '../../test/kit/fake-transport.ts';
import { startDnsmasq, whyNoDnsmasq } from '../../test/kit/dnsmasq.ts';
import { freePorts } from '../../test/kit/free-port.ts';
import { openServerPlatform, target, type ServerPlatform } from '../../test/kit/server-platform.ts';
import { foundMongod, openSimulatedHosts, type SimulatedHost, type SimulatedHosts } from '../../test/kit/simulated-hosts.ts';
import { openTestDepot, placeDepot, type TestDepot } from '../../test/kit/test-depot.ts';

let simulated: SimulatedHosts;
let platform: ServerPlatform;
let depot: TestDepot;
let looks: Map<number, SetLook>;

const member = (id: number, host: string, more: Partial<MemberLook> = {}): MemberLook => ({
  id, host, port: 27100 + id, state: id === 0 ? 'primary' : 'secondary', health: true, priority: 1, votes: 1, hidden: false, delaySeconds: 0, lagSeconds: 0, isArbiter: false, tags: {}, version: '6.0.5', oplogSeconds: 3600, oplogReachSeconds: 7200, says: null, ...more,
});
const setLook = (digit: string, name: string, members: MemberLook[]): SetLook => ({ setId: digit.repeat(24), name, featureCompatibilityVersion: '6.0', members });
const at = (n: number): string => simulated.hosts[n]!.address;

beforeEach(async () => {
  simulated = openSimulatedHosts(12);
  for (const host of simulated.hosts) host.mongods = [foundMongod(27_117)];
  const distribution = await placeDepot();
  platform = await openServerPlatform({ rescanMs: { visitMs: 4_000, deployMs: 15_000 } }, { contact: simulated.contact, distribution });
  depot = await openTestDepot(platform.data, distribution);
  depot.add('9.9.8');
  looks = new Map();
  platform.fake.lookAtSet = ({ hosts }) => looks.get(hosts[0]!.port) ?? Promise.reject(failWith('mongo.unreachable', `cannot reach port ${hosts[0]!.port}`));
  const host = { user: 'admin', signIn: { kind: 'password' as const, password: 'Pa55-word' }, elevation: { kind: 'sudo' as const } };
  await platform.ask('credential.add', { body: { name: 'admin', record: { kind: 'host', host } } });
});
afterEach(async () => {
  await platform[Symbol.asyncDispose]();
  await depot[Symbol.asyncDispose]();
  await simulated[Symbol.asyncDispose]();
});

async function addGroup(members: MemberLook[], more: object = {}): Promise<void> {
  looks.set(1, setLook('a', 'rs0', members));
  await platform.ask('group.add', { body: { name: 'shop', hostCredential: 'admin', schedule: { kind: 'off' }, deployments: [{ host: 'seed', port: 1 }], ...more } });
}

async function rescan(of: { computer?: string; set?: string } = {}, group = 'shop'): Promise<Session & { found: Extract<Session['result'], { kind: 'rescan' }> }> {
  const started = await platform.ask('group.rescan', { params: { group }, body: of });
  const session = await platform.ended(started.id);
  assert.equal(session.result?.kind, 'rescan', JSON.stringify(session.failure));
  return { ...session, found: session.result as Extract<Session['result'], { kind: 'rescan' }> };
}
const outcomes = ({ found }: Awaited<ReturnType<typeof rescan>>): string[] => found.computers.map(({ computer, ok, way, services }) => `${simulated.hosts.findIndex(({ address }) => address === computer)} ${ok ? 'ok' : 'failed'} ${way ?? 'not reached'} ${services}`);

test('one member is enough: the others are found, get both services over SSH and from the distribution server, and are reached by their links from then on', async () => {
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
  assert.deepEqual(simulated.hosts.slice(0, 3).map(({ contacts, deployer }) => [contacts, deployer!.version, deployer!.begun]), Array.from({ length: 3 }, () => [{ looks: 1, deployments: 1 }, '9.9.8', ['deployer.install']]));
  const { sessions } = await platform.ask('session.list', { query: { kind: 'deploy' } });
  assert.deepEqual(sessions.map(({ state, reason }) => [state, reason]), Array.from({ length: 3 }, () => ['success', 'rescan of group shop']));
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
  assert.equal((await platform.refused('session.retry', { params: { session: (await platform.ask('session.list', { query: { kind: 'deploy' } })).sessions[0]!.id } })).code, 'server.session-not-failed');
  const looked = simulated.hosts[0]!.contacts.looks;
  simulated.hosts[1]!.ssh = async () => await Promise.reject(failWith('ssh.host-not-reached', 'still nobody answers'));
  simulated.hosts[2]!.ssh = simulated.hosts[1]!.ssh;
  const again = await platform.ended((await platform.ask('session.retry', { params: { session: session.id } })).id);
  assert.equal(again.failure?.code, 'server.rescan-reached-nothing', 'those that failed alone are tried again, and none of them was reached');
  assert.equal(simulated.hosts[0]!.contacts.looks, looked);
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

test('names that lead nowhere or elsewhere are in the log of a rescan, each with the record that mends it, and are no failure of it', { skip: whyNoDnsmasq() ?? false }, async () => {
  const [port] = await freePorts(1) as [number];
  const directory = mkdtempSync(join(tmpdir(), 'tm-names-'));
  await using named = await openServerPlatform({}, { contact: simulated.contact, dns: [{ address: '127.0.0.1', port }] });
  try {
    await using _server = await startDnsmasq('127.0.0.1', directory, ['--local=/test/', '--local=/arpa/', '--address=/db0.a.test/192.0.2.10'], port);
    named.fake.ownName = (name) => ({ name, addresses: name === 'db0.a.test' ? ['192.0.2.10'] : [], says: name === 'db0.a.test' ? null : 'no such name', ms: 1 });
    named.fake.lookAtSet = () => setLook('c', 'rs0', [member(0, 'db0.a.test'), member(1, 'db1.a.test')]);
    await named.ask('group.add', { body: { name: 'shop', hostCredential: null, schedule: { kind: 'off' }, deployments: [{ host: 'seed', port: 1 }] } });
    const started = await named.ask('group.rescan', { params: { group: 'shop' }, body: {} });
    const session = await named.ended(started.id);
    assert.deepEqual(session.steps.map(({ name }) => name), ['read settings', 'computers', 'sets', 'names']);
    assert.deepEqual(session.result?.kind === 'rescan' && session.result.sets.map(({ ok }) => ok), [true]);
    const lines = (await named.events(started.id)).flatMap(({ event }) => (event.kind === 'line' && event.text.startsWith('name ') ? [`${event.level} ${event.text}`] : []));
    assert.deepEqual(lines.filter((line) => line.includes('a.test')), ['warning name missing-forward: db1.a.test leads to no address']);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
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
  await depot[Symbol.asyncDispose]();
  await addGroup([member(0, at(0))]);
  const session = await rescan();
  assert.match(session.found.computers[0]!.says!, /\[server\.depot-not-reached\]/);
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

test('a server killed in the middle of a deployment that a rescan has opened goes on with both, and makes no second contact', async () => {
  await addGroup([member(0, at(0))]);
  const reached = Promise.withResolvers<void>();
  const release = Promise.withResolvers<void>();
  simulated.hosts[0]!.before = async () => {
    reached.resolve();
    await release.promise;
  };
  const started = await platform.ask('group.rescan', { params: { group: 'shop' }, body: {} });
  await reached.promise;
  await platform.restartServer();
  release.resolve();
  const session = await platform.ended(started.id);
  assert.equal(session.state, 'success', JSON.stringify(session.failure ?? session.result));
  assert.equal(session.result?.kind === 'rescan' && session.result.computers[0]!.services, 'installed');
  assert.deepEqual([simulated.hosts[0]!.contacts.deployments, simulated.hosts[0]!.deployer!.begun], [1, ['deployer.install']]);
});

test('a rescan updates idle hosts from the distribution server, one that works says what it waits for, and one taken back says why', async () => {
  await addGroup([0, 1, 2].map((n) => member(n, at(n))));
  await rescan();
  // What follows an oplog works for ever, and keeps no update waiting.
  const [idle, working, broken] = simulated.hosts as [SimulatedHost, SimulatedHost, SimulatedHost];
  const silent = { ...platform.fake.discovered, local: [] };
  for (const fake of [platform.fake, working.deployer!.transport!, broken.deployer!.transport!]) fake.discovered = silent;
  const { hosts } = await platform.ask('host.list', { query: {} });
  await platform.ask('repository.add', { body: { name: 'vault', host: hosts.find(({ address }) => address === working.address)!.name, location: { kind: 'directory', path: '/srv/vault' }, passphrase: 'a passphrase' } });
  await platform.ask('set.add', { body: { target, repository: 'vault' } });
  await until('the oplog to be followed', 10_000, () => (idle.deployer!.transport!.begun.some(({ kind }) => kind === 'oplog') ? true : undefined));
  working.deployer!.transport!.scripts.check = async (_, voice) => {
    await untilStopped(voice);
    throw failWith('base.stopped', 'the check was stopped');
  };
  const check = await platform.ask('repository.check', { params: { repository: 'vault' }, body: {} });
  await until('the check to run', 10_000, () => (working.deployer!.transport!.begun.some(({ kind }) => kind === 'check') ? true : undefined));
  broken.before = async () => await Promise.reject(failWith('agent.service-not-healthy', 'tidemark-deployer 9.9.9 did not become healthy; 9.9.8 runs again'));

  depot.add('9.9.9');
  const session = await rescan();
  assert.deepEqual(outcomes(session), ['0 ok link updated', '1 ok link in place', '2 failed link none']);
  assert.match(session.found.computers[1]!.says!, new RegExp(`^tidemark-deployer 9\\.9\\.9 and tidemark-transport 9\\.9\\.9 wait for session ${check.id}`));
  assert.match(session.found.computers[2]!.says!, /9\.9\.8 runs again/);
  assert.deepEqual(simulated.hosts.slice(0, 3).map(({ deployer }) => [deployer!.version, deployer!.begun.length]), [['9.9.9', 3], ['9.9.8', 1], ['9.9.8', 2]]);
  assert.equal(session.state, 'warning');

  await platform.ask('session.stop', { params: { session: check.id } });
  await platform.ended(check.id);
  broken.before = async () => {};
  assert.deepEqual(outcomes(await rescan()), ['0 ok link in place', '1 ok link updated', '2 ok link updated']);
});

test('where a group leaves services as they are, none is installed and none is updated', async () => {
  await addGroup([0, 1].map((n) => member(n, at(n))));
  await rescan({ computer: at(0) });
  depot.add('9.9.9');
  await platform.ask('group.edit', { params: { group: 'shop' }, body: { installServices: false, updateServices: false } });
  assert.deepEqual(outcomes(await rescan()), ['0 ok link in place', '1 ok ssh none']);
  assert.equal(simulated.hosts[0]!.deployer!.version, '9.9.8');
});

test('a deployer that came by an installer installs the rest, without SSH at any time', async () => {
  await addGroup([member(0, at(0))], { hostCredential: null });
  assert.match((await rescan()).found.computers[0]!.says!, /\[server\.kit-awaited\]/);
  const { hosts } = await platform.ask('host.list', { query: { filter: 'unmanaged' } });
  await simulated.install(simulated.hosts[0]!, await platform.ask('host.kit', { params: { host: hosts[0]!.name }, body: { part: 'deployer' } }));
  assert.deepEqual(outcomes(await rescan()), ['0 ok link installed']);
  assert.deepEqual(simulated.hosts[0]!.contacts, { looks: 0, deployments: 0 });
});

test('two groups that meet at one computer bring its services once', async () => {
  await addGroup([member(0, at(0))]);
  looks.set(2, setLook('b', 'rs1', [member(0, at(0), { port: 27_200 })]));
  await platform.ask('group.add', { body: { name: 'lab', hostCredential: 'admin', schedule: { kind: 'off' }, deployments: [{ host: 'seed', port: 2 }] } });
  const both = await Promise.all([rescan(), rescan({}, 'lab')]);
  assert.deepEqual(both.map(({ state }) => state), ['success', 'success']);
  assert.deepEqual(both.flatMap(outcomes).sort(), ['0 ok ssh in place', '0 ok ssh installed']);
  assert.deepEqual([simulated.hosts[0]!.contacts.deployments, simulated.hosts[0]!.deployer!.begun], [1, ['deployer.install']]);
});

test('an older service, one that went away and a host that waits are found by their filters', async () => {
  await addGroup([0, 1].map((n) => member(n, at(n))));
  await rescan();
  const names = async (filter: 'out-of-date' | 'offline' | 'untrusted') => (await platform.ask('host.list', { query: { filter } })).hosts.map(({ address }) => address);
  depot.add('9.9.9');
  await until('the newer packages to be noticed', 10_000, async () => ((await names('out-of-date')).length > 0 ? true : undefined));
  assert.deepEqual(await names('out-of-date'), [at(0), at(1)]);
  assert.deepEqual(await names('offline'), []);
  await simulated.hosts[1]!.deployer!.transport!.close();
  await until('the server to notice', 10_000, async () => ((await names('offline')).length > 0 ? true : undefined));
  assert.deepEqual(await names('offline'), [at(1)]);
  assert.deepEqual(await names('untrusted'), []);
});
