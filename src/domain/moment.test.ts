import assert from 'node:assert/strict';
import { test } from 'node:test';
import { momentNotUnderstood, momentWithoutZone } from './failures.ts';
import { isFailure } from '../base/failure.ts';
import { endOf, parseMoment } from './moment.ts';

const points = new Set(['019ab7-1']);

for (const [text, wanted] of [
  ['latest', { kind: 'latest' }],
  ['019ab7-1', { kind: 'point', point: '019ab7-1' }],
  ['1795464567,96', { kind: 'time', at: { t: 1795464567, i: 96 } }],
  ['before:1795464567,96', { kind: 'time', at: { t: 1795464567, i: 95 } }],
  ['before:1795464567,0', { kind: 'time', at: { t: 1795464566, i: 0xffffffff } }],
  ['2026-05-01T12:00:00Z', { kind: 'second', t: 1777636800 }],
  ['2026-05-01T14:00:00+02:00', { kind: 'second', t: 1777636800 }],
  ['2026-05-01 14:00 +0200', { kind: 'second', t: 1777636800 }],
  ['2026-05-01T12:00:00.999Z', { kind: 'second', t: 1777636800 }],
] as const) {
  test(`${text} is understood`, () => assert.deepEqual(parseMoment(text, points), wanted));
}

test('a time of day is everything up to the end of the second it lies in', () => {
  const wanted = parseMoment('2026-11-25T18:11:31Z', points);
  assert.ok(wanted.kind === 'second');
  assert.deepEqual(endOf(wanted), { t: 1795630291, i: 4294967295 });
});

for (const text of ['2026-05-01T12:00:00', '2026-05-01', '2026-05-01 12:00']) {
  test(`${text} is refused because it has no zone`, () => assert.throws(() => parseMoment(text, points), (error) => isFailure(error, momentWithoutZone)));
}

for (const text of ['', 'yesterday', '1795464567', '1795464567,99999999999', '2026-13-01T00:00Z', '2026-05-01T25:00Z', 'before:latest', 'before:0,0', '0001-01-01T00:00Z']) {
  test(`"${text}" is not a moment`, () => assert.throws(() => parseMoment(text, points), (error) => isFailure(error, momentNotUnderstood)));
}
