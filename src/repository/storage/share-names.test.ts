import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { fileNameOf, filePathOf, segmentOf } from './share-names.ts';

test('names of devices and dots at the end are written so that Windows keeps them, and nothing else is changed', () => {
  assert.deepEqual(['aux', 'con.json', 'com1', 'x.', 'console', '.tmp', 'a.aux', 'nul.'].map(fileNameOf), ['%61ux', '%63on.json', '%63om1', 'x%2e', 'console', '.tmp', 'a.aux', '%6eul%2e']);
  assert.equal(filePathOf('sets/aux/packs/a.'), 'sets/%61ux/packs/a%2e');
});

test('every name comes back as it was', () => {
  fc.assert(fc.property(fc.stringMatching(/^[a-z0-9._-]{1,20}$/), (segment) => segmentOf(fileNameOf(segment)) === segment && /[^.]$/.test(fileNameOf(segment))));
});
