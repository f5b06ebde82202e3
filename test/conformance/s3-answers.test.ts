/** What a store that is ill, or does not keep its promises, is answered with. */
import assert from 'node:assert/strict';
import dns from 'node:dns';
import { test, type TestContext } from 'node:test';
import { openBucket, type BucketOptions } from '../../src/repository/storage/s3.ts';
import { whatItEats } from '../../src/repository/storage/s3-rules.ts';
import type { Storage } from '../../src/repository/storage/storage.ts';
import { tryStorage } from '../../src/repository/storage-trial.ts';
import { memoryStorage } from '../kit/memory-storage.ts';
import { openScriptedStore, type Asked, type ScriptedStore, type Wanted } from '../kit/scripted-store.ts';

async function scripted(t: TestContext, script: (asked: Asked) => Wanted, options: BucketOptions = {}): Promise<{ store: ScriptedStore; storage: Storage }> {
  const store = await openScriptedStore(t, script);
  const storage = await openBucket(store.location, 'secret', options);
  t.after(async () => await storage.close?.());
  return { store, storage };
}

/** Each request for `key` by `method` gets the next of these, then all pass. */
function each(method: string, key: string, wanted: Wanted[]): (asked: Asked) => Wanted {
  const left = [...wanted];
  return (asked) => (asked.method === method && asked.key === key ? (left.shift() ?? 'pass') : 'pass');
}

test('a bucket: an object that must be new and whose acknowledgement was lost is told as stored, and as there to the next one', async (t) => {
  const { storage, store } = await scripted(t, each('PUT', 'one', ['carry-out-and-hang-up', 'hang-up']));
  assert.equal(await storage.put('one', Buffer.from('mine'), 'new'), 'stored');
  assert.equal(await storage.put('one', Buffer.from('yours'), 'new'), 'exists');
  assert.equal(store.objects.get('one')?.bytes.toString(), 'mine');
  assert.equal(store.asked.filter(({ method }) => method === 'PUT').length, 4);
});

test('a bucket: the same bytes that another writer stored first are not taken for ours', async (t) => {
  const { storage } = await scripted(t, each('PUT', 'one', ['pass', 'hang-up']));
  assert.equal(await storage.put('one', Buffer.from('same'), 'new'), 'stored');
  assert.equal(await storage.put('one', Buffer.from('same'), 'new'), 'exists');
});

test('a bucket: a store that slows down, fails or hangs up is asked again, and a body that was cut is read again', async (t) => {
  const ill: Wanted[] = [{ status: 503, code: 'SlowDown' }, { status: 500, code: 'InternalError' }, 'hang-up', { status: 409, code: 'ConditionalRequestConflict' }];
  const [putting, getting] = [each('PUT', 'one', ill), each('GET', 'one', ['cut-body', { status: 503, code: 'SlowDown' }, 'cut-body'])];
  const { storage } = await scripted(t, (asked) => (asked.method === 'PUT' ? putting(asked) : getting(asked)));
  assert.equal(await storage.put('one', Buffer.alloc(50_000, 7), 'new'), 'stored');
  assert.ok(Buffer.from(await storage.read('one')).equals(Buffer.alloc(50_000, 7)));
});

test('a bucket: a store that stays away fails within its time, with what it was waited for', async (t) => {
  const { storage } = await scripted(t, (asked) => (asked.key === '' ? 'pass' : 'hang-up'), { times: { patienceMs: 400 } });
  await assert.rejects(storage.put('one', Buffer.from('x'), 'new'), { code: 'repository.bucket-not-reached' });
  await assert.rejects(storage.read('one'), { code: 'repository.bucket-not-reached' });
});

test('a bucket: a store that takes the condition and does not keep it, or does not know it, is refused before a repository is made', async (t) => {
  const ignoring = await openScriptedStore(t, () => 'ignore-condition');
  await assert.rejects(openBucket(ignoring.location, 'secret', { create: true }), { code: 'repository.bucket-unfit', message: /replaces the object all the same/ });
  const unknowing = await openScriptedStore(t, ({ headers }) => (headers['if-none-match'] === undefined ? 'pass' : { status: 501, code: 'NotImplemented' }));
  await assert.rejects(openBucket(unknowing.location, 'secret', { create: true }), { code: 'repository.bucket-unfit' });
  assert.deepEqual([ignoring.objects.size, unknowing.objects.size], [0, 0]);
  const storage = await openBucket(ignoring.location, 'secret');
  t.after(async () => await storage.close?.());
  const { ok, findings } = await tryStorage(storage, { bytes: 1 << 20 });
  assert.equal(ok, false);
  assert.match(findings.find(({ what }) => what.startsWith('of several writers'))!.says, /8 of 8 were told/);
});

test('a bucket: a store that takes a retention and does not keep it is refused for an immutable repository, and one that does not encrypt where that is asked for', async (t) => {
  const store = await openScriptedStore(t);
  await assert.rejects(openBucket(store.location, 'secret', { create: true, immutable: { days: 30, mode: 'compliance' } }), { code: 'repository.lock-not-kept', message: /takes a retention and does not keep it/ });
  await assert.rejects(openBucket({ ...store.location, sse: 'AES256' }, 'secret', { create: true }), { code: 'repository.bucket-unfit', message: /encrypt/ });
  await assert.rejects(openBucket({ ...store.location, sse: { kms: 'key' } }, 'secret', { create: true }), { code: 'repository.bucket-unfit', message: /encrypt \(aws:kms\)/ });
  assert.deepEqual([...store.objects.keys()], []);
  assert.ok(store.asked.some(({ headers }) => headers['x-amz-server-side-encryption'] === 'AES256'));
});

