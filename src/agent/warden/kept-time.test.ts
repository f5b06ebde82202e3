import assert from 'node:assert/strict';
import { test } from 'node:test';
import { confirm, passTo, rehearse, type KeptTime, type Readings } from './kept-time.ts';

const day = 86_400_000;
const startMs = 1_800_000_000_000;
const at = (more: Partial<Readings> = {}): Readings => ({ wallMs: startMs, bootMs: 1_000_000, bootId: 'one', ...more });
const time: KeptTime = { keptMs: startMs, at: at() };

test('time goes on by what passed since the boot, whatever the clock says', () => {
  const hour = 3_600_000;
  for (const turned of [0, 100 * day, -100 * day]) {
    const { time: after, alarm } = passTo(time, at({ bootMs: 1_000_000 + hour, wallMs: startMs + hour + turned }), 0);
    assert.equal(after.keptMs - startMs, hour);
    assert.equal(alarm?.says.includes('turned'), turned === 0 ? undefined : true, String(turned));
    assert.equal(alarm?.says.includes(turned > 0 ? 'ahead by 100 days' : 'back by 100 days'), turned === 0 ? undefined : true);
  }
});

test('of another boot only its own length counts, so a clock that was set ahead while the machine was off expires nothing', () => {
  const { time: after, alarm } = passTo(time, at({ bootId: 'two', bootMs: 5_000, wallMs: startMs + 400 * day }), 0);
  assert.equal(after.keptMs, startMs + 5_000);
  assert.match(alarm?.says ?? '', /was off for 400 days, or its clock was turned ahead/);
});

test('a boot of some minutes raises no alarm, and one with an earlier clock does', () => {
  assert.equal(passTo(time, at({ bootId: 'two', bootMs: 5_000, wallMs: startMs + 600_000 }), 0).alarm, undefined);
  assert.match(passTo(time, at({ bootId: 'two', bootMs: 5_000, wallMs: startMs - 600_000 }), 0).alarm?.says ?? '', /turned back by 10 minutes/);
});

test('a clock that is put right by a second at a time raises no alarm', () => {
  assert.equal(passTo(time, at({ bootMs: 1_060_000, wallMs: startMs + 61_000 }), 0).alarm, undefined);
});

test('where the kept time is lost it goes on from the last lock, and not from the clock', () => {
  const { time: after, alarm } = passTo(undefined, at({ wallMs: startMs + 400 * day }), startMs);
  assert.equal(after.keptMs, startMs);
  assert.match(alarm?.says ?? '', /is gone/);
  assert.equal(passTo(undefined, at(), 0).time.keptMs, startMs);
});

test('a ledger that is ahead takes nothing off a lock: of a machine whose time was later, or of a disk that lies', () => {
  assert.equal(passTo(time, at({ bootMs: 1_005_000, wallMs: startMs + 5_000 }), startMs + 400 * day).time.keptMs, startMs + 5_000);
  const { time: after, alarm } = passTo(undefined, at(), startMs + 400 * day);
  assert.equal(after.keptMs, startMs);
  assert.match(alarm?.says ?? '', /ahead of the clock by 400 days/);
});

test('a confirmed clock counts when it is ahead, and never further than the clock itself', () => {
  const late = { ...time, at: at({ wallMs: startMs + 10 * day }) };
  assert.equal(confirm(late, startMs + 10 * day).keptMs, startMs + 10 * day);
  assert.equal(confirm(late, startMs + 90 * day).keptMs, startMs + 10 * day);
  assert.equal(confirm(late, startMs - day).keptMs, startMs);
});

test('a rehearsal with turned clocks takes nothing off a lock, and the turn is noticed', () => {
  for (const turned of [3650 * day, -3650 * day]) assert.deepEqual(rehearse(time, turned), { leftsLess: false, isNoticed: true });
});
