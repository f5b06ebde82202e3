import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { readRecovery } from './recovery-log.ts';

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
