/** Several hosts on one server: enrolled with kits, dialled from either side, data straight from the set's host to the repository's. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { MongoClient } from 'mongodb';
import { systemClock } from '../../src/base/clock.ts';
import { until } from '../../src/base/deadline.ts';
import { openAuthority } from '../../src/server/authority.ts';
import { joinServer, renewIdentity } from '../../src/agent/join.ts';
import { dialLink } from '../../src/contract/link/dial.ts';
import { readIdentity } from '../../src/contract/link/identity-file.ts';
import { admitPart } from '../../src/contract/link/trust.ts';
import { hostKit } from '../../src/contract/routes/hosts.ts';
import { freePort } from '../kit/free-port.ts';
import { openPlatform, type Platform } from '../kit/platform.ts';
import { openReplicaSet, type ReplicaSet } from '../kit/replica-set.ts';
import { openTransportHost, type TransportHost } from '../kit/transport-host.ts';

let set: ReplicaSet;
let client: MongoClient;
let platform: Platform;
let vault: TransportHost;
let base: string;
let ports: { enrolmentPort: number; agentPort: number };

before(async () => {
  base = await mkdtemp(join(tmpdir(), 'tm-hosts-'));
  set = await openReplicaSet({ members: 2 });
  client = await set.client();
  await client.db('shop').collection('orders').insertMany(Array.from({ length: 5_000 }, (_, n) => ({ n, text: `order ${n}`, noise: randomBytes(400) })));
  ports = { enrolmentPort: await freePort(), agentPort: await freePort() };
  platform = await openPlatform({ keptIn: [process.execPath], args: ['--hosts', '127.0.0.1', '--enrolment-port', String(ports.enrolmentPort), '--agent-port', String(ports.agentPort), '--no-depot'] });
  vault = await openTransportHost(platform, { name: 'vault', ...ports, dataPorts: '32500-32540' });
  await vault.connected();
  const passphrase = join(base, 'passphrase');
  await writeFile(passphrase, 'a passphrase for the vault\n');
  await platform.ok('repository', 'add', 'vault', join(vault.directory, 'repository'), '--node', 'vault', '--passphrase-file', passphrase);
  await platform.ok('set', 'add', set.uri, '--repository', 'vault');
});
after(async () => {
  await vault?.[Symbol.asyncDispose]();
  await platform?.[Symbol.asyncDispose]();
  await client?.close();
  await set?.stop();
  await rm(base, { recursive: true, force: true });
});

test('a kit is used once, and what it leaves is an identity that only its owner can read', async () => {
  assert.ok(!existsSync(join(vault.directory, 'kit')), 'the kit is gone');
  const kitFile = join(base, 'lab.kit');
  await platform.ok('node', 'add', 'lab', '127.0.0.9', '--kit', kitFile);
  const kit = hostKit.parse(JSON.parse(await readFile(kitFile, 'utf8')));
  await joinServer(kit, 'transport', join(base, 'lab.json'), 'test');
  // As if the answer had been lost: the key of the question is there, the identity is not.
  const { keyPem } = JSON.parse(await readFile(join(base, 'lab.json'), 'utf8')) as { keyPem: string };
  await writeFile(join(base, 'lost.json.asking'), keyPem, { mode: 0o600 });
  await joinServer(kit, 'transport', join(base, 'lost.json'), 'test');
  assert.ok(existsSync(join(base, 'lost.json')) && !existsSync(join(base, 'lost.json.asking')));
  await assert.rejects(joinServer(kit, 'transport', join(base, 'again.json'), 'test'), { code: 'server.enrolment-refused', message: /was used before/ });
  await assert.rejects(joinServer({ ...kit, token: 'te_nothing-like-a-token-of-ours' }, 'transport', join(base, 'again.json'), 'test'), { code: 'server.enrolment-refused', message: /not known/ });
  await assert.rejects(joinServer({ ...kit, fingerprint: '0'.repeat(64) }, 'transport', join(base, 'again.json'), 'test'), { code: 'agent.server-not-trusted', message: /has the fingerprint/ });
  const forOne = join(base, 'one.kit');
  await platform.ok('node', 'kit', 'lab', '--kit', forOne, '--part', 'deployer');
  await assert.rejects(joinServer(hostKit.parse(JSON.parse(await readFile(forOne, 'utf8'))), 'transport', join(base, 'again.json'), 'test'), { code: 'server.enrolment-refused', message: /for another service/ });
  assert.ok(!existsSync(join(base, 'again.json')));
  await platform.ok('node', 'remove', 'lab', '--apply');
});

test('a backup goes to the repository of another host, is proved from there, and later moments are reached', async () => {
  const made = await platform.ok('backup', 'run', 'rs0');
  assert.equal(made.verified, true);
  assert.ok((await readdir(join(vault.directory, 'repository', 'sets'))).length === 1, 'it is in the vault');
  await client.db('shop').collection('orders').insertOne({ n: -1 }, { writeConcern: { w: 'majority' } });
  const again = await platform.ok('backup', 'run', 'rs0');
  assert.ok(again.bytes.stored < made.bytes.stored / 2, `${again.bytes.stored} of ${made.bytes.stored}`);
  const published = await platform.ok('publish', 'start', 'rs0', '--at', 'latest', '--no-users');
  assert.match(published.uri, /^mongodb:/);
  await platform.ok('publish', 'stop', published.id);
});

test('a whole set is laid down from the vault, on the server’s machine and on the vault itself', async () => {
  for (const node of ['local', 'vault']) {
    const port = await freePort();
    const target = join(base, `restored-${node}`);
    const restored = await platform.ok('restore', 'set', 'rs0', '--at', 'latest', '--node', node, '--to-dir', `${target}:${port}`, '--apply');
    assert.equal(restored.applied, true);
    assert.ok(existsSync(join(target, 'WiredTiger')));
  }
});

test('a host that dials in takes the same orders', async () => {
  await using outpost = await openTransportHost(platform, { name: 'outpost', ...ports, dialsIn: true });
  await outpost.connected();
  const passphrase = join(base, 'passphrase');
  const added = await platform.ok('repository', 'add', 'outpost', join(outpost.directory, 'repository'), '--node', 'outpost', '--passphrase-file', passphrase);
  assert.equal(added.host, 'outpost');
  const busy = await platform.tidemark('node', 'remove', 'outpost', '--apply');
  assert.equal(busy.code, 5, busy.stderr);
});

test('a host whose certificate ran out while it was off is refused with that reason, and comes back with a new kit', async () => {
  await using sleeper = await openTransportHost(platform, { name: 'sleeper', ...ports });
  await sleeper.connected();
  const find = async () => ((await platform.ok('node', 'list')) as { hosts: { id: string; name: string; link: string; says: string | null }[] }).hosts.find(({ name }) => name === 'sleeper')!;
  const { id } = await find();
  await sleeper.kill9();
  const authority = await openAuthority(platform.dataDir, systemClock, async () => {});
  const { keyPem, certificatePem, caPem } = await authority.issue({ part: 'transport', name: id, hosts: ['127.0.0.1'], days: -1 });
  await writeFile(sleeper.identityFile, JSON.stringify({ keyPem, certificatePem, caPem }), { mode: 0o600 });
  sleeper.start();
  await until('the host to be refused', 60_000, async () => (/CERT_HAS_EXPIRED/.test((await find()).says ?? '') ? true : undefined), { everyMs: 300 });
  assert.equal((await find()).link, 'refused');
  await sleeper.kill9();
  await platform.ok('node', 'kit', 'sleeper', '--kit', join(sleeper.directory, 'kit'));
  sleeper.start();
  await sleeper.connected();
  assert.ok(!existsSync(join(sleeper.directory, 'kit')), 'the kit is used');
});

test('a removed host is refused at once, and the others go on', async () => {
  await using guest = await openTransportHost(platform, { name: 'guest', ...ports });
  await guest.connected();
  await platform.ok('node', 'remove', 'guest', '--apply');
  const { hosts } = await platform.ok('node', 'list');
  assert.deepEqual((hosts as { name: string }[]).map(({ name }) => name).filter((name) => name === 'guest'), []);
  const held = await readIdentity(guest.identityFile);
  await assert.rejects(renewIdentity({ address: '127.0.0.1', enrolmentPort: ports.enrolmentPort }, held!, guest.identityFile), { code: 'server.enrolment-refused', message: /not on the list/ });
  const dialling = { host: '127.0.0.1', port: ports.agentPort, identity: held!, admit: admitPart('server'), role: 'answerer', version: 'test' } as const;
  await assert.rejects(dialLink(dialling), { code: 'contract.link-refused' });
});
