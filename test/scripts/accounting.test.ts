import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cpuAt, median, timed } from '../../scripts/bench/accounting.ts';
import { percentile } from '../../scripts/bench/workload.ts';
import { stepSeconds } from '../../scripts/bench/product.ts';

test('the CPU of a program and of what it started is counted, and its wall with it', async () => {
  const busy = 'while (process.cpuUsage().user < 400_000);';
  const cost = await timed(process.execPath, ['-e', `require('node:child_process').execFileSync(process.execPath, ['-e', ${JSON.stringify(busy)}]);`]);
  assert.ok(cost.cpuSeconds >= 0.35, `${cost.cpuSeconds} s of CPU`);
  assert.ok(cost.seconds >= 0.3, `${cost.seconds} s`);
  assert.ok(cost.peakRssMiB > 10, `${cost.peakRssMiB} MiB`);
});

test('a program that fails is an error with its last words', async () => {
  await assert.rejects(timed(process.execPath, ['-e', 'console.error("no such bucket"); process.exit(3)']), /ended with 3: no such bucket/);
});

test('CPU between samples is in proportion, before and after them it stands still', () => {
  const samples = [
    { atMs: 1000, cpuSeconds: 1 },
    { atMs: 2000, cpuSeconds: 3 },
  ];
  assert.equal(cpuAt(samples, 500), 1);
  assert.equal(cpuAt(samples, 1250), 1.5);
  assert.equal(cpuAt(samples, 9000), 3);
});

test('medians and percentiles are of the values given', () => {
  assert.equal(median([3, 1, 2]), 2);
  assert.equal(median([4, 1, 2, 3]), 2.5);
  const values = Array.from({ length: 1000 }, (_, k) => k);
  assert.equal(percentile(values, 0.99), 990);
  assert.equal(percentile([], 0.5), null);
});

test('steps of one name are added up, an open one ends with the next', () => {
  const steps = [
    { name: 'store', startedAtMs: 0, endedAtMs: 1500 },
    { name: 'publish', startedAtMs: 1500, endedAtMs: null },
    { name: 'store', startedAtMs: 2000, endedAtMs: 2500 },
  ];
  assert.deepEqual(stepSeconds({ steps, endedAtMs: 2500 }), { store: 2, publish: 0.5 });
});
