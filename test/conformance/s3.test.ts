/** Storage in a bucket of a real store (Ceph's gateway): the promises of every storage, and what cuts, lost answers and quotas do to them. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import dns from 'node:dns';
import { mkdtemp, rm } from 'node:fs/promises';
import { connect, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { after, before, test, type TestContext } from 'node:test';
import { createServer } from 'node:tls';
import { DeleteObjectCommand, HeadObjectCommand, ListMultipartUploadsCommand, ListObjectVersionsCommand, PutBucketLifecycleConfigurationCommand, PutObjectCommand, PutObjectRetentionCommand } from '@aws-sdk/client-s3';
import { systemClock } from '../../src/base/clock.ts';
import { until } from '../../src/base/deadline.ts';
import { randomId } from '../../src/base/ids.ts';
import type { LinkIdentity } from '../../src/contract/link/trust.ts';
import { createRepository, openRepository } from '../../src/repository/repository.ts';
import { tryStorage } from '../../src/repository/storage-trial.ts';
import type { S3Location } from '../../src/repository/storage/location.ts';
import { openBucket, type BucketOptions } from '../../src/repository/storage/s3.ts';
import { dropAbandoned } from '../../src/repository/storage/s3-abandoned.ts';
import { openRequests, usualTimes } from '../../src/repository/storage/s3-requests.ts';
import type { Storage } from '../../src/repository/storage/storage.ts';
import { openCuttingProxy } from '../kit/cutting-proxy.ts';
import { startDnsmasq, whyNoDnsmasq } from '../kit/dnsmasq.ts';
import { freePort } from '../kit/free-port.ts';
import { scratch } from '../kit/scratch.ts';
import { openTestAuthority } from '../kit/test-authority.ts';
import { kmsKey, openObjectStore, storeName, whyNoObjectStore, type ObjectStore } from '../kit/object-store.ts';
import { asPoints, below, openDataSession, openHosts, servedSet } from '../kit/data-session.ts';
import { openLaggingStore } from '../kit/lagging-store.ts';
import { laggingConformance } from './lagging-lists.ts';
import { lockConformance, type LockedPlace } from './lock.ts';
import { storageConformance } from './storage.ts';

const skip = whyNoObjectStore();
const bucket = 'conformance';
const lockable = 'lockable';
const noNames = whyNoDnsmasq();
let namePort: number;
let store: ObjectStore;
let names: AsyncDisposable | undefined;
let nameFolder: string | undefined;
before(async () => {
  if (skip !== undefined) return;
  if (noNames === undefined) {
    namePort = await freePort();
    nameFolder = await mkdtemp(join(scratch, 'tm-names-'));
    names = await startDnsmasq('127.0.0.1', nameFolder, [`--address=/${storeName}/127.0.0.1`], namePort);
  }
  store = await openObjectStore({ isNamed: true });
  await store.bucket(bucket);
  await store.lockedBucket(lockable);
});
after(async () => {
  await store?.[Symbol.asyncDispose]();
  await names?.[Symbol.asyncDispose]();
  if (nameFolder !== undefined) await rm(nameFolder, { recursive: true, force: true });
});

async function open(t: TestContext, location: S3Location, options: BucketOptions = {}): Promise<Storage> {
  const storage = await openBucket(location, store.secret, options);
  t.after(async () => await storage.close?.());
  return storage;
}

if (skip === undefined) {
  storageConformance(
    'a bucket',
    async (t) => {
      const location = store.at(bucket, { prefix: `of/${randomId()}` });
      return { storage: await open(t, location, { create: true }), again: async () => await open(t, location) };
    },
    // A page is a thousand.
    { many: 1_050 },
  );
}

if (skip === undefined) {
  storageConformance(
    'a bucket behind a gateway',
    async (t) => {
      const [hosts, location] = [await openHosts(t), store.at(bucket, { prefix: `behind/${randomId()}` })];
      const again = async (): Promise<Storage> => asPoints(await (await openDataSession(t, hosts, { storage: await open(t, location) })).open(), `sets/${servedSet}`);
      return { storage: await again(), again };
    },
    { many: 120 },
  );
}

test('10,000 objects, ten pages and more of one list, are listed each once, with their sizes', { skip: skip ?? false }, async (t) => {
  const prefix = `of/${randomId()}`;
  const storage = await open(t, store.at(bucket, { prefix }));
  const wanted = Array.from({ length: 10_000 }, (_, k) => `packs/${(k % 256).toString(16).padStart(2, '0')}/${k.toString(16).padStart(8, '0')}`);
  const left = wanted.values();
  await Promise.all(Array.from({ length: 48 }, async () => {
    for (const name of left) await store.client.send(new PutObjectCommand({ Bucket: bucket, Key: `${prefix}/${name}`, Body: 'twelve bytes' }));
  }));
  const found = new Set<string>();
  for await (const { name, bytes } of storage.list('packs/')) {
    assert.ok(bytes === 12 && !found.has(name), name);
    found.add(name);
  }
  assert.deepEqual([found.size, wanted.filter((name) => !found.has(name))], [10_000, []]);
});

/** Names below the store's, its buckets' too, are asked of a real name server; the machine's own is left out of it. */
async function resolveStore(t: TestContext): Promise<string[]> {
  const resolver = new dns.promises.Resolver();
  resolver.setServers([`127.0.0.1:${namePort}`]);
  const { lookup } = dns;
  const asked: string[] = [];
  t.mock.method(dns, 'lookup', (host: string, options: object, done: (error: Error | null, address?: unknown, family?: number) => void) => {
    if (!host.endsWith(storeName)) return lookup(host, options, done);
    asked.push(host);
    return void resolver.resolve4(host).then(([address]) => lookup(address!, options, done), done);
  });
  return asked;
}

