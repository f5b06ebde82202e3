import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { packUint, unpackUint } from './integers.ts';

test('what is packed is unpacked, and sorts as the numbers do', () => {
  const places = fc.oneof(fc.integer({ min: 0, max: 20_000 }), fc.maxSafeNat());
  fc.assert(
    fc.property(places, places, (a, b) => {
      const [packedA, packedB] = [packUint(a), packUint(b)];
      assert.equal(unpackUint({ bytes: packedA, at: 0 }), a);
      assert.equal(Math.sign(packedA.compare(packedB)), Math.sign(a - b));
    }),
  );
});

test('the borders between the lengths, as WiredTiger writes them', () => {
  const packed: [number | bigint, string][] = [[0, '80'], [63, 'bf'], [64, 'c000'], [8255, 'dfff'], [8256, 'e100'], [8257, 'e101'], [8511, 'e1ff'], [8512, 'e20100'], [(1_795_655_275n << 32n) | 1n, 'e86b07866affffdfc1']];
  for (const [value, hex] of packed) assert.equal(packUint(value).toString('hex'), hex, `${value}`);
});

test('what is no unsigned integer, or cut off, is refused', () => {
  for (const hex of ['00', '7f', 'c0', 'e20100'.slice(0, 4), '']) assert.throws(() => unpackUint({ bytes: Buffer.from(hex, 'hex'), at: 0 }), RangeError, hex);
});
