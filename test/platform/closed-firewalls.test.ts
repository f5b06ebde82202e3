/**
 * Default-drop firewalls on every host, opened by nothing but the rules that `ports export` printed: a set with access control
 * and TLS is backed up from its host to the repository's, its oplog is followed, and a moment is restored on another host.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { MongoClient, type MongoClientOptions, type Timestamp } from 'mongodb';
import { requireProgram } from '../../src/base/child-process.ts';
import { until } from '../../src/base/deadline.ts';
import { hashAll } from '../../src/mongo/dbhash.ts';
import { mongodPort, openHostedPlatform, startMember, whyNoWholeHosts, type HostedPlatform } from '../kit/hosted-platform.ts';
import type { WholeHost } from '../kit/whole-host.ts';

const databases = ['db1', 'db2'] as const;
const signIn = { user: 'admin', password: 'Pa55-word' };

/** A certificate for both members, and what they know each other by, on each of them. */
async function secure(hosted: HostedPlatform): Promise<{ caFile: string }> {
  const papers = join(hosted.directory, 'tls');
  mkdirSync(papers);
  const at = (name: string): string => join(papers, name);
  const openssl = async (...args: string[]): Promise<string> => await requireProgram('openssl', args, { deadlineMs: 60_000 });
  await openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=tidemark test CA', '-keyout', at('ca.key'), '-out', at('ca.pem'));
  await openssl('req', '-newkey', 'rsa:2048', '-nodes', '-subj', '/O=tide/OU=members/CN=db', '-keyout', at('db.key'), '-out', at('db.csr'));
  writeFileSync(at('db.ext'), `subjectAltName=${databases.map((name) => `IP:${hosted.hosts[name]!.address}`).join(',')}`);
  await openssl('x509', '-req', '-in', at('db.csr'), '-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial', '-days', '2', '-extfile', at('db.ext'), '-out', at('db.crt'));
  const pem = readFileSync(at('db.crt'), 'utf8') + readFileSync(at('db.key'), 'utf8');
  const key = randomBytes(96).toString('base64');
  for (const name of databases) {
    const host = hosted.hosts[name]!;
    for (const [file, text] of [['ca.pem', readFileSync(at('ca.pem'), 'utf8')], ['db.pem', pem], ['key', key]] as const) host.write(`/etc/mongod/${file}`, text, 0o600);
    await host.ok('chown', ['-R', 'mongod', '/etc/mongod']);
    await startMember(host, 'rs0', ['--keyFile', '/etc/mongod/key', '--tlsMode', 'requireTLS', '--tlsCertificateKeyFile', '/etc/mongod/db.pem', '--tlsCAFile', '/etc/mongod/ca.pem', '--tlsAllowConnectionsWithoutCertificates']);
  }
  return { caFile: at('ca.pem') };
}

/** Nothing comes in but what the exported chain lets in, the set's own traffic between its members, and this test. */
async function close(host: WholeHost, text: string, members: readonly string[], gateway: string): Promise<void> {
  await host.ok('nft', ['-f', '-'], { input: text });
  const own = members.includes(host.address) ? `ip saddr { ${members.join(', ')} } tcp dport ${mongodPort} accept;` : '';
  await host.ok('nft', ['-f', '-'], { input: `table inet filter {\n chain input {\n type filter hook input priority 0; policy drop;\n ${own} ip saddr ${gateway} accept;\n jump tidemark\n }\n}\n` });
}

async function reaches(from: WholeHost, to: WholeHost, port: number): Promise<boolean> {
  return (await from.run('timeout', ['2', 'bash', '-c', `exec 3<>/dev/tcp/${to.address}/${port}`])).code === 0;
}

