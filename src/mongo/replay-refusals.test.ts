import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ClusterTime } from '../base/cluster-time.ts';
import { checkReach, type ReachQuestion } from './replay-refusals.ts';

const at = (t: number, i = 1): ClusterTime => ({ t, i });
const sound: ReachQuestion = {
  checkpoint: at(100),
  target: at(150),
  span: { after: at(50), through: at(200) },
  barriers: [],
};
const refuses = (changed: Partial<ReachQuestion>, code: string, lastSafe: ClusterTime | null): void => {
  assert.throws(
    () => checkReach({ ...sound, ...changed }),
    (error: Error & { code: string; hint: string; details: { lastSafe?: unknown } }) => {
      assert.equal(error.code, code);
      assert.deepEqual(error.details.lastSafe, lastSafe);
      if (lastSafe !== null) assert.ok(error.hint.includes(`${lastSafe.t},${lastSafe.i}`), error.hint);
      return true;
    },
  );
};

test('a target between the copy and the end of its chain is accepted, both ends included', () => {
  for (const target of [at(100), at(150), at(200)]) assert.doesNotThrow(() => checkReach({ ...sound, target }));
  assert.doesNotThrow(
    () => checkReach({ ...sound, span: { after: at(100), through: at(200) } }),
    'a chain may start exactly at the copy',
  );
});

test('a target before the copy is refused, because mongod would answer the copy itself', () => {
  refuses({ target: at(99) }, 'mongo.replay-before-checkpoint', null);
});

test('a target past the archive is refused with the last moment that it holds', () => {
  refuses({ target: at(200, 2) }, 'mongo.replay-beyond-archive', at(200));
});

test('a target behind a gap is told apart from one past the end, and names both sides of the gap', () => {
  refuses({ target: at(300), gaps: [{ after: at(250), through: at(400) }] }, 'mongo.replay-gap', at(200));
  refuses({ target: at(240), gaps: [{ after: at(250), through: at(400) }] }, 'mongo.replay-beyond-archive', at(200));
});

test('a copy that the archive does not reach back to is refused', () => {
  refuses({ span: { after: at(100, 2), through: at(200) } }, 'mongo.replay-not-covered', null);
  refuses({ span: null }, 'mongo.replay-not-covered', null);
});

test('a barrier after the copy and up to the target is refused with the moment before it; others are not in the way', () => {
  refuses(
    {
      barriers: [
        { at: at(150), what: 'FCV' },
        { at: at(140, 7), what: 'FCV' },
      ],
    },
    'mongo.replay-barrier',
    at(140, 6),
  );
  assert.doesNotThrow(() =>
    checkReach({
      ...sound,
      barriers: [
        { at: at(100), what: 'FCV' },
        { at: at(150, 2), what: 'FCV' },
      ],
    }),
  );
});

test('an archive of another set is refused before anything else', () => {
  assert.throws(() => checkReach({ ...sound, copySet: 'aa', archiveSet: 'bb', span: null }), {
    code: 'mongo.replay-foreign-archive',
  });
  assert.doesNotThrow(() => checkReach({ ...sound, copySet: 'aa', archiveSet: 'aa' }));
});
