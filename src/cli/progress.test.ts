import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { systemClock } from '../base/clock.ts';
import { barLine, openProgress } from './progress.ts';
import type { Terminal } from './surroundings.ts';

const bytes = { processed: 1_200_000_000, read: 0, transferred: 0, stored: 0, expected: 3_500_000_000, bytesPerSecond: 310_000_000, secondsLeft: 7.4, bottleneck: null } as const;

function openTerminal(isWatched: boolean): Terminal & { text: () => string } {
  let said = '';
  return { stdout: () => assert.fail('progress goes to stderr'), stderr: (text) => void (said += text), isWatched, columns: () => 80, text: () => said };
}

test('the bar says how far, how much, how fast and how long', () => {
  assert.equal(barLine('rs0  read files', bytes, 100), 'rs0  read files  [##########--------------------]  34 %  1.2 GB of 3.5 GB  310 MB/s  7.4 s left');
});

test('the line never passes the width it is given, and says something at every width', () => {
  fc.assert(
    fc.property(fc.string({ maxLength: 60 }), fc.integer({ min: 1, max: 200 }), fc.nat(), fc.option(fc.nat()), (head, columns, processed, expected) => {
      const line = barLine(head, { ...bytes, processed, expected }, columns);
      assert.ok(line.length <= columns, `${line.length} > ${columns}`);
      assert.ok(!line.includes('NaN') && !line.includes('undefined') && !line.includes('Infinity'));
    }),
  );
});

test('without a watched terminal there is one line for each step and warning, and no control characters', () => {
  const terminal = openTerminal(false);
  const progress = openProgress('backup rs0', terminal, systemClock);
  progress.show({ kind: 'step', step: 'copy' }, 0);
  progress.show({ kind: 'progress', progress: bytes }, 1);
  progress.show({ kind: 'line', level: 'warning', text: 'the clone is old' }, 2);
  progress.show({ kind: 'state', state: 'success' }, 3);
  progress.end();
  assert.equal(terminal.text(), 'backup rs0: copy\nbackup rs0: warning: the clone is old\n');
});

test('on a watched terminal finished steps stay, with their time or their lines, and the bar is gone at the end', () => {
  const terminal = openTerminal(true);
  const progress = openProgress('backup rs0', terminal, systemClock);
  progress.show({ kind: 'step', step: 'copy' }, 1000);
  progress.show({ kind: 'progress', progress: bytes }, 1500);
  progress.show({ kind: 'step', step: 'prove' }, 3500);
  progress.show({ kind: 'line', level: 'warning', text: 'slow' }, 3600);
  progress.show({ kind: 'step', step: 'tidy up' }, 4000);
  progress.show({ kind: 'state', state: 'success' }, 5000);
  progress.end();
  const lines = terminal.text().split('\n').map((line) => line.split('\x1b[K').at(-1));
  assert.deepEqual(lines, ['  copy  2.5 s', '  prove', '    warning: slow', '  tidy up  1.0 s', '']);
});
