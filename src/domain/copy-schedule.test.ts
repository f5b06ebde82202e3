import assert from 'node:assert/strict';
import { test } from 'node:test';
import { nextCopy } from './copy-schedule.ts';

const ms = (text: string): number => Temporal.Instant.from(text).epochMilliseconds;

test('a copy at 22:00 runs at 22:00 of the server\'s clock, one at an interval so long after the last, others never by the clock', () => {
  const at = { kind: 'daily', at: '22:00' } as const;
  assert.equal(nextCopy(at, 'Europe/Berlin', ms('2026-10-24T12:00Z')), ms('2026-10-24T20:00Z'));
  assert.equal(nextCopy(at, 'Europe/Berlin', ms('2026-10-24T20:00Z')), ms('2026-10-25T21:00Z'));
  assert.equal(nextCopy({ kind: 'every', minutes: 240 }, 'UTC', ms('2026-10-24T12:00Z')), ms('2026-10-24T16:00Z'));
  for (const kind of ['manual', 'immediate'] as const) assert.equal(nextCopy({ kind }, 'UTC', 0), null);
});
