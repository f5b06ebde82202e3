import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { chunkBytes, chunkIdOf, decodeHeader, encodeHeader, frameBytes, frameCount, hashFrame, holeId, isHole, otherPacks, type ChunkHeader, type Frame } from './chunk.ts';

const pack = fc.uint8Array({ minLength: 16, maxLength: 16 }).map((bytes) => Buffer.from(bytes).toString('hex'));
const frame: fc.Arbitrary<Frame> = fc
  .record({ how: fc.constantFrom('hole' as const, 'plain' as const, 'zstd' as const), pack: fc.option(pack, { nil: undefined }), offset: fc.nat(2 ** 32 - 1), bytes: fc.nat(2 ** 17), hash: fc.uint8Array({ minLength: 32, maxLength: 32 }) })
  .map(({ how, hash, ...where }) => (how === 'hole' ? { how, pack: undefined, offset: 0, bytes: 0, hash: Buffer.alloc(32) } : { how, hash: Buffer.from(hash), ...where }));
const header: fc.Arbitrary<ChunkHeader> = fc.integer({ min: 1, max: chunkBytes }).chain((bytes) => fc.array(frame, { minLength: frameCount(bytes), maxLength: frameCount(bytes) }).map((frames) => ({ bytes, frames })));

test('a header comes back as it was written, and its length alone tells how many packs it refers to', () => {
  fc.assert(
    fc.property(header, (one) => {
      const bytes = encodeHeader(one);
      assert.deepEqual(decodeHeader(bytes), one);
      assert.equal(otherPacks(bytes.length), new Set(one.frames.flatMap(({ pack: other }) => other ?? [])).size);
      assert.equal(decodeHeader(bytes.subarray(0, -1)), undefined);
    }),
  );
});

test('the id of a chunk depends on its size, on every frame and on the key, and zeros of any length are a hole', () => {
  const key = randomBytes(32);
  const hashes = Buffer.concat([hashFrame(randomBytes(frameBytes)), hashFrame(randomBytes(100))]);
  const id = chunkIdOf(key, frameBytes + 100, hashes);
  assert.match(id, /^[0-9a-f]{64}$/);
  assert.notEqual(chunkIdOf(key, frameBytes + 101, hashes), id);
  assert.notEqual(chunkIdOf(randomBytes(32), frameBytes + 100, hashes), id);
  const other = Buffer.from(hashes);
  other[40]! ^= 1;
  assert.notEqual(chunkIdOf(key, frameBytes + 100, other), id);
  for (const length of [1, 1000, frameBytes]) assert.ok(isHole(hashFrame(Buffer.alloc(length))));
  assert.ok(!isHole(hashFrame(Buffer.alloc(frameBytes, 1))));
  assert.equal(chunkIdOf(key, 2 * frameBytes, Buffer.concat([hashFrame(Buffer.alloc(frameBytes)), hashFrame(Buffer.alloc(frameBytes))])), holeId);
});

