import assert from 'node:assert/strict';
import { test } from 'node:test';
import { silentLog } from '../base/log.ts';
import type { AlarmRow, SetRow } from '../catalog/sets.ts';
import type { SessionRow } from '../catalog/sessions.ts';
import type { Catalog } from '../catalog/catalog.ts';
import { turnedClock } from '../../test/kit/turned-clock.ts';
import { answerOf, isTriedAgainSoon, isTryDue, openAlarms, type AskedProof, type Backup, type BaseStanding } from './alarms.ts';

const minuteMs = 60_000;
const retry = { firstMs: 10 * minuteMs, mostMs: 360 * minuteMs };
const backup = (id: string, state: string, endedMs: number | null = 0, point?: string): Backup => ({ id, state, created_ms: 0, ended_ms: endedMs, result: point === undefined ? null : JSON.stringify({ kind: 'backup', point, method: 'clone', copied: 'full', bytes: { processed: 0, read: 0, transferred: 0, stored: 0 }, seconds: 1, lockedMs: 0, verified: true }) });
const failures = (count: number): Backup[] => Array.from({ length: count }, (_, at) => backup(String(at), 'failed'));
const standing = (...good: string[]) => ({ good: good.map((id) => ({ id, createdAtMs: 5 })), isNeeded: false });

test('an alarm asks for a try at once, and waits for the one that runs', () => {
  assert.equal(isTryDue([], 0, retry), true);
  assert.equal(isTryDue([backup('b', 'failed'), backup('a', 'working', null)], 1e9, retry), false);
});

test('an alarm stays open however often its backup fails, and is answered again after growing waits of at most six hours', () => {
  for (const [failed, minutes] of [[1, 10], [2, 20], [4, 80], [6, 320], [7, 360], [20, 360]] as const) {
    assert.equal(isTryDue(failures(failed), minutes * minuteMs - 1, retry), false, `${failed} failures`);
    assert.equal(isTryDue(failures(failed), minutes * minuteMs, retry), true, `${failed} failures`);
  }
});

test('a backup whose point is good and leads on settles an alarm, whatever came after it; one whose point does not settles nothing', () => {
  assert.equal(answerOf([backup('b', 'failed', 0), backup('a', 'success', 0, 'p1')], standing('p1'))?.id, 'a');
  assert.equal(answerOf([backup('a', 'success', 0, 'p1')], standing('p0')), undefined);
  assert.equal(answerOf([backup('a', 'success', 0, 'p1')], { ...standing('p1'), isNeeded: true }), undefined);
});

test('a backup that failed after its copy settles an alarm when its point was proved later', () => {
  assert.equal(answerOf([backup('b', 'failed', 9)], standing('p1'))?.id, 'b');
  assert.equal(answerOf([backup('b', 'failed', 4)], standing('p1')), undefined, 'the point is of a later one');
  assert.equal(answerOf([backup('b', 'working', null)], standing('p1')), undefined, 'it has not ended');
});

test('three failures are followed by another try soon, and each later one is told', () => {
  assert.deepEqual([1, 2, 3, 4, 9].map((count) => isTriedAgainSoon(failures(count))), [true, true, true, false, false]);
});

/** One set whose tries last a minute and end as the scene says. */
function openScene() {
  const clock = turnedClock();
  const alarms: AlarmRow[] = [];
  const backups: SessionRow[] = [];
  const proofs: SessionRow[] = [];
  const base: { now: BaseStanding } = { now: { good: [], isNeeded: true, unproved: null } };
  const asked: AskedProof[] = [];
  const without: string[] = [];
  const since = (rows: SessionRow[], atMs: number): SessionRow[] => rows.filter(({ created_ms }) => created_ms >= atMs).sort((a, b) => (a.id < b.id ? 1 : -1));
  const catalog = {
    sets: {
      find: async () => await Promise.resolve({ id: 's1' } as SetRow),
      unsettledAlarms: async () => await Promise.resolve(alarms.filter(({ is_settled }) => is_settled === 0)),
      answerAlarm: async (id: string, change: Partial<AlarmRow>) => void (await Promise.resolve(Object.assign(alarms.find((one) => one.id === id)!, change))),
      countAlarmFrom: async (id: string, atMs: number) => void (await Promise.resolve(Object.assign(alarms.find((one) => one.id === id)!, { raised_ms: atMs }))),
      raiseAlarm: async (row: AlarmRow) => await Promise.resolve(alarms.push(row) > 0),
    },
    sessions: { backupsSince: async (_: string, atMs: number) => await Promise.resolve(since(backups, atMs)), proofsSince: async (_: string, atMs: number) => await Promise.resolve(since(proofs, atMs)) },
  } as unknown as Catalog;
  const ended = (kind: string, object: string): SessionRow => ({ ...backup(`${kind}${backups.length + proofs.length}`, 'failed', clock.now() + minuteMs), id: `${clock.now()}.${String(backups.length + proofs.length).padStart(4, '0')}`, created_ms: clock.now(), kind, object_id: object }) as SessionRow;
  const opened = openAlarms({ catalog, clock, log: silentLog, retry, baseOf: async () => await Promise.resolve(base.now), withoutNewBase: async () => await Promise.resolve(without), prove: async (one) => void (await Promise.resolve(asked.push(one) && proofs.push(ended('verify', one.point)))) });
  return {
    clock, alarms, asked, base, backups, without,
    raise: async (key: string) => await opened.raise({ setId: 's1', key, atMs: 0, what: 'oplog barrier', says: key }),
    /** Does what is wanted now, and says what that was. */
    async round(): Promise<'backup' | 'proof' | 'nothing'> {
      const [before, ends] = [asked.length, new AbortController()];
      let wanted = false;
      const going = opened.keepAsking(() => (wanted = true), ends.signal);
      for (let turn = 0; turn < 30; turn++) await Promise.resolve();
      ends.abort(new Error('seen'));
      await going;
      if (wanted) backups.push(ended('backup', 's1'));
      return wanted ? 'backup' : asked.length > before ? 'proof' : 'nothing';
    },
  };
}

