import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { openMovedFrames, type MovedFrame } from './moved-frames.ts';

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

function usedBytes(): number {
  collect();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}

test('each frame that was moved is found where it is, and a million of them take less than a hundred bytes each', () => {
  const [packs, frames] = [250, 4000];
  const place = (pack: number, at: number): MovedFrame => ({ how: at % 3 === 0 ? 'plain' : 'zstd', pack: `new ${pack >> 1}`, offset: (pack % 2) * 60_000_000 + at * 15_000, bytes: 20 + ((at * 7919) % 65_600) });
  const before = usedBytes();
  const moved = openMovedFrames();
  for (let pack = 0; pack < packs; pack++) for (let at = 0; at < frames; at++) moved.set(`old ${pack}`, at * 16_000, place(pack, at));
  const each = (usedBytes() - before) / (packs * frames);
  assert.ok(each < 100, `${Math.round(each)} bytes for each`);
  for (let pack = 0; pack < packs; pack += 7) for (let at = 0; at < frames; at += 11) assert.deepEqual(moved.get(`old ${pack}`, at * 16_000), place(pack, at));
  assert.deepEqual([moved.get('old 1', 1), moved.get('another', 0)], [undefined, undefined]);
});