if (skip === undefined && noNames === undefined) {
  storageConformance(
    'a bucket whose name is in the host name',
    async (t) => {
      await resolveStore(t);
      const location = store.at(bucket, { prefix: `of/${randomId()}`, style: 'virtual-host', endpoint: `http://${storeName}:${store.port}` });
      return { storage: await open(t, location, { create: true }), again: async () => await open(t, location) };
    },
    { many: 120 },
  );
}

test('a bucket whose name is in the host name is asked for by that name alone, and is the one that has it in the path', { skip: skip ?? noNames ?? false }, async (t) => {
  const asked = await resolveStore(t);
  const prefix = `of/${randomId()}`;
  const storage = await open(t, store.at(bucket, { prefix, style: 'virtual-host', endpoint: `http://${storeName}:${store.port}` }), { create: true });
  const bytes = randomBytes(200_000);
  await storage.put('packs/one', bytes, 'new');
  const byPath = await open(t, store.at(bucket, { prefix }));
  assert.ok(Buffer.from(await byPath.read('packs/one')).equals(bytes));
  assert.deepEqual([...new Set(asked)], [`${bucket}.${storeName}`]);
  await assert.rejects(open(t, store.at('no-such-bucket', { prefix, style: 'virtual-host', endpoint: `http://${storeName}:${store.port}` })), { code: 'repository.bucket-missing' });
});

laggingConformance(
  'a bucket whose lists lag',
  async (t) => {
    const lagging = await openLaggingStore(t, store, bucket);
    const location = store.at(bucket, { prefix: `lagging/${randomId()}` });
    return Object.assign(lagging, { direct: await open(t, location), lagging: await open(t, store.at(bucket, { port: lagging.port, prefix: location.prefix })) });
  },
  { skip: skip ?? false },
);

