/** Who goes through which gateway, what the gateway is told, and what becomes of a session when it is lost. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stopped } from '../base/failures.ts';
import { until } from '../base/deadline.ts';
import { dataSessionName } from '../contract/data-channel.ts';
import type { FakeTransport } from '../../test/kit/fake-transport.ts';
import { openServerPlatform, type ServerPlatform } from '../../test/kit/server-platform.ts';

type Scene = AsyncDisposable & { readonly platform: ServerPlatform; readonly db1: FakeTransport; readonly gates: readonly FakeTransport[] };

/** The repository on the server's machine, a set on db1, and hosts `gate1` on. */
async function openScene(gates: number): Promise<Scene> {
  const platform = await openServerPlatform();
  const db1 = await platform.addHost('db1');
  const opened: FakeTransport[] = [];
  for (let n = 1; n <= gates; n++) {
    const gate = await platform.addHost(`gate${n}`);
    gate.discovered = { ...gate.discovered, local: [] };
    opened.push(gate);
  }
  return { platform, db1, gates: opened, [Symbol.asyncDispose]: async () => await platform[Symbol.asyncDispose]() };
}

const name = async (platform: ServerPlatform, through: string[], hosts: string[] | null = null) => await platform.ask('repository.gateway', { params: { repository: 'default' }, body: { through, hosts } });
const begun = (host: FakeTransport, kind: string) => host.begun.filter((task) => task.kind === kind).map(({ input }) => input as Record<string, any>);

test('behind a gateway a host dials the gateway and expects the repository\'s host; the gateway is told where to, and no ticket', async () => {
  await using scene = await openScene(1);
  const { platform, db1, gates: [gate] } = scene;
  assert.deepEqual((await name(platform, ['gate1'])).gateways, { through: ['gate1'], hosts: null });
  await platform.addSet();
  const [served, relayed, oplog] = [begun(platform.fake, 'serve-archive')[0]!, begun(gate!, 'relay-channels')[0]!, begun(db1, 'oplog')[0]!];
  assert.deepEqual(relayed['to'].ports, [2500, 2501]);
  assert.equal(relayed['asked'], dataSessionName(served['ticket']));
  assert.ok(!JSON.stringify(relayed).includes(served['ticket']));
  const { name: certified, ports, ticket } = oplog['archive'].location;
  assert.deepEqual([certified, ports, ticket], ['local', [2600, 2601], served['ticket']]);

  const { id } = await platform.ask('backup.run', { params: { set: 'rs0' }, body: {} });
  assert.equal((await platform.ended(id)).state, 'success');
  await until('its part of the gateway to end', 10_000, () => ([...gate!.tasks.values()].filter(({ state }) => state.state === 'running').length === 1 ? true : undefined));
});

test('hosts that are not named go straight, and so do all once no gateway is', async () => {
  await using scene = await openScene(1);
  const { platform, db1, gates: [gate] } = scene;
  await name(platform, ['gate1'], ['gate1']);
  await platform.addSet();
  assert.deepEqual(begun(db1, 'oplog')[0]!['archive'].location.ports, [2500, 2501]);
  assert.deepEqual(begun(gate!, 'relay-channels'), []);
  assert.deepEqual((await name(platform, [])).gateways, { through: [], hosts: null });
});

test('of several gateways one that is connected is taken', async () => {
  await using scene = await openScene(2);
  const { platform, gates } = scene;
  await name(platform, ['gate1', 'gate2']);
  await gates[0]!.cut();
  await until('gate1 to be away', 10_000, async () => ((await platform.ask('host.list', { query: {} })).hosts.find((host) => host.name === 'gate1')?.link === 'connected' ? undefined : true));
  await platform.addSet();
  assert.deepEqual(gates.map((gate) => begun(gate, 'relay-channels').length), [0, 1]);
  await gates[0]!.mend();
});

test('a gateway that is lost fails the session with its reason at once, and the work is stopped', async () => {
  await using scene = await openScene(1);
  const { platform, db1, gates: [gate] } = scene;
  await name(platform, ['gate1']);
  await platform.addSet();
  db1.scripts.backup = async (_input, voice) => {
    await new Promise((resolve) => voice.signal.addEventListener('abort', resolve, { once: true }));
    throw stopped({ what: 'the backup' });
  };
  const { id } = await platform.ask('backup.run', { params: { set: 'rs0' }, body: {} });
  await until('the backup to run', 10_000, () => (begun(db1, 'backup').length > 0 ? true : undefined));
  await gate!.restart();
  const { state, failure } = await platform.ended(id);
  assert.equal(state, 'failed');
  assert.equal(failure?.code, 'server.task-lost');
  assert.match(failure.message, /gate1/);
  assert.ok(![...db1.tasks.values()].some(({ kind, state: now }) => kind === 'backup' && now.state === 'running'));
});

test('what cannot be a gateway is refused by name, and one that is in use cannot be removed', async () => {
  await using scene = await openScene(1);
  const { platform } = scene;
  const refused = async (through: string[], hosts: string[] | null = null) => await platform.refused('repository.gateway', { params: { repository: 'default' }, body: { through, hosts } });
  assert.equal((await refused(['mars'])).code, 'server.host-unknown');
  assert.match((await refused(['local'])).message, /local, which cannot be its own gateway/);
  assert.match((await refused([], ['db1'])).message, /no gateway/);
  assert.match((await refused(['gate1'], [])).message, /no host is named/);
  await name(platform, ['gate1']);
  assert.match((await platform.refused('host.remove', { params: { host: 'gate1' }, query: { apply: 'true' } })).message, /default is reached through it/);
});

test('a repository\'s host in single-port mode serves on its port of orders, and so does a gateway', async () => {
  await using scene = await openScene(1);
  const { platform, gates: [gate] } = scene;
  await name(platform, ['gate1']);
  const { id } = await platform.ask('host.configure', { params: { host: 'gate1' }, body: { singlePort: true } });
  assert.equal((await platform.ended(id)).state, 'success');
  await platform.addSet();
  const { hosts } = await platform.ask('host.list', { query: {} });
  assert.equal(begun(gate!, 'relay-channels')[0]!['singlePort'], hosts.find((host) => host.name === 'gate1')!.controlPort);
  assert.equal(begun(platform.fake, 'serve-archive')[0]!['singlePort'], null);
});
