/**
 * A protection group over whole hosts: a set with access control and custom ports is found through one of its members, its
 * computers get their services by the rescan, and newer ones later; members that come, go or are down are noticed.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { MongoClient, type Document } from 'mongodb';
import { requireProgram } from '../../src/base/child-process.ts';
import { until } from '../../src/base/deadline.ts';
import type { LinuxPackage } from '../../scripts/package/layout.ts';
import { freePort } from '../kit/free-port.ts';
import { findMongod } from '../kit/mongod.ts';
import { openPackages } from '../kit/packages.ts';
import { openPlatform, type Platform } from '../kit/platform.ts';
import { openWholeHosts, whyNoWholeHosts, type WholeHost } from '../kit/whole-host.ts';

const keyFile = '/srv/set.key';

async function prepare(host: WholeHost, mongod: string, key: string): Promise<void> {
  host.copyIn(mongod, '/usr/bin/mongod');
  await host.ok('useradd', ['-m', '-s', '/bin/bash', 'tmadmin']);
  await host.ok('chpasswd', [], { input: 'tmadmin:Pa55-word\n' });
  host.write('/etc/sudoers.d/tmadmin', 'tmadmin ALL=(ALL:ALL) ALL\n', 0o440);
  await host.ok('useradd', ['--system', '--no-create-home', 'mongod']);
  host.write(keyFile, key, 0o400);
  await host.ok('chown', ['mongod:', keyFile]);
}

/** Its mongod runs under a user of its own; `how` is on the command line or in a file. */
async function startMongod(host: WholeHost, unit: string, args: readonly string[]): Promise<void> {
  await host.ok('install', ['-d', '-o', 'mongod', '-m', '700', `/srv/${unit}`]);
  await host.ok('systemd-run', ['--quiet', `--unit=${unit}`, '--uid=mongod', 'mongod', ...args]);
}

const argumentsOf = (unit: string, port: number, set: string): string[] => ['--dbpath', `/srv/${unit}`, '--port', String(port), '--ipv6', '--bind_ip_all', '--replSet', set, '--wiredTigerCacheSizeGB', '0.25', '--oplogSize', '64', '--setParameter', 'diagnosticDataCollectionEnabled=false'];

const configOf = (port: number): string => `# what an operator writes
storage: {dbPath: /srv/mongod, wiredTiger: {engineConfig: {cacheSizeGB: 0.25}}}
net: {port: ${port}, ipv6: true, bindIpAll: true}
replication: {replSetName: rs0, oplogSizeMB: 64}
security: {keyFile: ${keyFile}}
setParameter: {diagnosticDataCollectionEnabled: false}
`;

/** A certificate that is its own authority, for the address of one host. */
async function makeCertificate(place: string, address: string): Promise<{ ca: string; pem: string }> {
  const [key, ca] = [join(place, 'tls.key'), join(place, 'tls.pem')];
  await requireProgram('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=a member', '-addext', `subjectAltName=IP:${address}`, '-keyout', key, '-out', ca], { deadlineMs: 60_000 });
  return { ca, pem: `${readFileSync(ca, 'utf8')}${readFileSync(key, 'utf8')}` };
}

/** Over the socket of a mongod: there the first user can be made. */
async function openInside(host: WholeHost, port: number): Promise<MongoClient> {
  return await openWhenUp(`${host.name} on port ${port}`, `mongodb://${encodeURIComponent(host.path(`/tmp/mongodb-${port}.sock`))}/?directConnection=true`);
}

async function openWhenUp(what: string, uri: string, tlsCAFile?: string): Promise<MongoClient> {
  return await until(`the mongod of ${what}`, 60_000, async () => await MongoClient.connect(uri, { serverSelectionTimeoutMS: 1_000, ...(tlsCAFile !== undefined && { tls: true, tlsCAFile }) }).catch(() => undefined));
}

async function initiate(client: MongoClient, config: Document): Promise<void> {
  await client.db('admin').command({ replSetInitiate: { settings: { electionTimeoutMillis: 1_500, heartbeatIntervalMillis: 500 }, ...config } });
  await until('a primary', 60_000, async () => ((await client.db('admin').command({ hello: 1 }))['isWritablePrimary'] === true ? true : undefined));
}

const portsOf = ([one, two, three, four]: readonly WholeHost[]) => ({ first: `${one!.address}:27101`, second: 'db2:27202', third: `[${three!.address6}]:27303`, fourth: `${four!.address}:27404`, seed: `${two!.address}:27202`, other: `${two!.address}:27203` });

