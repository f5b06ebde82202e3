import assert from 'node:assert/strict';
import { test } from 'node:test';
import { turnedClock } from '../../test/kit/turned-clock.ts';
import { openStages } from './stages.ts';

test('the stage that is busy for the greatest part of what it could be is the slowest', () => {
  const clock = turnedClock();
  const stages = openStages({ read: 2, work: 2, write: 8 }, clock);
  assert.equal(stages.slowest(), null, 'nothing is known yet');
  stages.spend('read', 1_000);
  stages.spend('work', 3_900);
  stages.spend('write', 8_000);
  assert.equal(stages.slowest(), null, 'the first seconds are not over');
  clock.turn(2_000);
  assert.equal(stages.slowest(), 'work');
  stages.spend('write', 15_000);
  stages.spend('work', 2_000);
  assert.equal(stages.slowest(), 'work', 'it holds for some seconds');
  clock.turn(2_000);
  assert.equal(stages.slowest(), 'write');
  stages.spend('read', 100);
  clock.turn(2_000);
  assert.equal(stages.slowest(), null, 'who is mostly idle holds nothing up');
});

test('what fails has taken its time, too', async () => {
  const clock = turnedClock();
  const stages = openStages({ read: 1, work: 1, write: 1 }, clock);
  await assert.rejects(
    stages.timed('write', async () => {
      clock.turn(5_000);
      return await Promise.reject(new Error('the disk'));
    }),
    /the disk/,
  );
  assert.equal(stages.slowest(), 'write');
});
