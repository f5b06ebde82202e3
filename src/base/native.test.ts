import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { isFailure } from './failure.ts';
import { systemCallFailed } from './failures.ts';
import { fileExtents, mountFileSystem, openCompressor, openDecompressor, tryLockFile, unmount, unmountAside } from './native.ts';

test('what the kept compressor makes, node:zlib opens, and the other way round', () => {
  const plain = Buffer.concat([Buffer.alloc(30_000, 'tide'), randomBytes(5_000)]);
  const packed = Buffer.alloc(70_000);
  const size = openCompressor(3)(plain, packed);
  assert.ok(size > 0 && size < plain.length);
  assert.deepEqual(zstdDecompressSync(packed.subarray(0, size)), plain);
  const back = Buffer.alloc(plain.length);
  assert.equal(openDecompressor()(zstdCompressSync(plain), back), plain.length);
  assert.deepEqual(back, plain);
});

test('output that does not fit and input that is not whole answer -1', () => {
  const noise = randomBytes(1_000);
  assert.equal(openCompressor(1)(noise, Buffer.alloc(10)), -1);
  const packed = zstdCompressSync(noise);
  assert.equal(openDecompressor()(packed.subarray(0, 500), Buffer.alloc(1_000)), -1);
  assert.equal(openDecompressor()(packed, Buffer.alloc(999)), -1);
});

test('the extents of a written file cover all its bytes, and a second lock on it is refused', () => {
  const directory = mkdtempSync(join(tmpdir(), 'tidemark-native-'));
  const path = join(directory, 'file');
  writeFileSync(path, randomBytes(300_000));
  const fd = openSync(path, 'r');
  const other = openSync(path, 'r');
  try {
    const covered = fileExtents(fd).reduce((sum, extent) => sum + extent.length, 0);
    assert.ok(covered >= 300_000);
    assert.equal(tryLockFile(fd), true);
    assert.equal(tryLockFile(other), false);
  } finally {
    closeSync(fd);
    closeSync(other);
    rmSync(directory, { recursive: true });
  }
});

test('a mount that cannot be made fails with the errno, and so does the end of a mount that is not there', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tidemark-native-'));
  const refused = (errnos: number[]) => (error: unknown) => isFailure(error, systemCallFailed) && errnos.includes(error.details['errno'] as number);
  try {
    assert.throws(() => mountFileSystem('none', directory, 'no-such-type', ''), refused([1, 19]));
    assert.throws(() => unmount(directory, { lazy: false }), refused([1, 22]));
    assert.equal(await unmountAside(directory, { lazy: true }), false);
  } finally {
    rmSync(directory, { recursive: true });
  }
});
