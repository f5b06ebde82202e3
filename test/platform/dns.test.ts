/**
 * Names, at two real name servers on machines of their own and by the real resolver of a host: `ns1` has what is true, `ns2` an old
 * copy, `db1` looks names up, by its transport service, as the server asks it to.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { dialOrders } from '../../src/contract/link/dial.ts';
import { usualSettings, type Inventory, type PlannedHost } from '../../src/domain/port-inventory.ts';
import { planPorts } from '../../src/domain/port-plan.ts';
import { checkNames, type NameServers } from '../../src/server/name-checks.ts';
import type { NameFinding } from '../../src/contract/ports.ts';
import { keepLink, type TransportLink } from '../../src/server/transport-link.ts';
import { whyNoDnsmasq } from '../kit/dnsmasq.ts';
import { openNetwork, whyNoNetwork, type TestMachine, type TestNetwork } from '../kit/namespaces.ts';
import { openTestAuthority } from '../kit/test-authority.ts';

const skip = whyNoNetwork() ?? whyNoDnsmasq() ?? false;
const zone = 'tide.test';
const many = Array.from({ length: 40 }, (_, n) => `10.200.0.${n + 1}`);

let network: TestNetwork;
let directory: string;
let link: TransportLink;
const ends = new AsyncDisposableStack();
before(async () => {
  if (skip !== false) return;
  directory = mkdtempSync(join(tmpdir(), 'tm-dns-'));
  network = await openNetwork(['ns1', 'ns2', 'db1', 'db2']);
  const back = (name: string): string => `${at(name).split('.').reverse().join('.')}.in-addr.arpa`;
  writeFileSync(join(directory, 'many'), many.map((address) => `${address} many.${zone}\n`).join(''));
  await serve('ns1', [
    `--host-record=db1.${zone},${at('db1')},fd77::11`,
    `--address=/db2.${zone}/${at('db2')}`,
    `--ptr-record=${back('db2')},db2.${zone}`,
    `--ptr-record=${back('db2')},old.${zone}`,
    `--srv-host=_mongodb._tcp.rs.${zone},db1.${zone},27017`,
    `--srv-host=_mongodb._tcp.rs.${zone},db9.${zone},27017`,
    `--txt-record=rs.${zone},authSource=admin&replicaSet=rs0`,
    `--addn-hosts=${join(directory, 'many')}`,
  ]);
  await serve('ns2', [`--host-record=db1.${zone},192.0.2.9`, `--host-record=db2.${zone},${at('db2')}`]);
  link = await linkToDb1();
});
after(async () => {
  if (skip !== false) return;
  await ends[Symbol.asyncDispose]();
  await network[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

const at = (name: string): string => network.machine(name).address;

async function serve(name: string, records: readonly string[]): Promise<void> {
  const fixed = ['--keep-in-foreground', '--conf-file=/dev/null', '--no-resolv', '--no-hosts', `--listen-address=${at(name)}`, '--bind-interfaces', `--pid-file=${join(directory, `${name}.pid`)}`, '--user=root', '--log-facility=-', '--local-ttl=600', `--local=/${zone}/`, '--local=/arpa/'];
  await network.machine(name).start('/usr/sbin/dnsmasq', [...fixed, ...records], { ready: /started/ });
}

function resolverOf(machine: TestMachine, text: string, hosts = ''): void {
  for (const [file, content] of [['resolv.conf', text], ['hosts', `127.0.0.1 localhost\n${hosts}`]] as const) writeFileSync(join('/etc/netns', machine.namespace, file), content);
}

/** The transport service of `db1`, which looks where it is, and the server's link to it. */
async function linkToDb1(): Promise<TransportLink> {
  const authority = ends.use(await openTestAuthority());
  const machine = network.machine('db1');
  const identity = join(directory, 'db1.json');
  writeFileSync(identity, JSON.stringify(await authority.issue('transport', 'db1', ['db1'])), { mode: 0o600 });
  await machine.start(process.execPath, ['src/main/transport.ts', '--identity', identity, '--work', join(directory, 'work'), '--listen', '0.0.0.0:6162']);
  const server = await authority.issue('server', 'server');
  const made = keepLink({ id: 'db1', host: 'db1', address: `${machine.managed}:6162`, dial: async () => await dialOrders({ host: machine.managed, port: 6162, identity: server, version: 'test' }), clock: systemClock, log: silentLog });
  ends.defer(async () => await made.close());
  await made.connected(60_000);
  return made;
}

const host = (name: string, changes: Partial<PlannedHost> = {}): PlannedHost => ({
  name, dial: `${name}.${zone}`, addresses: [at(name)], platform: 'linux', roles: ['mongodb'], sshPort: 22, deployerPort: 6160, controlPort: 6162, dataPorts: { from: 2500, to: 3300 }, singlePort: false, dialling: 'server', ...changes,
});

