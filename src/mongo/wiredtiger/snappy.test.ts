import assert from 'node:assert/strict';
import { test } from 'node:test';
import { unpackSnappy } from './snappy.ts';

const unpack = (hex: string): string => unpackSnappy(Buffer.from(hex.replaceAll(' ', ''), 'hex'), 1 << 20).toString('latin1');

test('literals, copies of each kind, and copies that overlap themselves', () => {
  assert.equal(unpack('03 08 616263'), 'abc');
  assert.equal(unpack('07 08 616263 01 03'), 'abcabca');
  assert.equal(unpack('06 08 616263 0a 0300'), 'abcabc');
  assert.equal(unpack('06 08 616263 0b 03000000'), 'abcabc');
  assert.equal(unpack('09 00 78 1e 0100'), 'xxxxxxxxx');
  const long = 'y'.repeat(300);
  assert.equal(unpack(`ac02 f4 2b01 ${Buffer.from(long).toString('hex')}`), long);
});

test('what is cut off, copies from before its start, or is longer than allowed is refused', () => {
  for (const hex of ['03 08 6162', '06 08 616263 0a 0400', '06 08 616263', '02 08 616263', 'ffffffffffff', '']) assert.throws(() => unpack(hex), RangeError, hex);
  assert.throws(() => unpackSnappy(Buffer.from('8080808008', 'hex'), 1 << 20), RangeError);
});
