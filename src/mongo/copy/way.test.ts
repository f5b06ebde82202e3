import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Clock } from '../../base/clock.ts';
import type { SourceFile } from './files.ts';
import { openLedger, type FileToRead } from './way.ts';

const signal = new AbortController().signal;
let nowMs = 5_000_000;
const clock: Clock = { now: () => nowMs, monotonicMs: () => nowMs, wait: async () => {} };

function file(path: string, bytes = 4096, mtimeNs = 1n): SourceFile {
  return { path, from: `/data/${path}`, bytes, mode: 0o600, inode: path, device: '1', mtimeNs, ctimeNs: mtimeNs, seenMs: nowMs };
}

test('a later pass marks what is as it was, and reads what changed', async () => {
  const passes: FileToRead[][] = [];
  const ledger = openLedger(new Map(), async (files) => void passes.push(files), clock);
  await ledger.storeLive([file('a'), file('b')], 'pre', signal);
  await ledger.storeLive([file('a'), file('b', 8192)], 'final', signal);
  assert.deepEqual(passes[0]!.map(({ path, unchanged }) => [path, unchanged]), [['a', undefined], ['b', undefined]]);
  assert.deepEqual(passes[1]!.map(({ path, unchanged }) => [path, unchanged]), [['a', true], ['b', undefined]]);
});

test('a file that vanished is not part of the copy and is not known', async () => {
  const ledger = openLedger(new Map(), async () => ['b'], clock);
  const files = await ledger.storeLive([file('a'), file('b')], 'final', signal);
  assert.deepEqual(files.map(({ path }) => path), ['a']);
  assert.deepEqual([...ledger.known.keys()], ['a']);
});

test('the rate is measured once enough was stored', async () => {
  const ledger = openLedger(new Map(), async () => void (nowMs += 2_000), clock);
  const assumed = ledger.rate();
  await ledger.storeLive([file('small')], 'pre', signal);
  assert.equal(ledger.rate(), assumed);
  await ledger.storeLive([file('big', 400 << 20)], 'pre', signal);
  assert.equal(Math.round(ledger.rate() / 2 ** 20), 100);
});

test('a pass that failed leaves nothing known', async () => {
  const ledger = openLedger(new Map(), async () => Promise.reject(new Error('storage full')), clock);
  await assert.rejects(ledger.storeLive([file('a')], 'final', signal), /storage full/);
  assert.equal(ledger.known.size, 0);
});
