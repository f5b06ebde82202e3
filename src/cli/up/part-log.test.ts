import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openPartLog } from './part-log.ts';

const place = mkdtempSync(join(tmpdir(), 'tidemark-log-'));
after(() => rmSync(place, { recursive: true }));

test('a log goes on where it was, knows its last lines, and is its owner\'s alone', () => {
  const path = join(place, 'a.log');
  for (const text of ['one\n', 'two\n']) {
    const log = openPartLog(path);
    log.write(text);
    assert.deepEqual(log.tail(), [text.trimEnd()]);
    log.close();
  }
  assert.equal(readFileSync(path, 'utf8'), 'one\ntwo\n');
  assert.equal(statSync(path).mode & 0o777, 0o600);
});

test('a log that gets too long is moved aside once, so that it never fills the disk', () => {
  const path = join(place, 'b.log');
  const log = openPartLog(path);
  for (let megabytes = 0; megabytes < 45; megabytes++) log.write(`${'x'.repeat(1e6 - 1)}\n`);
  log.close();
  assert.ok(statSync(path).size < 20e6);
  assert.ok(statSync(`${path}.1`).size <= 21e6);
});
