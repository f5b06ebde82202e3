/** What sessions that change a host's services come to when the server is killed in the middle; hosts are simulated. */
import assert from 'node:assert/strict';
import { afterEach, beforeEach, test } from 'node:test';
import { until } from '../base/deadline.ts';
import type { DeployerOrder } from '../contract/orders.ts';
import type { Host } from '../contract/routes/hosts.ts';
import type { Session } from '../contract/sessions.ts';
import { failWith } from '../../test/kit/fake-transport.ts';
import { openServerPlatform, type ServerPlatform } from '../../test/kit/server-platform.ts';
import { openSimulatedHosts, type SimulatedHost, type SimulatedHosts } from '../../test/kit/simulated-hosts.ts';
import { openTestDepot, placeDepot, type TestDepot } from '../../test/kit/test-depot.ts';

let simulated: SimulatedHosts;
let platform: ServerPlatform;
let depot: TestDepot;
let db: SimulatedHost;

beforeEach(async () => {
  simulated = openSimulatedHosts(1);
  db = simulated.hosts[0]!;
  const distribution = await placeDepot();
  platform = await openServerPlatform({ goneAfterMs: 500 }, { contact: simulated.contact, distribution });
  depot = await openTestDepot(platform.data, distribution);
  depot.add('9.9.8');
  const host = { user: 'admin', signIn: { kind: 'password' as const, password: 'Pa55-word' }, elevation: { kind: 'sudo' as const } };
  await platform.ask('credential.add', { body: { name: 'admin', record: { kind: 'host', host } } });
  await platform.ask('host.add', { body: { name: 'db', address: db.address } });
  const installed = await platform.ended((await platform.ask('host.install', { params: { host: 'db' }, body: { credential: 'admin' } })).id);
  assert.equal(installed.state, 'success', JSON.stringify(installed.failure));
});
afterEach(async () => {
  await platform[Symbol.asyncDispose]();
  await depot[Symbol.asyncDispose]();
  await simulated[Symbol.asyncDispose]();
});

const hostOf = async (): Promise<Host | undefined> => (await platform.ask('host.list', { query: {} })).hosts.find(({ name }) => name === 'db');

/** The server is killed while the deployer is at that order, which comes to its end all the same; then the session is awaited. */
async function killedAt(order: DeployerOrder, begin: () => Promise<{ id: string }>, failure?: Error): Promise<Session> {
  const reached = Promise.withResolvers<void>();
  const end = Promise.withResolvers<void>();
  db.before = async (name) => {
    if (name !== order) return;
    reached.resolve();
    await end.promise;
  };
  const { id } = await begin();
  await reached.promise;
  await platform.server.close();
  if (failure === undefined) end.resolve();
  else end.reject(failure);
  await until('the deployer to be done', 5_000, () => (db.deployer!.isBusy() ? undefined : true), { everyMs: 5 });
  await platform.restartServer();
  return await platform.ended(id);
}

const update = async () => await platform.ask('host.update', { params: { host: 'db' }, body: {} });
const configure = async (body: { controlPort?: number; deployerPort?: number }) => await platform.ask('host.configure', { params: { host: 'db' }, body });
const uninstall = async (body: { all?: boolean; data?: boolean }) => await platform.ask('host.uninstall', { params: { host: 'db' }, body });

test('an update whose server was killed in the middle goes on, and tells what ran before and what runs now', async () => {
  depot.add('9.9.9');
  const session = await killedAt('deployer.update', update);
  assert.deepEqual([session.state, session.failure], ['success', null]);
  assert.deepEqual(session.result?.kind === 'update' && session.result.services, [{ name: 'tidemark-deployer', before: '9.9.8', version: '9.9.9' }, { name: 'tidemark-transport', before: '9.9.8', version: '9.9.9' }]);
  const { version, deployer } = (await hostOf())!;
  assert.deepEqual([version, deployer?.version], ['9.9.9', '9.9.9']);
});

test('an update that was taken back while the server was down is tried once more, and fails with its reason', async () => {
  depot.add('9.9.9');
  const session = await killedAt('deployer.update', update, failWith('agent.service-not-healthy', 'tidemark-deployer 9.9.9 did not become healthy; 9.9.8 runs again'));
  assert.deepEqual([session.state, session.failure?.code], ['failed', 'agent.service-not-healthy']);
  assert.deepEqual(db.deployer!.begun, ['deployer.install', 'deployer.update', 'deployer.update']);
  assert.equal((await hostOf())?.deployer?.version, '9.9.8');
});

test('a changed port of the transport is there on both sides after the server was killed in the middle', async () => {
  const session = await killedAt('deployer.configure', async () => await configure({ controlPort: 7162 }));
  assert.deepEqual([session.state, session.failure], ['success', null]);
  const { controlPort, link } = (await hostOf())!;
  assert.deepEqual([controlPort, link], [7162, 'connected']);
});

test('a deployer that has moved while the server was down is found at its new port', async () => {
  const session = await killedAt('deployer.configure', async () => await configure({ deployerPort: 7160 }));
  assert.deepEqual([session.state, session.failure], ['success', null]);
  const { deployerPort, deployer } = (await hostOf())!;
  assert.deepEqual([deployerPort, deployer?.link], [7160, 'connected']);
  assert.deepEqual(db.deployer!.begun, ['deployer.install', 'deployer.configure'], 'it was told once');
});

test('a transport that was removed while the server was down counts as removed', async () => {
  const session = await killedAt('deployer.remove', async () => await uninstall({ data: true }));
  assert.deepEqual([session.state, session.failure], ['success', null]);
  assert.deepEqual([(await hostOf())?.state, db.deployer!.transport], ['expected', undefined]);
});

test('a host that has uninstalled everything while the server was down is forgotten, and the session says that nobody saw it', async () => {
  const session = await killedAt('deployer.uninstall-all', async () => await uninstall({ all: true }));
  assert.deepEqual([session.state, session.failure], ['warning', null]);
  const said = (await platform.events(session.id)).flatMap(({ event }) => (event.kind === 'line' && event.level === 'warning' ? [event.text] : []));
  assert.match(said.join('\n'), /nobody saw it done/);
  assert.ok(db.deployer!.isGone);
  assert.equal(await hostOf(), undefined);
});
