import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Extent } from '../../base/native.ts';
import { changedRanges } from './extents.ts';

const K = 1024;
const SHARED = 0x2000;

function extent(logical: number, physical: number, length: number, flags = SHARED): Extent {
  return { logical: logical * K, physical: physical * K, length: length * K, flags };
}

test('the same places are the same bytes', () => {
  const map = [extent(0, 1000, 64), extent(64, 5000, 64)];
  assert.deepEqual(changedRanges(map, map, 128 * K, 128 * K), []);
});

test('one extent that was split by a write in its middle differs only there', () => {
  const newer = [extent(0, 1000, 16), extent(16, 9000, 4), extent(20, 1020, 44)];
  assert.deepEqual(changedRanges([extent(0, 1000, 64)], newer, 64 * K, 64 * K), [{ from: 16 * K, bytes: 4 * K }]);
});

test('extents that the file system cannot place count as changed, in the older file and in the newer', () => {
  for (const flag of [0x2, 0x4, 0x8, 0x80, 0x100, 0x200, 0x400, 0x800]) {
    const [odd, plain] = [[extent(0, 1000, 8, SHARED | flag)], [extent(0, 1000, 8)]];
    for (const [older, newer] of [[odd, plain], [plain, odd], [odd, odd]] as const) {
      assert.deepEqual(changedRanges(older, newer, 8 * K, 8 * K), [{ from: 0, bytes: 8 * K }], `flag ${flag.toString(16)}`);
    }
  }
});

test('two holes are the same, a hole and a block are not', () => {
  const older = [extent(8, 1000, 8)];
  const newer = [extent(0, 2000, 4), extent(8, 1000, 8)];
  assert.deepEqual(changedRanges(older, newer, 32 * K, 32 * K), [{ from: 0, bytes: 4 * K }]);
});

test('a file that grew or shrank differs from its last common block on', () => {
  const map = [extent(0, 1000, 64)];
  assert.deepEqual(changedRanges(map, map, 32 * K, 64 * K), [{ from: 28 * K, bytes: 36 * K }]);
  assert.deepEqual(changedRanges(map, map, 64 * K, 32 * K), [{ from: 28 * K, bytes: 4 * K }]);
  assert.deepEqual(changedRanges([], map, 0, 64 * K), [{ from: 0, bytes: 64 * K }]);
  assert.deepEqual(changedRanges(map, map, 30 * K + 7, 64 * K), [{ from: 28 * K, bytes: 36 * K }]);
});

/** A file as a list of blocks: -1 a hole, else where it lies. Adjacent ones make one extent when `merge` says so. */
const file = fc.array(fc.oneof({ weight: 1, arbitrary: fc.constant(-1) }, { weight: 5, arbitrary: fc.integer({ min: 0, max: 12 }) }), { maxLength: 40 });

function extentsOf(blocks: readonly number[], cuts: readonly boolean[]): Extent[] {
  const found: { logical: number; physical: number; length: number; flags: number }[] = [];
  for (const [at, physical] of blocks.entries()) {
    if (physical === -1) continue;
    const last = found.at(-1);
    const joins = last !== undefined && last.logical + last.length === at * 4096 && last.physical + last.length === physical * 4096;
    if (joins && cuts[at % Math.max(1, cuts.length)] !== true) last.length += 4096;
    else found.push({ logical: at * 4096, physical: physical * 4096, length: 4096, flags: SHARED });
  }
  return found;
}

test('every block that lies elsewhere is in a range, and ranges are in order, apart and inside the file', () => {
  fc.assert(
    fc.property(file, file, fc.array(fc.boolean(), { minLength: 1, maxLength: 7 }), fc.array(fc.boolean(), { minLength: 1, maxLength: 7 }), (a, b, cutA, cutB) => {
      const ranges = changedRanges(extentsOf(a, cutA), extentsOf(b, cutB), a.length * 4096, b.length * 4096);
      const changed = (block: number): boolean => ranges.some(({ from, bytes }) => from <= block * 4096 && from + bytes >= (block + 1) * 4096);
      for (const [block, physical] of b.entries()) if (block >= a.length || a[block] !== physical) assert.ok(changed(block), `block ${block}`);
      for (const [k, { from, bytes }] of ranges.entries()) {
        assert.ok(bytes > 0 && from + bytes <= b.length * 4096);
        assert.ok(k === 0 || ranges[k - 1]!.from + ranges[k - 1]!.bytes < from);
      }
      if (a.length === b.length) for (const [block, physical] of b.entries()) if (a[block] === physical) assert.ok(!changed(block), `block ${block} is the same`);
    }),
  );
});
