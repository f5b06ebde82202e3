import assert from 'node:assert/strict';
import { DeleteObjectCommand, HeadObjectCommand, ListObjectVersionsCommand } from '@aws-sdk/client-s3';
import { test } from 'node:test';
import { memoryStorage } from '../../../test/kit/memory-storage.ts';
import { systemClock } from '../../base/clock.ts';
import { lockedBucket, type PutObject } from './s3-lock.ts';
import { bucketDenied } from '../failures.ts';
import type { Requests } from './s3-requests.ts';

const name = `sets/${'c'.repeat(24)}/points/one`;

/** A bucket with versions of one object, none of them retained any more; whoever changes it is killed after `diesAfter` changes. */
function openScene() {
  const versions = [{ id: 'v1', bytes: Buffer.from('damaged') }];
  const scene = { versions, changes: 0, diesAfter: Number.POSITIVE_INFINITY };
  const change = (): void => {
    if (++scene.changes > scene.diesAfter) throw new Error('killed');
  };
  const send = async (command: unknown): Promise<unknown> => {
    if (command instanceof ListObjectVersionsCommand) return await Promise.resolve({ Versions: versions.toReversed().map(({ id, bytes }) => ({ Key: name, VersionId: id, Size: bytes.length })) });
    if (command instanceof HeadObjectCommand) return { ObjectLockMode: 'COMPLIANCE', ObjectLockRetainUntilDate: new Date(command.input.VersionId === 'v1' ? 0 : Date.now() + 40 * 86_400_000), Metadata: {} };
    if (command instanceof DeleteObjectCommand) {
      change();
      if (command.input.VersionId !== 'v1') throw bucketDenied({ place: 'a bucket', what: 'deleting', why: 'AccessDenied' } as never);
      versions.splice(versions.findIndex(({ id }) => id === command.input.VersionId), 1);
      return {};
    }
    throw new Error(`not expected: ${String(command)}`);
  };
  const requests = { place: 'a bucket', ask: async (_: string, work: (client: unknown, how: object) => Promise<unknown>) => await work({ send }, {}) } as unknown as Requests;
  const put: PutObject = async (_, bytes) => {
    change();
    versions.push({ id: `v${versions.length + 1}`, bytes: Buffer.from(bytes) });
    return await Promise.resolve({ outcome: 'stored', word: 'w', version: versions.at(-1)!.id });
  };
  const open = () => lockedBucket(memoryStorage(), put, { days: 30, mode: 'compliance' }, { requests, Bucket: 'b', prefix: '', clock: systemClock }, async (_name, _range, version) => await Promise.resolve(versions.find(({ id }) => id === version)!.bytes));
  return { scene, open };
}

test('what is kept and may be replaced is there at every moment, damaged or new, wherever the one who replaces it is killed', async () => {
  for (const diesAfter of [0, 1, 2]) {
    const { scene, open } = openScene();
    scene.diesAfter = diesAfter;
    const replaced = await open().put(name, Buffer.from('healed'), 'replace').catch((error: Error) => error.message);
    const read = String(await open().read(name));
    assert.deepEqual([replaced, read], diesAfter < 2 ? ['killed', 'damaged'] : ['stored', 'healed'], `killed after ${diesAfter} changes`);
    if (diesAfter === 2) continue;
    scene.diesAfter = Number.POSITIVE_INFINITY;
    assert.equal(await open().put(name, Buffer.from('healed'), 'replace'), 'stored');
    assert.equal(String(await open().read(name)), 'healed');
  }
});
