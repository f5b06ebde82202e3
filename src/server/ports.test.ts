/** The port plan over REST, on a fake transport; real machines and firewalls are in test/platform/port-plan.test.ts. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, test } from 'node:test';
import { declaredFailures } from '../base/failure.ts';
import { isSameMachine, usualSettings, type PlannedHost } from '../domain/port-inventory.ts';
import { planPorts } from '../domain/port-plan.ts';
import type { ProbeTarget } from '../contract/ports.ts';
import { portRangeUsedUp } from '../../test/kit/agent-failures.ts';
import { startDnsmasq, whyNoDnsmasq } from '../../test/kit/dnsmasq.ts';
import { freePorts } from '../../test/kit/free-port.ts';
import { openServerPlatform, type ServerPlatform } from '../../test/kit/server-platform.ts';
import { checkPorts, isBad } from './port-check.ts';
import type { PortCaller } from './port-inventory.ts';

let platform: ServerPlatform;
before(async () => {
  platform = await openServerPlatform();
  const [first, ...others] = platform.fake.discovered.members;
  platform.fake.discovered = { ...platform.fake.discovered, members: [{ ...first!, host: '192.0.2.11', port: 27100 }, ...others.map((member, n) => ({ ...member, host: `192.0.2.${12 + n}`, port: 27017 }))] };
  await platform.addSet();
});
after(async () => await platform[Symbol.asyncDispose]());

test('the plan has the members of protected sets on the ports they were found on', async () => {
  const { rows } = await platform.ask('ports.matrix', { query: {} });
  const members = rows.filter(({ row }) => row === 11 || row === 12).map(({ row, to, ports }) => [row, to.name, ports[0]!.from]);
  assert.deepEqual(members[0], [11, '192.0.2.11', 27100]);
  assert.equal(members.length, platform.fake.discovered.members.length);
  assert.deepEqual((await platform.ask('ports.matrix', { query: { host: 'local' } })).rows, rows, 'the host local is the server\'s machine, which every row comes from');
  assert.equal((await platform.refused('ports.matrix', { query: { host: 'mars' } })).code, 'server.host-unknown');
});

test('the machines of all servers on the catalog are in the plan and in the export, two on one machine once, and one that no host was told of by its name', async () => {
  const before = (await platform.ask('ports.matrix', { query: {} })).rows;
  const catalog = new DatabaseSync(join(platform.data, 'server', 'catalog.sqlite'));
  const place = catalog.prepare("insert into server_addresses values (?, ?, 10002, ?, 10006, 1)");
  for (const name of ['tide2:/srv/a', 'tide2:/srv/b', `${hostname()}:/elsewhere`]) place.run(name, '192.0.2.50', '192.0.2.50');
  catalog.prepare("insert into servers values ('id3', 'tide3.test:/srv/a', '1', 1, 9e15)").run();
  try {
    const { rows } = await platform.ask('ports.matrix', { query: {} });
    const from = (name: string) => rows.filter((row) => row.from.name === name).map(({ row, to }) => `${row} ${to.name}`);
    const toMembers = before.filter(({ row }) => row === 11 || row === 12).map(({ row, to }) => `${row} ${to.name}`);
    for (const each of toMembers) assert.ok(from('tide2').includes(each) && from('tide3.test').includes(each), each);
    assert.equal(rows.find((row) => row.from.name === 'tide2')!.from.dial, '192.0.2.50');
    assert.ok(rows.some(({ to }) => to.name === 'tide2'), 'hosts that renew their certificates, and operators, reach it as well');
    const { texts } = await platform.ask('ports.export', { query: { format: 'nftables' } });
    assert.deepEqual(texts.map(({ machine }) => machine).filter((machine) => machine?.startsWith('tide')), ['tide2', 'tide3.test']);
  } finally {
    catalog.exec("delete from server_addresses where name like 'tide%' or name like '%:/elsewhere'; delete from servers where id = 'id3'");
    catalog.close();
  }
});

test('a check asks the host that is the server\'s machine, and is not ok when a row is not', async () => {
  const asked: ProbeTarget[] = [];
  platform.fake.probe = (target) => {
    asked.push(target);
    return { outcome: target.host === '192.0.2.11' ? 'timed-out' : 'good', says: 'as the test says', address: target.host, ms: 3 };
  };
  const { ok, rows, names } = await platform.ask('ports.check', { body: { rows: [11, 12] } });
  assert.equal(ok, false);
  assert.deepEqual(names, []);
  assert.deepEqual(rows.filter(isBad).map(({ row, to, outcome, port, says }) => [row, to.name, outcome, port, says]), [[11, '192.0.2.11', 'timed-out', 27100, 'as the test says']]);
  assert.deepEqual(asked.map(({ service }) => service), asked.map(() => 'mongod'));
  assert.equal((await platform.ask('ports.check', { body: { rows: [12] } })).ok, true);
});

test('an export has a text for each machine, or one for all', async () => {
  const nftables = await platform.ask('ports.export', { query: { format: 'nftables' } });
  assert.deepEqual(nftables.texts.map(({ machine }) => machine), [hostname(), ...platform.fake.discovered.members.map(({ host }) => host)], 'the server\'s machine, and those outside that it asks');
  assert.match(nftables.texts[0]!.text, /chain tidemark/);
  assert.match(nftables.texts[0]!.text, /# row 19 stays closed: no address of operators is known/);
  const json = await platform.ask('ports.export', { query: { format: 'json', host: 'local' } });
  assert.deepEqual(Object.keys((JSON.parse(json.texts[0]!.text) as { machines: object[] }).machines[0]!), ['machine', 'isOutside', 'rules', 'closed']);
  assert.equal((await platform.refused('ports.export', { query: { format: 'csv', host: 'mars' } })).code, 'server.host-unknown');
});

test('names are checked at the name servers of the setting, which are row 18, and each finding has the record that mends it', { skip: whyNoDnsmasq() ?? false }, async () => {
  const [port] = await freePorts(1) as [number];
  const directory = mkdtempSync(join(tmpdir(), 'tm-names-'));
  await using named = await openServerPlatform({}, { dns: [{ address: '127.0.0.1', port }, { address: '192.0.2.53', port: 53 }] });
  const [first, ...others] = named.fake.discovered.members;
  named.fake.discovered = { ...named.fake.discovered, members: [{ ...first!, host: 'db1.a.test' }, ...others.map((member, n) => ({ ...member, host: `192.0.2.${12 + n}` }))] };
  named.fake.ownName = (name) => ({ name, addresses: ['192.0.2.77'], says: null, ms: 5_000 });
  try {
    await using _server = await startDnsmasq('127.0.0.1', directory, ['--local=/test/', '--local=/arpa/', '--address=/db1.a.test/192.0.2.11', '--ptr-record=12.2.0.192.in-addr.arpa,db2.a.test'], port);
    await named.addSet();
    const { rows } = await named.ask('ports.matrix', { query: {} });
    assert.deepEqual(rows.filter(({ row }) => row === 18).map(({ to, protocol, ports }) => [to.name, protocol, ports[0]!.from]), [['192.0.2.53', 'udp', 53], ['192.0.2.53', 'tcp', 53]]);
    const { ok, names } = await named.ask('ports.check', { body: { rows: [18] } });
    assert.equal(ok, false);
    assert.deepEqual(names.filter(({ kind, machine }) => kind !== 'good' && machine !== hostname()).map(({ machine, kind, record }) => [machine, kind, record]), [
      ['192.0.2.53', 'server-dead', null],
      ['192.0.2.12', 'missing-forward', 'db2.a.test. IN A 192.0.2.12'],
      ['192.0.2.13', 'missing-reverse', null],
      ['local', 'host-differs', null],
      ['local', 'host-slow', null],
    ]);
    assert.deepEqual(names.filter(({ machine }) => machine === 'db1.a.test').map(({ kind, says }) => [kind, says]), [['good', 'db1.a.test is at 192.0.2.11']]);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});

const host = (name: string, n: number, roles: PlannedHost['roles']): PlannedHost => ({
  name, dial: name, addresses: [`192.0.2.${n}`], platform: 'linux', roles, sshPort: 22, deployerPort: 6160, controlPort: 6162, dataPorts: { from: 2500, to: 2600 }, singlePort: false, dialling: 'server',
});
const hosts = [host('db1', 11, ['mongodb']), host('store', 21, ['repository'])];
const plan = planPorts({ servers: [], hosts, sets: [], settings: usualSettings }).filter(({ row }) => row === 13);

/** A host whose `ports.listen` and `ports.probe` a test plays. */
function scripted(listen: () => number[] | Error, probe: (target: ProbeTarget) => 'good' | 'refused' = () => 'good'): { caller: PortCaller; open: () => number } {
  let open = 0;
  const caller = {
    async call(name: string, input: { targets: ProbeTarget[] }, options: { signal?: AbortSignal; onEvent?: (event: { ports: number[] }) => void }) {
      if (name === 'ports.probe') return { results: input.targets.map((target) => ({ outcome: probe(target), says: `port ${target.port}`, address: null, ms: 1 })) };
      const ports = listen();
      if (ports instanceof Error) throw ports;
      open++;
      options.onEvent?.({ ports });
      await new Promise((_, reject) => options.signal!.addEventListener('abort', () => reject(options.signal!.reason as Error)));
      return {};
    },
  } as unknown as PortCaller;
  return { caller, open: () => open };
}