type Scene = { readonly hosts: readonly PlannedHost[]; readonly sets?: Inventory['sets']; readonly servers?: readonly string[]; readonly looks?: boolean };

async function check({ hosts, sets = [], servers = ['ns1'], looks = false }: Scene): Promise<string[]> {
  const inventory: Inventory = { servers: [], hosts, sets, settings: usualSettings };
  const nameServers: NameServers = { servers: servers.map((name) => ({ address: at(name), port: 53 })), resolver: { servers: servers.map(at), search: [zone], timeoutSeconds: 5, attempts: 2 } };
  const found = await checkNames({ inventory, linkOf: ({ name }) => (looks && name === 'db1' ? link : undefined) }, nameServers);
  return found.map(show);
}

const show = ({ machine, kind, says, record }: NameFinding): string => `${machine} ${kind}: ${says}${record === null ? '' : ` | ${record}`}`.replaceAll(at('ns1'), 'NS1').replaceAll(at('ns2'), 'NS2').replaceAll(at('db1'), 'DB1').replaceAll(at('db2'), 'DB2').replaceAll(at('db2').split('.').reverse().join('.'), '2BD').replaceAll(at('db1').split('.').reverse().join('.'), '1BD');

async function nft(name: string, rule: string | null): Promise<void> {
  const { code, stderr } = await network.machine(name).run('nft', ['-f', '-'], rule === null ? 'flush ruleset\n' : `table inet t {\n chain c {\n type filter hook input priority 0; policy accept;\n ${rule}\n }\n}\n`);
  assert.equal(code, 0, stderr);
}

test('names of both families are looked up both ways; what is missing and what is there twice is told, with the record that mends it', { skip }, async () => {
  const found = await check({ hosts: [host('db1', { addresses: [at('db1'), 'fd77::11'] }), host('db2'), host('ns1')] });
  assert.deepEqual(found, [
    `db1 good: db1.${zone} is at DB1, fd77::11`,
    `db1 good: DB1 is db1.${zone}`,
    `db1 good: fd77::11 is db1.${zone}`,
    `db2 good: db2.${zone} is at DB2`,
    found[4]!,
    `ns1 missing-forward: ns1.${zone} leads to no address | ns1.${zone}. IN A NS1`,
    found[6]!,
  ]);
  assert.match(found[4]!, /^db2 several-reverse: DB2 leads to 2 names, .* \| 2BD\.in-addr\.arpa\. IN PTR db2\.tide\.test\.$/);
  assert.match(found[6]!, /^ns1 missing-reverse: NS1 leads to no name \| [\d.]+\.in-addr\.arpa\. IN PTR ns1\.tide\.test\.$/);
});

test('an answer too long for a datagram is fetched over TCP, and where TCP is closed that is what is told', { skip }, async () => {
  const hosts = [host('db1', { name: 'many', dial: `many.${zone}`, addresses: many }), host('db2')];
  const good = await check({ hosts });
  assert.match(good[0]!, /^many good: many\.tide\.test is at (10\.200\.0\.\d+, ){39}10\.200\.0\.\d+$/);
  await nft('ns1', 'tcp dport 53 reject with tcp reset');
  try {
    const found = await check({ hosts });
    assert.deepEqual(found.slice(0, 2), ['NS1 server-cut-short: NS1 says that an answer is too long for a datagram, and cannot be asked over TCP: nothing listens there; row 18 has the port', `many no-answer: no answer about many.${zone}: its answer is too long for a datagram, and over TCP nothing listens there`]);
  } finally {
    await nft('ns1', null);
  }
});

test('of two name servers the one with an old copy is told, with how long it is kept and the record that is right', { skip }, async () => {
  const found = await check({ hosts: [host('db1'), host('db2')], servers: ['ns2', 'ns1'] });
  assert.deepEqual(found.filter((line) => line.startsWith('db1')), [
    `db1 servers-differ: name servers differ about db1.${zone}: NS2 says 192.0.2.9 (kept for 600 s); NS1 says DB1, fd77::11 (kept for 600 s) | db1.${zone}. IN A DB1`,
    `db1 wrong-forward: db1.${zone} also leads to fd77::11, which it does not have; that record is to go: db1.${zone}. IN AAAA fd77::11`,
    `db1 servers-differ: name servers differ about the name of DB1: NS2 says that there is none; NS1 says db1.${zone} (kept for 600 s) | 1BD.in-addr.arpa. IN PTR db1.${zone}.`,
    `db1 good: DB1 is db1.${zone}`,
  ]);
});

