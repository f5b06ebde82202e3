import assert from 'node:assert/strict';
import { test } from 'node:test';
import { serviceStatus } from './windows-service.ts';

test('a running service accepts the end of itself and of the machine; one that starts asks for patience; one that failed says with what', () => {
  const words = (bytes: Buffer): number[] => Array.from({ length: 7 }, (_, at) => bytes.readUInt32LE(at * 4));
  assert.deepEqual(words(serviceStatus(4, 0)), [0x10, 4, 5, 0, 0, 0, 0]);
  assert.deepEqual(words(serviceStatus(2, 0)), [0x10, 2, 0, 0, 0, 1, 120_000]);
  assert.deepEqual(words(serviceStatus(1, 3)), [0x10, 1, 0, 1066, 3, 0, 0]);
});
