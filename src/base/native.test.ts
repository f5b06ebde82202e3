import assert from 'node:assert/strict';
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { isFailure } from './failure.ts';
import { systemCallFailed } from './failures.ts';
import { fileExtents, mountFileSystem, openCompressor, openDecompressor, openGcm, tryLockFile, unmount, unmountAside } from './native.ts';

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

test('what the kept cipher seals, node:crypto opens, and the other way round; a changed bit anywhere does not open', () => {
  const cipher = openGcm();
  const [key, nonce] = [randomBytes(32), randomBytes(12)];
  for (const size of [0, 1, 15, 65_536]) {
    const plain = randomBytes(size);
    const sealed = Buffer.alloc(size + 16);
    cipher.seal(key, nonce, plain, sealed);
    const reader = createDecipheriv('aes-256-gcm', key, nonce).setAuthTag(sealed.subarray(size));
    assert.deepEqual(Buffer.concat([reader.update(sealed.subarray(0, size)), reader.final()]), plain);
    const writer = createCipheriv('aes-256-gcm', key, nonce);
    const theirs = Buffer.concat([writer.update(plain), writer.final(), writer.getAuthTag()]);
    const to = Buffer.alloc(size);
    assert.ok(cipher.open(key, nonce, theirs, to));
    assert.deepEqual(to, plain);
    for (const at of new Set([0, size >> 1, size + 15])) {
      const changed = Buffer.from(theirs);
      changed[at]! ^= 1;
      assert.equal(cipher.open(key, nonce, changed, to), false);
    }
    assert.equal(cipher.open(randomBytes(32), nonce, theirs, to), false);
  }
  assert.equal(cipher.open(key, nonce, Buffer.alloc(15), Buffer.alloc(1)), false);
  assert.throws(() => cipher.open(key.subarray(1), nonce, Buffer.alloc(16), Buffer.alloc(0)), RangeError);
});