test('a host finds other addresses in its hosts file, waits for a name server that is dead, and needs its search list for a short name', { skip }, async () => {
  const db1 = network.machine('db1');
  resolverOf(db1, `nameserver ${at('ns2')}\nnameserver ${at('ns1')}\nsearch ${zone}\noptions timeout:2 attempts:1\n`, `192.0.2.77 db1.${zone}\n`);
  await nft('ns2', 'udp dport 53 drop');
  try {
    const sets: Inventory['sets'] = [{ name: 'rs0', members: [{ host: 'db1', port: 27017, addresses: [at('db1')] }, { host: 'db2', port: 27017, addresses: [at('db2')] }] }];
    const plan = planPorts({ servers: [], hosts: [host('db1'), host('db2')], sets, settings: usualSettings });
    assert.deepEqual(plan.map(({ row, from, to }) => [row, from.name, to.dial]), [[29, 'db1', 'db2'], [29, 'db2', 'db1']]);
    const found = (await check({ hosts: [host('db1'), host('db2')], sets, servers: ['ns1', 'ns2'], looks: true })).filter((line) => !/^\S+ (good|several-reverse|wrong-forward):/.test(line));
    assert.deepEqual(found.slice(0, 3), ['NS2 server-dead: name server NS2: no answer within 3 s', `db1 short-name: db1 is a short name: it is db1.${zone} only where the search list has ${zone}`, `db2 short-name: db2 is a short name: it is db2.${zone} only where the search list has ${zone}`]);
    assert.match(found[3]!, new RegExp(`^db1 host-slow: db1 waited [2-4]\\.\\d s for db2: it asks NS2, then NS1, and its search list is ${zone}$`));
    assert.equal(found.length, 4);

    resolverOf(db1, `nameserver ${at('ns1')}\n`, `192.0.2.77 db2\n`);
    const differs = (await check({ hosts: [host('db1'), host('db2')], sets, looks: true })).filter((line) => line.includes('host-'));
    assert.deepEqual(differs, ['db1 host-differs: db1 takes db2 for 192.0.2.77, and the name servers say DB2: its hosts file, or a copy that is out of date; it asks NS1, and has no search list']);
    resolverOf(db1, `nameserver ${at('ns1')}\n`);
    const none = (await check({ hosts: [host('db1'), host('db2')], sets, looks: true })).filter((line) => line.includes('host-'));
    assert.match(none[0]!, /^db1 host-differs: db1 finds no address for db2 \((no such name|no name server answered)\), and the name servers say DB2: it asks NS1, and has no search list$/);
  } finally {
    await nft('ns2', null);
  }
});

test('behind mongodb+srv the members of the set and the records are held against each other, and a client finds the set by them', { skip }, async () => {
  const sets: Inventory['sets'] = [{ name: 'shop', replicaSet: 'rs0', srv: `rs.${zone}`, members: [{ host: `db1.${zone}`, port: 27017, addresses: [at('db1')] }, { host: `db2.${zone}`, port: 27100, addresses: [at('db2')] }] }];
  const found = (await check({ hosts: [host('db1', { addresses: [at('db1'), 'fd77::11'] }), host('db2')], sets })).filter((line) => line.startsWith('shop'));
  assert.deepEqual(found, [
    `shop srv: db2.${zone}:27100, a member of shop, is not among the SRV records of _mongodb._tcp.rs.${zone} | _mongodb._tcp.rs.${zone}. IN SRV 0 0 27100 db2.${zone}.`,
    `shop srv: _mongodb._tcp.rs.${zone} leads to db9.${zone}:27017, which is no member of shop; that record is to go: _mongodb._tcp.rs.${zone}. IN SRV 0 0 27017 db9.${zone}.`,
    `shop good: the TXT record of rs.${zone} fits`,
  ]);

  const db1 = network.machine('db1');
  resolverOf(db1, `nameserver ${at('ns1')}\n`);
  const look = async (uri: string): Promise<string> => {
    const script = `const { readTarget } = await import(${JSON.stringify(join(import.meta.dirname, '../../src/cli/database-target.ts'))}); try { console.log(JSON.stringify(await readTarget(${JSON.stringify(uri)}, { args: [], options: {}, command: { name: 'set add' } }))); } catch (error) { console.log(error.message); }`;
    return (await db1.run(process.execPath, ['--input-type=module', '-e', script])).stdout.trim();
  };
  assert.deepEqual(JSON.parse(await look(`mongodb+srv://rs.${zone}/`)), { hosts: [{ host: `db1.${zone}`, port: 27017 }, { host: `db9.${zone}`, port: 27017 }], srv: `rs.${zone}`, replicaSet: 'rs0', credential: { kind: 'none' }, tls: {} });
  assert.equal(await look(`mongodb+srv://none.${zone}/`), `mongodb+srv://none.${zone} leads to no replica set: there are no SRV records of _mongodb._tcp.none.${zone}`);
});