test('a bucket: what is written is encrypted by the store with the key that was named, small and large objects, and reads back as it was', { skip }, async (t) => {
  const location = store.at(bucket, { prefix: `sse/${randomId()}`, sse: { kms: kmsKey } });
  const storage = await open(t, location, { create: true });
  const large = randomBytes((9 << 20) + 5);
  await storage.put('a/small', large.subarray(0, 1000), 'new');
  const writer = await storage.create('packs/one');
  await writer.append(large);
  await writer.commit();
  for (const name of ['a/small', 'packs/one']) {
    const { ServerSideEncryption, SSEKMSKeyId } = await store.client.send(new HeadObjectCommand({ Bucket: bucket, Key: `${location.prefix}/${name}` }));
    assert.deepEqual([ServerSideEncryption, SSEKMSKeyId], ['aws:kms', kmsKey], name);
  }
  assert.ok(Buffer.from(await storage.read('a/small')).equals(large.subarray(0, 1000)));
  assert.ok(Buffer.from(await storage.read('packs/one')).equals(large));
  assert.ok(Buffer.from(await storage.read('packs/one', { from: (8 << 20) - 7, bytes: 20 })).equals(large.subarray((8 << 20) - 7, (8 << 20) + 13)));
  // A key that the store has not; and AES256, which radosgw 16.2 takes and ignores.
  await assert.rejects(openBucket({ ...location, sse: { kms: 'another-key' } }, store.secret, { create: true }), { code: 'repository.bucket-unfit', message: /does not give the key to encrypt with .*another-key/ });
  await assert.rejects(openBucket({ ...location, sse: 'AES256' }, store.secret, { create: true }), { code: 'repository.bucket-unfit', message: /the object says nothing/ });
});

test('a bucket: connections cut in the middle of any call lose nothing, and what was stored once is told as stored', { skip }, async (t) => {
  const proxy = await openCuttingProxy(t, [store.port]);
  const large = randomBytes((9 << 20) + 5);
  const work = async (): Promise<void> => {
    const location = store.at(bucket, { port: proxy.ports[0]!, prefix: `cut/${randomId()}` });
    const storage = await open(t, location);
    assert.equal(await storage.put('a/one', large.subarray(0, 300_000), 'new'), 'stored');
    assert.equal(await storage.put('a/one', large.subarray(0, 10), 'new'), 'exists');
    assert.equal(await storage.put('sign', Buffer.from('1'), 'replace'), 'stored');
    assert.ok(Buffer.from(await storage.read('a/one')).equals(large.subarray(0, 300_000)));
    assert.equal((await storage.stat('a/one'))?.bytes, 300_000);
    assert.deepEqual((await Array.fromAsync(storage.list(''))).map(({ name }) => name), ['a/one', 'sign']);
    await storage.delete('sign');
    assert.equal(await storage.stat('sign'), undefined);
    const writer = await storage.create('packs/one');
    await writer.append(large);
    await writer.commit();
    const direct = await open(t, { ...location, endpoint: `http://127.0.0.1:${store.port}` });
    assert.ok(Buffer.from(await direct.read('packs/one')).equals(large));
  };
  await work();
  const whole = proxy.bytes;
  // The last bytes are the answer to the end of the upload: what is cut there was carried out.
  const places = [...Array.from({ length: 9 }, (_, k) => Math.floor(((k + 0.5) * whole) / 9)), whole - 1200, whole - 500, whole - 20, 200, 1200, 2000];
  for (const at of places) {
    proxy.cutAt(proxy.bytes + at);
    await work();
  }
  assert.ok(proxy.cuts >= places.length - 3, `${proxy.cuts} of ${places.length} cuts came in time`);
});

test('a bucket whose quota is used up says that it is full, and what was stored before is whole', { skip }, async (t) => {
  const location = await store.bucket('small');
  const storage = await open(t, location);
  await storage.put('one', randomBytes(1000), 'new');
  await store.admin('quota', 'enable', '--quota-scope=bucket', '--bucket=small', '--max-objects=2');
  await storage.put('two', randomBytes(1000), 'new');
  await assert.rejects(storage.put('three', randomBytes(1000), 'new'), { code: 'repository.storage-full' });
  assert.equal((await storage.read('one')).length, 1000);
});

