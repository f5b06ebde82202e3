import assert from 'node:assert/strict';
import { test } from 'node:test';
import { showFields, showTable } from './table.ts';

test('columns line up, numbers to the right, and nothing trails', () => {
  const rows = [{ name: 'a', size: 7 }, { name: 'lönger', size: 1234 }, { name: '', size: 0 }];
  const text = showTable<(typeof rows)[number]>([{ title: 'SIZE', cell: (row) => String(row.size), right: true }, { title: 'NAME', cell: (row) => row.name }], rows);
  assert.equal(text, 'SIZE  NAME\n   7  a\n1234  lönger\n   0');
});

test('the lines of a long value stay under its first one', () => {
  assert.equal(showFields([['a', 'one\ntwo'], ['longer', '3']]), 'a       one\n        two\nlonger  3');
});
