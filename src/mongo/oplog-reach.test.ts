import assert from 'node:assert/strict';
import { test } from 'node:test';
import { secondsWritten } from './oplog-reach.ts';

const at = (t: number) => ({ t, i: 1, term: 1 });

test('the pace of an oplog whose entries are all of one second is counted up to now', () => {
  assert.equal(secondsWritten({ oldest: at(1_000), newest: at(1_000), seconds: 0 }, new Date(1_007_000)), 7);
  assert.equal(secondsWritten({ oldest: at(1_000), newest: at(1_000), seconds: 0 }, new Date(1_000_000)), 1, 'never nothing: it holds something');
});

test('a clock that is behind its own oplog shortens nothing', () => {
  assert.equal(secondsWritten({ oldest: at(1_000), newest: at(1_600), seconds: 600 }, new Date(900_000)), 600);
  assert.equal(secondsWritten({ oldest: at(1_000), newest: at(1_600), seconds: 600 }, undefined), 600);
  assert.equal(secondsWritten(null, new Date(1_000_000)), 0);
});