test('a bucket: an upload that nobody ended is taken back when it is a day old, and not before', { skip }, async (t) => {
  const location = store.at(bucket, { prefix: `left/${randomId()}` });
  const storage = await open(t, location);
  const writer = await storage.create('packs/one');
  await writer.append(randomBytes(9 << 20));
  const requests = openRequests(location, store.secret, 'here', usualTimes);
  t.after(() => requests.close());
  const left = async (): Promise<number> => (await store.client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: location.prefix }))).Uploads?.length ?? 0;
  const soon = Date.now() + 80_000_000;
  assert.equal(await dropAbandoned(requests, bucket, `${location.prefix}/`, soon), 0);
  assert.equal(await left(), 1);
  assert.equal(await dropAbandoned(requests, bucket, `${location.prefix}/`, soon + 7_200_000), 1);
  assert.equal(await left(), 0);
  await assert.rejects(async () => {
    await writer.append(randomBytes(9 << 20));
    await writer.commit();
  }, { code: 'repository.bucket-refused' });
  assert.equal(await storage.stat('packs/one'), undefined);
});

test('a bucket: a writer that is given up leaves no upload', { skip }, async (t) => {
  const location = store.at(bucket, { prefix: `given-up/${randomId()}` });
  const writer = await (await open(t, location)).create('packs/one');
  await writer.append(randomBytes(20 << 20));
  await writer.abort();
  const { Uploads } = await store.client.send(new ListMultipartUploadsCommand({ Bucket: bucket, Prefix: location.prefix }));
  assert.equal(Uploads?.length ?? 0, 0);
});

test('a bucket: wrong keys, a bucket that is not there and a port where nothing listens are told apart', { skip }, async (t) => {
  const refused = async (location: S3Location, secret: string, code: string): Promise<void> => await assert.rejects(openBucket(location, secret, { times: { reachMs: 1_000 } }), { code });
  const [proxy] = (await openCuttingProxy(t, [store.port])).ports;
  assert.ok(proxy !== undefined);
  await refused(store.at(bucket), 'another secret', 'repository.bucket-key-wrong');
  await refused(store.at(bucket, { accessKeyId: 'AKSTRANGER' }), store.secret, 'repository.bucket-key-wrong');
  await refused(store.at('nowhere'), store.secret, 'repository.bucket-missing');
  await refused(store.at(bucket, { port: 1 }), store.secret, 'repository.bucket-not-reached');
  await refused(store.at(bucket, { endpoint: 'http://no-such-store.invalid' }), store.secret, 'repository.bucket-not-reached');
  await refused(store.at(bucket, { endpoint: `https://127.0.0.1:${store.port}` }), store.secret, 'repository.bucket-tls-refused');
});

