import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { SourceFile } from './files.ts';
import { isSame, recall, remember, stampOf } from './remembered.ts';

const at = { member: 'db1:27017', dbPath: '/data', boot: 'one' };

function file(more: Partial<SourceFile> = {}): SourceFile {
  return { path: 'a.wt', from: '/data/a.wt', bytes: 4096, mode: 0o600, inode: '7', device: '1', mtimeNs: 1_000_000_000_000n, ctimeNs: 1_000_000_000_000n, seenMs: 2_000_000, ...more };
}

test('a file with the same inode, size and times is the same', () => {
  const stamp = stampOf(file());
  assert.ok(isSame(file(), stamp));
  for (const other of [{ inode: '8' }, { bytes: 8192 }, { mtimeNs: 1_000_000_000_001n }, { ctimeNs: 1_000_000_000_001n }]) assert.ok(!isSame(file(other), stamp));
  assert.ok(!isSame(file(), undefined));
});

test('a file written within the second before it was seen is never the same: its next write may not show', () => {
  const fresh = file({ mtimeNs: 1_999_500_000_000n, ctimeNs: 1_999_500_000_000n });
  assert.ok(!isSame(fresh, stampOf(fresh)));
});

test('what one copy remembers, the next one of the same member, directory and boot recalls', () => {
  const known = new Map([['a.wt', stampOf(file())]]);
  const kept: unknown = JSON.parse(JSON.stringify(remember(at, 'clone-1', known)));
  assert.deepEqual(recall(kept, at), { clone: 'clone-1', known });
  for (const other of [{ member: 'db2:27017' }, { dbPath: '/other' }, { boot: 'two' }]) assert.equal(recall(kept, { ...at, ...other }), undefined);
  for (const odd of [undefined, null, {}, { form: 2 }, 'text']) assert.equal(recall(odd, at), undefined);
});