test('a range is tried where its host listens for the moment, and the listener goes when the check is over', async () => {
  let signal: AbortSignal | undefined;
  const { caller } = scripted(() => [2500, 2550, 2600], ({ port }) => (port === 2600 ? 'refused' : 'good'));
  const watched: PortCaller = { call: async (name, input, options) => {
    if (name === 'ports.listen') signal = options?.signal;
    return await caller.call(name, input, options);
  } };
  const [finding] = await checkPorts(plan, { hosts, linkOf: () => watched, eachMs: 100 });
  assert.deepEqual(finding, { outcome: 'refused', port: 2600, says: 'port 2600' });
  assert.equal(signal?.aborted, true);
});

test('a host that cannot be asked, one that is too old and one whose range is used up are told apart', async () => {
  const failing = async (error: Error): Promise<string> => {
    const [finding] = await checkPorts(plan, { hosts, linkOf: () => scripted(() => error).caller, eachMs: 100 });
    return `${finding!.outcome}: ${finding!.says}`;
  };
  const old = declaredFailures().find(({ code }) => code === 'contract.order-not-understood') as unknown as (details: object) => Error;
  assert.equal(await failing(old({ order: 'ports.listen', why: 'there is no such order' })), 'not-tried: the transport service of store is too old for this; update it');
  assert.equal(await failing(portRangeUsedUp({ from: 2500, to: 2600, why: 'each is in use' })), 'not-tried: no port of 2500-2600 can be listened on: each is in use');
  assert.match(await failing(new Error('the link was cut')), /^no-link: the link was cut$/);
  const [nobody] = await checkPorts(plan, { hosts, linkOf: () => undefined, eachMs: 100 });
  assert.equal(nobody!.outcome, 'no-link');
  assert.ok(isSameMachine(plan[0]!.to, hosts[1]!));
});