test('a bucket: a certificate is accepted from the authority that was named, for the name that was dialled, and no other', { skip }, async (t) => {
  await using authority = await openTestAuthority();
  const [own, other] = [await authority.issue('server', 'store'), await authority.issue('server', 'store', ['store.example'])];
  const listen = async ({ keyPem, certificatePem }: LinkIdentity): Promise<string> => {
    const server = createServer({ key: keyPem, cert: certificatePem }, (socket) => {
      const inner = connect(store.port, '127.0.0.1');
      socket.pipe(inner).pipe(socket);
      for (const one of [socket, inner]) one.on('error', () => void (socket.destroy(), inner.destroy()));
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    t.after(() => server.close());
    return `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  };
  const endpoint = await listen(own);
  const prefix = `tls/${randomId()}`;
  const storage = await open(t, store.at(bucket, { endpoint, prefix, caPem: own.caPem }));
  assert.equal(await storage.put('one', randomBytes(70_000), 'new'), 'stored');
  const writer = await storage.create('two');
  await writer.append(randomBytes(9 << 20));
  await writer.commit();
  assert.equal((await storage.read('two')).length, 9 << 20);
  const refused = { code: 'repository.bucket-tls-refused' };
  await assert.rejects(openBucket(store.at(bucket, { endpoint }), store.secret), refused);
  await assert.rejects(openBucket(store.at(bucket, { endpoint: await listen(other), caPem: own.caPem }), store.secret), refused);
});

test('a bucket whose rules would delete the repository is refused, and the trial of a place names the rule', { skip }, async (t) => {
  const location = await store.bucket('eaten', { prefix: 'mongo' });
  const rule = (Prefix: string) => ({ ID: 'tidy', Status: 'Enabled' as const, Filter: { Prefix }, Expiration: { Days: 30 } });
  const setRules = async (prefix: string) => await store.client.send(new PutBucketLifecycleConfigurationCommand({ Bucket: 'eaten', LifecycleConfiguration: { Rules: [rule(prefix)] } }));
  await setRules('logs/');
  const storage = await open(t, location, { create: true });
  const good = await tryStorage(storage, { bytes: 10 << 20 });
  assert.deepEqual(good.findings.filter(({ level }) => level !== 'good'), []);
  assert.ok(good.ok && good.findings.length >= 10 && good.speeds.length === 2);
  await setRules('mon');
  await assert.rejects(openBucket(location, store.secret, { create: true }), { code: 'repository.bucket-unfit', message: /rule tidy deletes objects after 30 days/ });
  const report = await tryStorage(storage, { bytes: 1 << 20 });
  assert.deepEqual(report.findings.filter(({ level }) => level === 'bad').map(({ what }) => what), ['lifecycle rules']);
  assert.equal(report.ok, false);
  assert.deepEqual(await Array.fromAsync(storage.list('')), []);
});

// The last one: for half a minute the store waits, at each change of a bucket, for the gateway that was killed.
test('a bucket: a store that is killed and started again while objects are written loses none of them', { skip }, async (t) => {
  const storage = await open(t, store.at(bucket, { prefix: `killed/${randomId()}` }));
  const bytes = randomBytes(12 << 20);
  const writing = Promise.all(
    Array.from({ length: 6 }, async (_, k) => {
      const writer = await storage.create(`packs/${k}`);
      for (let at = 0; at < bytes.length; at += 1 << 20) await writer.append(bytes.subarray(at, at + (1 << 20)));
      await writer.commit();
      return await storage.put(`points/${k}`, bytes.subarray(0, 5_000), 'new');
    }),
  );
  await store.kill();
  await store.start();
  assert.deepEqual([...new Set(await writing)], ['stored']);
  for (let k = 0; k < 6; k++) assert.ok(Buffer.from(await storage.read(`packs/${k}`)).equals(bytes), String(k));
});

/** Everything that the key of the bucket can do to an object, past us. */
async function strike(location: S3Location, name: string): Promise<void> {
  const target = { Bucket: location.bucket, Key: `${location.prefix}/${name}` };
  const { Versions = [] } = await store.client.send(new ListObjectVersionsCommand({ Bucket: target.Bucket, Prefix: target.Key }));
  const VersionId = Versions.findLast(({ Key }) => Key === target.Key)!.VersionId;
  const refused = { name: 'AccessDenied' };
  await assert.rejects(store.client.send(new DeleteObjectCommand({ ...target, VersionId })), refused);
  const Retention = { Mode: 'COMPLIANCE' as const, RetainUntilDate: new Date(Date.now() + 60_000) };
  await assert.rejects(store.client.send(new PutObjectRetentionCommand({ ...target, VersionId, Retention })), refused);
  // These two succeed, and change nothing that is read.
  await store.client.send(new PutObjectCommand({ ...target, Body: 'forged' }));
  await store.client.send(new DeleteObjectCommand(target));
}

if (skip === undefined) {
  for (const [what, folder, isKept] of [
    ['what is not kept in a bucket with object lock', 'index', false],
    ['what is kept in a bucket with object lock', 'packs', true],
  ] as const) {
    storageConformance(
      what,
      async (t) => {
        const location = store.at(lockable, { prefix: `of/${randomId()}` });
        const immutable = { days: 30, mode: 'compliance' } as const;
        const again = async (): Promise<Storage> => below(await open(t, location, { immutable }), `sets/${'c'.repeat(24)}/${folder}/`);
        return { storage: await again(), again };
      },
      { isKept, many: 120 },
    );
  }
}

for (const mode of ['compliance', 'governance'] as const) {
  lockConformance(
    `a bucket with object lock (${mode})`,
    async (t) => {
      const location = store.at(lockable, { prefix: `of/${randomId()}` });
      const immutable = { days: 30, mode };
      return {
        storage: (await open(t, location, { create: true, immutable })) as LockedPlace['storage'],
        again: async () => await open(t, location, { immutable }),
        attack: async (name) => await strike(location, name),
        as: async (work) => await work(),
      };
    },
    { skip: skip ?? false, isTurned: false },
  );
}

test('a bucket with object lock: what is retained can be deleted once its time is over', { skip }, async (t) => {
  const location = store.at(lockable, { prefix: `of/${randomId()}` });
  const immutable = { days: 1, mode: 'compliance' } as const;
  // Its own clock is so far behind that a day of it ends in seconds.
  const behindMs = 1.1 * 86_400_000 + 15 * 60_000 - 4_000;
  const late = { ...systemClock, now: () => Date.now() - behindMs };
  const writer = await open(t, location, { immutable, clock: late });
  const name = `sets/${'c'.repeat(24)}/points/one`;
  await writer.put(name, Buffer.from('point'), 'new');
  await store.client.send(new PutObjectCommand({ Bucket: lockable, Key: `${location.prefix}/${name}`, Body: 'forged' }));
  await assert.rejects(writer.delete(name), { code: 'repository.object-retained' });
  const storage = await open(t, location, { immutable });
  await until('the end of the retention', 30_000, async () => await storage.delete(name).then(() => true, () => undefined));
  assert.equal(await storage.stat(name), undefined);
  const { Versions = [], DeleteMarkers = [] } = await store.client.send(new ListObjectVersionsCommand({ Bucket: lockable, Prefix: `${location.prefix}/` }));
  assert.deepEqual([Versions.length, DeleteMarkers.length], [0, 0]);
});

test('a bucket with object lock: the descriptor says that it is immutable, whatever is put over it, and the trial shows the lock', { skip }, async (t) => {
  const location = store.at(lockable, { prefix: `of/${randomId()}` });
  const made = await open(t, location, { create: true, immutable: { days: 30, mode: 'governance' } });
  await createRepository(made, 'a passphrase');
  for (const name of ['tidemark.json', 'tidemark-copy.json']) await store.client.send(new PutObjectCommand({ Bucket: lockable, Key: `${location.prefix}/${name}`, Body: '{}' }));
  const storage = await open(t, location);
  assert.deepEqual([storage.retention?.days, storage.retention?.mode], [30, 'governance']);
  await openRepository(storage, 'a passphrase');
  const { ok, findings } = await tryStorage(storage, { bytes: 1 << 20 });
  assert.ok(ok, JSON.stringify(findings));
  assert.match(findings.find(({ what }) => what === 'what is retained stays')?.says ?? '', /^kept \(governance\)/);
});

test('a bucket that was made without object lock is refused for an immutable repository', { skip }, async (t) => {
  const wanted = { create: true, immutable: { days: 30, mode: 'compliance' } } as const;
  await assert.rejects(open(t, store.at(bucket, { prefix: `of/${randomId()}` }), wanted), { code: 'repository.lock-not-kept' });
});
