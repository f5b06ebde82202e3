import assert from 'node:assert/strict';
import { test } from 'node:test';
import { sayTime, sayTimeInFull } from './cluster-time.ts';

test('a moment is said as it may be typed: an operation by its time, all of a second as that second', () => {
  assert.deepEqual([sayTime({ t: 1_795_464_567, i: 96 }), sayTime({ t: 1_795_464_567, i: 0xffffffff })], ['1795464567,96', '2026-11-23T20:09:27Z']);
  assert.deepEqual([sayTimeInFull({ t: 1_795_464_567, i: 96 }), sayTimeInFull({ t: 1_795_464_567, i: 0xffffffff })], ['1795464567,96 (2026-11-23T20:09:27Z)', '2026-11-23T20:09:27Z']);
});