async function reconfigure(client: MongoClient, change: (members: Document[]) => Document[]): Promise<void> {
  const { config } = await client.db('admin').command({ replSetGetConfig: 1 });
  await client.db('admin').command({ replSetReconfig: { ...config, version: config.version + 1, members: change(config.members) } });
}

type Outcome = { computer: string; ok: boolean; way: string | null; services: string; mongods: { port: number; version: string }[]; says: string | null };
type Rescan = { state: string; computers: Outcome[]; sets: { set: string; ok: boolean; joined: string[]; left: string[] }[] };

async function rescan(platform: Platform, code: number): Promise<Rescan> {
  const ended = await platform.tidemark('group', 'rescan', 'shop');
  assert.equal(ended.code, code, `${ended.stderr}${ended.stdout}`);
  return ended.json as Rescan;
}
const brief = ({ computers }: Rescan): string[] => computers.map(({ computer, ok, way, services }) => `${computer} ${ok ? 'ok' : 'failed'} ${way ?? 'not reached'} ${services}`).sort();

test('a set is found through one member, its hosts get their services and newer ones, and members that come, go or are down are noticed', { skip: whyNoWholeHosts(), timeout: 420_000 }, async (context) => {
  const place = await mkdtemp(join(tmpdir(), 'tm-groups-'));
  context.after(async () => await rm(place, { recursive: true, force: true }));
  const secret = join(place, 'password');
  await writeFile(secret, 'Pa55-word\n');
  await using packages = await openPackages();
  await using wholeHosts = await openWholeHosts(4, { units: ['ssh.service'] });
  const [one, two, three, four] = wholeHosts.hosts as [WholeHost, WholeHost, WholeHost, WholeHost];
  const at = portsOf(wholeHosts.hosts);
  const [mongod, key] = [(await findMongod()).path, randomBytes(96).toString('base64')];
  await Promise.all(wholeHosts.hosts.map(async (host) => await prepare(host, mongod, key)));
  // One member by a name that only the hosts know, one by IPv6, one with a configuration file.
  for (const host of wholeHosts.hosts) host.write('/etc/hosts', `${host.read('/etc/hosts')}${two.address} db2\n`);
  const certificate = await makeCertificate(place, two.address);
  two.write('/srv/ca.pem', readFileSync(certificate.ca, 'utf8'));
  two.write('/srv/member.pem', certificate.pem, 0o400);
  await two.ok('chown', ['mongod:', '/srv/member.pem']);
  one.write('/etc/mongod.conf', configOf(27_101));
  await Promise.all([
    startMongod(one, 'mongod', ['--config', '/etc/mongod.conf']),
    startMongod(two, 'mongod', [...argumentsOf('mongod', 27_202, 'rs0'), '--keyFile', keyFile]),
    startMongod(two, 'other', [...argumentsOf('other', 27_203, 'rs1'), '--tlsMode', 'requireTLS', '--tlsCertificateKeyFile', '/srv/member.pem', '--tlsCAFile', '/srv/ca.pem', '--tlsAllowConnectionsWithoutCertificates']),
    startMongod(three, 'mongod', [...argumentsOf('mongod', 27_303, 'rs0'), '--keyFile', keyFile]),
    startMongod(four, 'mongod', [...argumentsOf('mongod', 27_404, 'rs0'), '--keyFile', keyFile]),
  ]);
  const primary = await openInside(two, 27_202);
  context.after(async () => await primary.close());
  await Promise.all([openInside(one, 27_101), openInside(three, 27_303), openInside(four, 27_404)].map(async (client) => await (await client).close()));
  await initiate(primary, { _id: 'rs0', members: [{ _id: 0, host: at.first }, { _id: 1, host: at.second, priority: 5 }, { _id: 2, host: at.third, tags: { dc: 'east' } }] });
  await primary.db('admin').command({ createUser: 'tide', pwd: 'Pa55-word', roles: ['backup', 'clusterManager', 'clusterMonitor', 'hostManager'], writeConcern: { w: 3, wtimeout: 60_000 } });
  const other = await openWhenUp('the other set', `mongodb://${at.other}/?directConnection=true`, certificate.ca);
  await initiate(other, { _id: 'rs1', members: [{ _id: 0, host: at.other }] });
  await other.db('admin').command({ createUser: 'tide', pwd: 'Pa55-word', roles: ['backup', 'clusterMonitor'] });
  await other.close();
  const admin = await MongoClient.connect(`mongodb://tide:Pa55-word@${at.seed}/?directConnection=true&authSource=admin`);
  context.after(async () => await admin.close());

  await using platform = await openPlatform({ keptIn: [process.execPath], args: ['--hosts', wholeHosts.gateway, '--enrolment-port', String(await freePort()), '--agent-port', String(await freePort()), '--depot-port', String(await freePort()), '--installer-port', String(await freePort())] });
  const offer = async (name: LinuxPackage, version: string): Promise<unknown> => await platform.ok('package', 'add', (await packages.tar(name, version)).file, '--sign', '--depot-dir', join(platform.dataDir, 'depot'));
  await offer('tidemark-deployer', '1.0.0');
  await offer('tidemark-transport', '1.0.0');
  await platform.ok('credential', 'add', 'admin', '--user', 'tmadmin', '--password-file', secret, '--sudo');
  await platform.ok('credential', 'add', 'db', '--for', 'database', '--user', 'tide', '--password-file', secret);
  await platform.ok('credential', 'add', 'db-tls', '--for', 'database', '--user', 'tide', '--password-file', secret, '--tls-ca', certificate.ca);
  const group = await platform.ok('group', 'add', 'shop', '--set', at.seed, '--database-credential', 'db', '--credential', 'admin', '--schedule', 'off');
  const members = (group.sets as { members: { host: string; port: number; tags: object; version: string | null }[] }[])[0]!.members;
  assert.deepEqual(members.map(({ host, port }) => `${host}:${port}`), [`${one.address}:27101`, 'db2:27202', `${three.address6}:27303`]);
  assert.deepEqual(members.map(({ tags, version }) => [tags, version]), [[{}, '6.0.5'], [{}, null], [{ dc: 'east' }, '6.0.5']], 'the name db2 means nothing to this machine');
  const changed = await platform.ok('group', 'edit', 'shop', '--computer', 'db2', '--address', two.address, '--add-set', at.other, '--database-credential', 'db-tls');
  assert.deepEqual((changed.computers as { name: string }[]).map(({ name }) => name).sort(), [one.address, two.address, 'db2', three.address6].sort());
  await platform.ok('group', 'edit', 'shop', '--computer', two.address, '--scope', 'out');
  const tested = await platform.tidemark('group', 'test', 'shop');
  assert.deepEqual((tested.json.computers as { ok: boolean; way: string }[]).map(({ ok, way }) => [ok, way]), [[true, 'ssh'], [true, 'ssh'], [true, 'ssh']], tested.stdout);

  const first = await rescan(platform, 0);
  assert.deepEqual(brief(first), [`${one.address} ok ssh installed`, 'db2 ok ssh installed', `${three.address6} ok ssh installed`].sort());
  const found = (name: string) => first.computers.find(({ computer }) => computer === name)!.mongods.map(({ port }) => port).sort((a, b) => a - b);
  assert.deepEqual([found(one.address), found('db2'), found(three.address6)], [[27_101], [27_202, 27_203], [27_303]], 'ports are learnt, from a file and from command lines');

  // A fourth member comes while the host of the first is down.
  await reconfigure(admin, (all) => [...all, { _id: 3, host: at.fourth, priority: 0, votes: 0 }]);
  await one.stop();
  const second = await rescan(platform, 3);
  assert.deepEqual(brief(second), [`${one.address} failed not reached none`, `${four.address} ok ssh installed`, 'db2 ok link in place', `${three.address6} ok link in place`].sort());
  assert.deepEqual(second.sets.find(({ set }) => set === 'rs0'), { ...second.sets.find(({ set }) => set === 'rs0'), ok: true, joined: [at.fourth], left: [] });
  const { hosts: offline } = await platform.ok('node', 'list', '--filter', 'offline');
  assert.deepEqual((offline as { address: string }[]).map(({ address }) => address), [one.address]);

  await reconfigure(admin, (all) => all.filter(({ _id }) => _id !== 0));
  const third = await rescan(platform, 0);
  assert.deepEqual(third.sets.find(({ set }) => set === 'rs0')?.left, [at.first]);
  assert.deepEqual(brief(third), [`${four.address} ok link in place`, 'db2 ok link in place', `${three.address6} ok link in place`].sort());

  const added = await platform.ok('set', 'add', 'rs0', '--group', 'shop');
  const hostsOf = (added.local as { member: string }[]).map(({ member }) => member).sort();
  assert.deepEqual(hostsOf, [at.second, at.third, at.fourth].sort(), 'each member was found on its host');

  await offer('tidemark-transport', '1.1.0');
  const fourth = await platform.ok('group', 'rescan', 'shop', '--computer', 'db2');
  assert.deepEqual(brief(fourth as Rescan), ['db2 ok link updated']);
  const { hosts: nodes } = await platform.ok('node', 'list');
  assert.deepEqual((nodes as { name: string; version: string; deployer: { version: string } | null }[]).filter(({ name }) => name === 'db2').map(({ version, deployer }) => [version, deployer?.version]), [['1.1.0', '1.0.0']]);
});