test('a bucket: a place that is taken up, without being made, is tried before it is written', async (t) => {
  const ignoring = await openScriptedStore(t, () => 'ignore-condition');
  await assert.rejects(openBucket(ignoring.location, 'secret', { isNew: true }), { code: 'repository.bucket-unfit', message: /replaces the object all the same/ });
});

test('a bucket: a clock that the store refuses is refused for good, with the difference, and not worked around', async (t) => {
  const dateMs = Date.now() + 3_600_000;
  const store = await openScriptedStore(t, () => ({ status: 403, code: 'RequestTimeTooSkewed', dateMs }));
  await assert.rejects(openBucket(store.location, 'secret'), { code: 'repository.bucket-clock-apart', message: /(3600|3599) s ahead of the one here/ });
  assert.equal(store.asked.length, 1);
  const later = await scripted(t, each('PUT', 'one', [{ status: 403, code: 'RequestTimeTooSkewed', dateMs }]));
  for (const name of ['one', 'two']) await assert.rejects(later.storage.put(name, Buffer.from('x'), 'new'), { code: 'repository.bucket-clock-apart' });
});

test('a bucket: a store that wants the name of the bucket in its own name gets it there', async (t) => {
  const store = await openScriptedStore(t);
  const { lookup } = dns;
  t.mock.method(dns, 'lookup', (host: string, options: object, done: () => void) => lookup(host === 'scripted.store.test' ? '127.0.0.1' : host, options, done));
  const storage = await openBucket({ ...store.location, endpoint: store.location.endpoint.replace('127.0.0.1', 'store.test'), style: 'virtual-host', prefix: 'mongo' }, 'secret');
  t.after(async () => await storage.close?.());
  await storage.put('one', Buffer.from('x'), 'new');
  assert.deepEqual([...store.objects.keys()], ['mongo/one']);
  assert.match(store.asked.at(-1)!.headers.host!, /^scripted\.store\.test:\d+$/);
});

test('a bucket: what a store says of quota, rights and space has a failure of its own', async (t) => {
  const cases: [Wanted, string][] = [
    [{ status: 403, code: 'QuotaExceeded' }, 'repository.storage-full'],
    [{ status: 507, code: 'InsufficientStorage' }, 'repository.storage-full'],
    [{ status: 403, code: 'AccessDenied' }, 'repository.bucket-denied'],
    [{ status: 400, code: 'EntityTooLarge' }, 'repository.bucket-refused'],
  ];
  for (const [wanted, code] of cases) {
    const { storage } = await scripted(t, each('PUT', 'one', [wanted]));
    await assert.rejects(storage.put('one', Buffer.from('x'), 'new'), { code });
  }
});

test('rules that delete or freeze what lies below the prefix are told, and no others', () => {
  const rule = { ID: 'r', Status: 'Enabled' as const };
  assert.match(whatItEats({ ...rule, Expiration: { Days: 3 } }, 'a/').join(), /deletes objects after 3 days/);
  assert.match(whatItEats({ ...rule, Filter: { Prefix: 'a/packs' }, Expiration: { Days: 3 } }, 'a/').join(), /deletes/);
  assert.match(whatItEats({ ...rule, Transitions: [{ StorageClass: 'GLACIER', Days: 9 }] }, 'a/').join(), /GLACIER after 9 days/);
  assert.deepEqual(whatItEats({ ...rule, Status: 'Disabled', Expiration: { Days: 3 } }, 'a/'), []);
  assert.deepEqual(whatItEats({ ...rule, Filter: { Prefix: 'b/' }, Expiration: { Days: 3 } }, 'a/'), []);
  assert.deepEqual(whatItEats({ ...rule, Filter: { Tag: { Key: 'k', Value: 'v' } }, Expiration: { Days: 3 } }, 'a/'), []);
  assert.deepEqual(whatItEats({ ...rule, AbortIncompleteMultipartUpload: { DaysAfterInitiation: 7 } }, 'a/'), []);
});

test('the trial of a place names what a place does not keep, and leaves nothing there', async () => {
  const good = memoryStorage();
  assert.equal((await tryStorage(good, { bytes: 2 << 20 })).ok, true);
  assert.equal(good.objects.size, 0);
  const lagging: Storage = { ...good, list: (prefix) => (prefix.endsWith('small-') ? empty() : good.list(prefix)) };
  const slow = memoryStorage(() => Date.now() - 3_600_000);
  for (const [storage, what] of [[lagging, 'a list has everything that was written'], [slow, 'clock']] as const) {
    const { ok, findings } = await tryStorage(storage, { bytes: 1 << 20 });
    assert.deepEqual([ok, findings.filter(({ level }) => level === 'bad').map((finding) => finding.what)], [false, [what]]);
  }
});

async function* empty(): AsyncIterable<never> {}
