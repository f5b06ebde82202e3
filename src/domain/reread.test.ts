import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { freshParts, partsOfNight, readSince, withRead } from './reread.ts';

const day = 86_400_000;

test('a re-read takes one part each night, and each of them again after as many nights as there are parts', () => {
  let parts = freshParts(30, 0);
  const nights: number[][] = [];
  for (let night = 0; night < 90; night++) {
    const chosen = partsOfNight(parts, night * day);
    nights.push(chosen);
    parts = withRead(parts, chosen, night * day, night * day + 3_600_000);
  }
  assert.deepEqual(nights, Array.from({ length: 90 }, (_, night) => [night % 30]));
  assert.equal(readSince(parts), 60 * day + 3_600_000);
});

test('nights that were missed are made up for, at most a quarter in one night, and what was not read stays due', () => {
  const parts = freshParts(20, 0);
  assert.equal(readSince(parts), null);
  assert.deepEqual(partsOfNight(parts, 40 * day), [0, 1, 2, 3, 4]);
  assert.deepEqual(partsOfNight(parts, 40 * day), partsOfNight(parts, 40 * day), 'one that was cut short reads the same again');
  assert.deepEqual(partsOfNight(withRead(parts, [0, 1, 2, 3, 4], 40 * day, 0), 40 * day), [5, 6, 7, 8, 9]);
});

test('with any nights missed, what is due longest is read first, and a round of nights later everything was read within a round', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 40 }), fc.array(fc.boolean(), { minLength: 100, maxLength: 100 }), (days, missed) => {
      let parts = freshParts(days, 0);
      const nights = 100 + 2 * days + 8;
      for (let night = 0; night < nights; night++) {
        if (missed[night] === true) continue;
        const chosen = partsOfNight(parts, night * day);
        const left = parts.due.filter((_, part) => !chosen.includes(part));
        for (const part of chosen) assert.ok(left.every((at) => at >= parts.due[part]!));
        parts = withRead(parts, chosen, night * day, night * day);
      }
      const since = readSince(parts);
      assert.ok(since !== null && since >= (nights - 1 - days - 4) * day, `${since}`);
    }),
  );
});