test('with default-drop firewalls opened only by the exported rules: backup, oplog, and a restore to a moment on another host', { skip: whyNoWholeHosts(), timeout: 400_000 }, async (context) => {
  await using hosted = await openHostedPlatform([...databases, 'vault', 'spare'], { restores: ['spare'] });
  const { platform, hosts, tide } = hosted;
  const [db1, vault, spare] = [hosts['db1']!, hosts['vault']!, hosts['spare']!];
  const plain = await hosted.startSet(databases);
  await plain.client.db('admin').command({ createUser: signIn.user, pwd: signIn.password, roles: ['root'], writeConcern: { w: 2 } });
  await plain[Symbol.asyncDispose]();
  const { caFile } = await secure(hosted);
  const options: MongoClientOptions = { auth: { username: signIn.user, password: signIn.password }, serverSelectionTimeoutMS: 60_000 };
  const client = await MongoClient.connect(plain.uri, { ...options, tls: true, tlsCAFile: caFile });
  context.after(async () => await client.close());
  const orders = client.db('shop').collection<{ _id: number; text: string; late?: boolean }>('orders');
  await orders.insertMany(Array.from({ length: 5_000 }, (_, n) => ({ _id: n, text: `order ${n}`.repeat(8) })), { writeConcern: { w: 2 } });
  await hosted.addRepository('vault');
  const password = join(hosted.directory, 'password');
  writeFileSync(password, `${signIn.password}\n`, { mode: 0o600 });
  await platform.ok('set', 'add', plain.uri, '--repository', 'vault', '--user', signIn.user, '--password-file', password, '--tls-ca', caFile);

  const { texts } = (await platform.ok('ports', 'export', '--format', 'nftables')) as { texts: { machine: string; text: string }[] };
  const textOf = (name: string): string | undefined => texts.find(({ machine }) => machine === name)?.text;
  const ofServer = texts.filter(({ machine }) => machine === hostname());
  assert.equal(ofServer.length, 1, texts.map(({ machine }) => machine).join(', '));
  const members = databases.map((name) => hosts[name]!.address);
  const gateway = tide.address.replace(/\d+$/, '1');
  for (const [name, host] of Object.entries(hosts)) await close(host, textOf(name)!, members, gateway);
  await close(tide, ofServer[0]!.text, members, gateway);
  for (const [from, to, port] of [[db1, spare, 6162], [spare, db1, mongodPort], [vault, db1, 6162]] as const) assert.equal(await reaches(from, to, port), false, `${from.name} > ${to.name} ${port} is not in the plan`);
  for (const [from, to, port] of [[tide, db1, mongodPort], [db1, tide, 10002]] as const) {
    await until(`${from.name} to reach ${to.name} ${port}`, 20_000, async () => ((await reaches(from, to, port)) ? true : undefined)).catch(async (error: Error) => assert.fail(`${error.message}: ${await to.ok('nft', ['list', 'ruleset'])}`));
  }
  for (const name of Object.keys(hosts)) await hosted.connected(name);

  const made = await platform.ok('backup', 'run', 'rs0');
  assert.equal(made.verified, true);
  await orders.updateMany({ _id: { $lt: 100 } }, { $set: { late: true } }, { writeConcern: { w: 2 } });
  const { operationTime } = await client.db('shop').command({ ping: 1 });
  const [t, i] = [(operationTime as Timestamp).getHighBits(), (operationTime as Timestamp).getLowBits()];
  const wanted = await hashAll(client);
  await orders.deleteMany({}, { writeConcern: { w: 2 } });
  await until('the archived oplog', 60_000, async () => (((await platform.ok('set', 'show', 'rs0')).oplog.through?.t ?? 0) > t ? true : undefined), { everyMs: 500 });

  await spare.ok('install', ['-d', '-o', 'mongod', '-m', '700', '/srv/back']);
  const back = `${spare.address}:27117`;
  await platform.ok('restore', 'set', 'rs0', '--at', `${t},${i}`, '--name', 'back', '--node', 'spare', '--host', spare.address, '--to-dir', '/srv/back:27117', '--start', '--apply');
  const restored = await MongoClient.connect(`mongodb://${back}/?directConnection=true`, options);
  context.after(async () => await restored.close());
  assert.deepEqual(await hashAll(restored), wanted);
});
