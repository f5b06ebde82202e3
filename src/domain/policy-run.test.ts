import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { chooseParts, isOver, runStateOf, settlePart, usualLimits, type Candidate, type PartStanding, type SessionEnded } from './policy-run.ts';

const retry = { times: 3, minutes: 10 };
const candidate = (policy: string, set: string, more: Partial<Candidate> = {}): Candidate => ({ policy, set, isHigh: false, dueMs: 0, place: { host: set, repository: 'r' }, ...more });
const limits = usualLimits;
const own = (of: string, counts: readonly number[]): ReadonlyMap<string, number> => new Map(counts.map((count, at) => [`${of}${at}`, count]));

test('a part that fails is tried again ten minutes later, three times, and then it has failed', () => {
  let part: PartStanding = { state: 'running', attempt: 0, notBeforeMs: 0 };
  const waits: number[] = [];
  for (let nowMs = 1_000; !isOver(part.state); nowMs += 1_000) {
    part = settlePart({ ...part, state: 'running' }, 'failed', retry, nowMs, false);
    if (part.state === 'waiting') waits.push(part.notBeforeMs - nowMs);
  }
  assert.deepEqual([part.state, waits], ['failed', [600_000, 600_000, 600_000]]);
});

test('whatever order of ends, a part is over after at most as many tries as it has, and is what its last session was', () => {
  fc.assert(
    fc.property(fc.array(fc.constantFrom<SessionEnded>('success', 'warning', 'failed', 'stopped'), { minLength: 5, maxLength: 5 }), fc.integer({ min: 0, max: 3 }), (ends, times) => {
      let part: PartStanding = { state: 'running', attempt: 0, notBeforeMs: 0 };
      let used = 0;
      while (!isOver(part.state)) part = settlePart({ ...part, state: 'running' }, ends[used++]!, { times, minutes: 1 }, 0, false);
      assert.ok(used <= times + 1);
      assert.equal(part.state, ends[used - 1]);
    }),
  );
});

test('what its window stopped is cut and not tried again, and what was done by then is done', () => {
  const part: PartStanding = { state: 'running', attempt: 0, notBeforeMs: 0 };
  assert.deepEqual((['stopped', 'failed', 'success', 'warning'] as const).map((end) => settlePart(part, end, retry, 0, true).state), ['cut', 'cut', 'success', 'warning']);
  assert.equal(settlePart(part, 'stopped', retry, 0, false).state, 'stopped');
});

test('a run says of its sets what their sessions say', () => {
  const state = (...states: PartStanding['state'][]) => runStateOf(states.map((one) => ({ state: one })));
  assert.deepEqual([state('success', 'success'), state('success', 'failed'), state('failed', 'cut'), state('stopped', 'stopped'), state('success', 'warning'), state(), state('success', 'waiting'), state('running')], ['success', 'warning', 'failed', 'stopped', 'warning', 'warning', 'open', 'open']);
});

test('a host has one copy at a time, a repository four, a set one, also of those that run already', () => {
  const many = Array.from({ length: 9 }, (_, at) => candidate('p', `s${at}`, { place: { host: `h${at % 6}`, repository: 'r' } }));
  assert.deepEqual(chooseParts(many, [], limits).map(({ set }) => set), ['s0', 's1', 's2', 's3']);
  assert.deepEqual(chooseParts(many, [{ host: 'h1', repository: 'r', policy: null, set: 'x' }], limits).map(({ set }) => set), ['s0', 's2', 's3']);
  assert.deepEqual(chooseParts([candidate('p', 's'), candidate('q', 's')], [], limits).length, 1);
  assert.equal(chooseParts(many, [], { ...limits, server: 2 }).length, 2);
});

test('a host and a repository with a number of their own have that, the others the usual one', () => {
  const many = Array.from({ length: 12 }, (_, at) => candidate('p', `s${String(at).padStart(2, '0')}`, { place: { host: `h${at % 3}`, repository: at < 6 ? 'r0' : 'r1' } }));
  const chosen = chooseParts(many, [], { server: 100, hosts: new Map([['h1', 3]]), repositories: new Map([['r0', 2]]) });
  assert.deepEqual(chosen.map(({ set }) => set), ['s00', 's01', 's07', 's08', 's10']);
  const lowered = chooseParts(many, many.slice(0, 4).map(({ place, set }) => ({ ...place, set, policy: 'p' })), { server: 100, hosts: new Map(), repositories: new Map([['r0', 2]]) });
  assert.deepEqual(lowered, [], 'more run than may begin');
});

test('policies take turns, those that matter more come first, and the longest due before others', () => {
  const one = { server: 99, hosts: new Map([['h', 99]]), repositories: new Map([...Array(5).keys()].map((at) => [`r${at}`, 1])) };
  const big = Array.from({ length: 5 }, (_, at) => candidate('big', `b${at}`, { dueMs: 1, place: { host: 'h', repository: `r${at}` } }));
  const small = candidate('small', 's', { dueMs: 2, place: { host: 'h', repository: 'rs' } });
  assert.deepEqual(chooseParts([...big, small], [], one).map(({ policy }) => policy).slice(0, 3), ['big', 'small', 'big']);
  assert.equal(chooseParts([...big, { ...small, isHigh: true }], [], one)[0]?.policy, 'small');
  assert.equal(chooseParts([candidate('late', 'a', { dueMs: 5 }), candidate('early', 'b', { dueMs: 4 })], [], limits)[0]?.policy, 'early');
});

test('for random crowds no limit is passed, and nothing waits that has room', () => {
  const crowd = fc.array(fc.record({ policy: fc.constantFrom('a', 'b', 'c'), set: fc.integer({ min: 0, max: 30 }), host: fc.integer({ min: 0, max: 5 }), repository: fc.integer({ min: 0, max: 2 }), isHigh: fc.boolean(), dueMs: fc.integer({ min: 0, max: 9 }) }), { maxLength: 40 });
  fc.assert(
    fc.property(crowd, fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 6, maxLength: 6 }), fc.array(fc.integer({ min: 1, max: 4 }), { minLength: 3, maxLength: 3 }), fc.integer({ min: 1, max: 12 }), (given, host, repository, server) => {
      const waiting = given.map((one) => candidate(one.policy, `s${one.set}`, { ...one, set: `s${one.set}`, place: { host: `h${one.host}`, repository: `r${one.repository}` } }));
      const chosen = chooseParts(waiting, [], { server, hosts: own('h', host), repositories: own('r', repository) });
      const numberOf = (counts: readonly number[], name: string): number => counts[Number(name.slice(1))]!;
      const isWithin = (of: (one: Candidate) => string, most: (name: string) => number): boolean => Map.groupBy(chosen, of).entries().every(([name, { length }]) => length <= most(name));
      assert.ok(isWithin((one) => one.place.host, (name) => numberOf(host, name)) && isWithin((one) => one.place.repository, (name) => numberOf(repository, name)) && isWithin(({ set }) => set, () => 1) && chosen.length <= server);
      const full = (of: (one: Candidate) => string, value: string, limit: number): boolean => chosen.filter((one) => of(one) === value).length >= limit;
      for (const one of waiting) if (!chosen.includes(one) && chosen.length < server) assert.ok(full(({ place }) => place.host, one.place.host, numberOf(host, one.place.host)) || full(({ place }) => place.repository, one.place.repository, numberOf(repository, one.place.repository)) || full(({ set }) => set, one.set, 1));
    }),
  );
});
