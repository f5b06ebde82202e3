/** OpenStack Swift's s3api: a real store that breaks promises, and what is said of it. */
import assert from 'node:assert/strict';
import { after, before, test, type TestContext } from 'node:test';
import { DeleteObjectCommand, GetObjectCommand, ListObjectsV2Command, PutBucketVersioningCommand, PutObjectCommand } from '@aws-sdk/client-s3';
import { systemClock } from '../../src/base/clock.ts';
import { openRequests, usualTimes } from '../../src/repository/storage/s3-requests.ts';
import { tryLock } from '../../src/repository/storage/s3-lock.ts';
import type { S3Location } from '../../src/repository/storage/location.ts';
import { openBucket } from '../../src/repository/storage/s3.ts';
import { openSwiftStore, whyNoSwift, type SwiftStore } from '../kit/swift-store.ts';

const skip = whyNoSwift();
let store: SwiftStore;
before(async () => {
  if (skip === false) store = await openSwiftStore();
});
after(async () => await store?.[Symbol.asyncDispose]());

const lockOf = async (t: TestContext, location: S3Location): Promise<unknown> => {
  const requests = openRequests(location, store.secret, 'here', usualTimes);
  t.after(() => requests.close());
  const [finding] = await tryLock({ requests, Bucket: location.bucket, prefix: '', clock: systemClock }, 'compliance');
  return finding;
};

test('Swift takes a retention and deletes the object all the same: its lock is refused, with versions and without', { skip }, async (t) => {
  const location = await store.bucket('locked');
  const Key = 'retained';
  await store.client.send(new PutObjectCommand({ Bucket: location.bucket, Key, Body: 'x', ObjectLockMode: 'COMPLIANCE', ObjectLockRetainUntilDate: new Date(Date.now() + 86_400_000) }));
  await store.client.send(new DeleteObjectCommand({ Bucket: location.bucket, Key }));
  await assert.rejects(store.client.send(new GetObjectCommand({ Bucket: location.bucket, Key })), { name: 'NoSuchKey' });
  const bad = { what: 'what is retained stays', level: 'bad', says: 'the store takes a retention and does not keep it' };
  assert.deepEqual(await lockOf(t, location), bad);
  const versioned = await store.bucket('versioned');
  await store.client.send(new PutBucketVersioningCommand({ Bucket: versioned.bucket, VersioningConfiguration: { Status: 'Enabled' } }));
  assert.deepEqual(await lockOf(t, versioned), bad);
});

test('Swift holds no repository, immutable or plain, because it does not put an object only where there is none; it is told before anything is left there', { skip }, async () => {
  const location = await store.bucket('plain');
  for (const immutable of [undefined, { days: 30, mode: 'compliance' as const }]) {
    await assert.rejects(openBucket(location, store.secret, { create: true, ...(immutable && { immutable }) }), { code: /^repository\.(bucket-unfit|lock-not-kept)$/ });
  }
  const { KeyCount } = await store.client.send(new ListObjectsV2Command({ Bucket: location.bucket }));
  assert.equal(KeyCount, 0);
});
