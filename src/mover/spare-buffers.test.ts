import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../base/deadline.ts';
import { openSpareBuffers } from './spare-buffers.ts';

test('a buffer is used again while there is work, and given back when there is none', async () => {
  const spares = openSpareBuffers(1024, 20);
  const one = spares.take(100);
  spares.give(one);
  assert.equal(spares.take(1024), one);
  spares.give(one);
  assert.equal(spares.kept, 1);
  await until('the buffer to be given back', 10_000, () => (spares.kept === 0 ? true : undefined), { everyMs: 5 });
  assert.notEqual(spares.take(100), one);
});

test('a buffer of another size is not kept, and one that is larger is made for the asking', () => {
  const spares = openSpareBuffers(1024);
  const large = spares.take(5000);
  assert.equal(large.length, 5000);
  spares.give(large);
  assert.equal(spares.kept, 0);
});