test('barriers that come faster than they can be answered wait as one alarm does', async () => {
  const scene = openScene();
  let begun = 0;
  for (let minute = 0; minute < 120; minute++) {
    if (minute % 3 === 0) await scene.raise(`barrier ${minute}`);
    if ((await scene.round()) === 'backup') begun++;
    scene.clock.turn(minuteMs);
  }
  // At 0, 11, 32 and 73 minutes, and next at 154.
  assert.equal(begun, 4);
});

test('a clock that was ahead when an alarm was raised and tried, and is set right, leaves it its pauses, and an answer', async () => {
  for (const [triesAhead, begunIn2h] of [[0, 4], [1, 3], [3, 2]] as const) {
    const scene = openScene();
    scene.clock.turn(7 * 1440 * minuteMs);
    await scene.raise('barrier');
    for (let tries = 0; tries < triesAhead; tries++) {
      assert.equal(await scene.round(), 'backup');
      scene.clock.turn(60 * minuteMs);
    }
    scene.clock.turn(-7 * 1440 * minuteMs);
    let begun = 0;
    for (let minute = 0; minute < 120; minute++) {
      if ((await scene.round()) === 'backup') begun++;
      scene.clock.turn(minuteMs);
    }
    assert.equal(begun, begunIn2h, `${triesAhead} tries ahead`);
    const last = scene.backups.at(-1)!;
    Object.assign(last, { state: 'success', result: backup('', 'success', 0, 'p1').result });
    scene.base.now = { good: [{ id: 'p1', createdAtMs: last.created_ms + 1 }], isNeeded: false, unproved: null };
    assert.equal(await scene.round(), 'nothing');
    assert.deepEqual(scene.alarms.map(({ is_settled }) => is_settled), [1]);
  }
});

test('a point that only lacks its proof is asked for it three times before another base is made, and settles the alarm when it is proved', async () => {
  const scene = openScene();
  await scene.raise('barrier');
  const done = [await scene.round()];
  scene.base.now = { good: [], isNeeded: true, unproved: { id: 'p1', createdAtMs: scene.clock.now() + 1 } };
  for (let tries = 0; tries < 4; tries++) {
    scene.clock.turn(7 * 60 * minuteMs);
    done.push(await scene.round());
  }
  assert.deepEqual(done, ['backup', 'proof', 'proof', 'proof', 'backup']);
  assert.deepEqual(new Set(scene.asked.map(({ claim }) => claim)).size, 3);
  scene.base.now = { good: [scene.base.now.unproved!], isNeeded: false, unproved: null };
  assert.equal(await scene.round(), 'nothing');
  assert.deepEqual(scene.alarms.map(({ is_settled }) => is_settled), [1]);
});

test('a point of before the alarm, or one that does not lead on, is not proved in place of a new base', async () => {
  const scene = openScene();
  scene.base.now = { good: [], isNeeded: true, unproved: { id: 'p0', createdAtMs: scene.clock.now() - 1 } };
  await scene.raise('barrier');
  assert.equal(await scene.round(), 'backup');
  scene.clock.turn(11 * minuteMs);
  assert.equal(await scene.round(), 'backup');
});

test('where policies want no new base none is asked for, a point that only lacks its proof is proved, and the alarm stays until one leads on', async () => {
  const scene = openScene();
  scene.without.push('nightly');
  await scene.raise('barrier');
  assert.equal(await scene.round(), 'nothing');
  scene.backups.push({ ...backup('z', 'success', scene.clock.now() + minuteMs, 'p1'), created_ms: scene.clock.now() } as SessionRow);
  scene.base.now = { good: [], isNeeded: true, unproved: { id: 'p1', createdAtMs: scene.clock.now() + 1 } };
  scene.clock.turn(11 * minuteMs);
  assert.equal(await scene.round(), 'proof');
  assert.deepEqual(scene.alarms.map(({ is_settled }) => is_settled), [0]);
  scene.base.now = { good: [scene.base.now.unproved!], isNeeded: false, unproved: null };
  assert.equal(await scene.round(), 'nothing');
  assert.deepEqual(scene.alarms.map(({ is_settled }) => is_settled), [1]);
});

test('what a policy leaves unproved every ten minutes keeps nobody from proving it', async () => {
  const scene = openScene();
  scene.without.push('often');
  await scene.raise('barrier');
  const done: string[] = [];
  for (let run = 0; run < 30; run++) {
    const made = backup('z', 'success', scene.clock.now() + minuteMs, `p${run}`);
    scene.backups.push({ ...made, id: `z${String(run).padStart(3, '0')}`, created_ms: scene.clock.now(), result: made.result!.replace('"verified":true', '"verified":false') } as SessionRow);
    scene.base.now = { good: [], isNeeded: true, unproved: { id: `p${run}`, createdAtMs: scene.clock.now() + 1 } };
    scene.clock.turn(10 * minuteMs);
    done.push(await scene.round());
  }
  assert.ok(done.filter((what) => what === 'proof').length >= 5, String(done));
});
