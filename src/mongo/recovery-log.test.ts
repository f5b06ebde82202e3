import assert from 'node:assert/strict';
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { until } from '../base/deadline.ts';
import { readRecovery, watchApplied } from './recovery-log.ts';

const work = mkdtempSync(join(tmpdir(), 'tm-recovery-log-'));
after(() => rmSync(work, { recursive: true }));

const line = (id: number, attr: object): string =>
  `${JSON.stringify({ t: {}, s: 'I', c: 'REPL', id, ctx: 'initandlisten', msg: 'x', attr })}\n`;

test('where recovery began and how much it applied is read from the lines after the start', async () => {
  const path = join(work, 'a.log');
  const earlier = line(21556, {});
  writeFileSync(
    path,
    earlier +
      line(23987, { recoveryTimestamp: { $timestamp: { t: 5, i: 6 } } }) +
      'not json\n' +
      line(21536, { numOpsApplied: 42 }),
  );
  assert.deepEqual(await readRecovery(path, earlier.length), {
    recoveryTimestamp: { t: 5, i: 6 },
    movedUp: false,
    applied: 42,
  });
  assert.equal((await readRecovery(path, 0)).movedUp, true);
});

test('nothing to apply is no entries, and silence is unknown', async () => {
  const path = join(work, 'b.log');
  writeFileSync(path, line(21549, {}));
  assert.deepEqual(await readRecovery(path, 0), { recoveryTimestamp: undefined, movedUp: false, applied: 0 });
});

test('how far a recovery has come is told as mongod says it, whole lines alone', async () => {
  const path = join(work, 'c.log');
  const told: number[] = [];
  const earlier = line(24098, { numBatches: 9, numOpsApplied: 900 });
  using _ = watchApplied(path, earlier.length, (entries) => void told.push(entries), 5);
  const next = async (count: number): Promise<unknown> => await until(`${count} told`, 5_000, () => (told.length >= count ? true : undefined), { everyMs: 5 });
  const third = line(24098, { numBatches: 3, numOpsApplied: 100 });
  writeFileSync(path, earlier + line(24098, { numBatches: 1, numOpsApplied: 0 }) + line(24098, { numBatches: 2, numOpsApplied: 50 }) + third.slice(0, -9));
  await next(1);
  assert.deepEqual(told, [50]);
  appendFileSync(path, third.slice(-9) + 'x'.repeat(3 << 20));
  await next(2);
  appendFileSync(path, `\n${line(24098, { numBatches: 4, numOpsApplied: 150 })}`);
  await next(3);
  assert.deepEqual(told, [50, 100, 150]);
});
