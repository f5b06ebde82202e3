import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { chooseSource, type SourceMember } from './source-node.ts';

const member = (id: number, more: Partial<SourceMember> = {}): SourceMember => ({
  id, address: `db${id}:27017`, state: 'secondary', health: true, priority: 1, votes: 1, hidden: false, delaySeconds: 0, lagSeconds: 1.2, withinReach: true, ...more,
});
const wishes = { primaryAllowed: false, lagLimitSeconds: 30 };
const primary = member(1, { state: 'primary', lagSeconds: null });

test('the member of the last point is kept, and the log says so', () => {
  assert.deepEqual(chooseSource([primary, member(2), member(3)], { ...wishes, last: 'db3:27017' }), {
    kind: 'chosen', address: 'db3:27017', says: 'source: db3:27017, a secondary 1.2 s behind (same node as the last point)',
  });
});

test('a member of the last point that is primary now gives way to a secondary, with a note', () => {
  const choice = chooseSource([primary, member(2)], { ...wishes, primaryAllowed: true, last: 'db1:27017' });
  assert.deepEqual(choice, { kind: 'chosen', address: 'db2:27017', says: 'source: db2:27017, a secondary 1.2 s behind (db1:27017 of the last point is primary now)' });
});

test('a preferred member that is not fit is passed over with its reason', () => {
  const choice = chooseSource([primary, member(2, { state: 'recovering' }), member(3)], { ...wishes, preferred: 'db2:27017' });
  assert.deepEqual(choice, { kind: 'chosen', address: 'db3:27017', says: 'source: db3:27017, a secondary 1.2 s behind (the preferred db2:27017 is recovering)' });
});

test('a member that an operator asked for is taken, or nothing is', () => {
  const set = [primary, member(2, { state: 'recovering' }), member(3), member(4)];
  assert.match(JSON.stringify(chooseSource(set, { ...wishes, only: 'db4:27017', last: 'db3:27017' })), /db4:27017, a secondary 1.2 s behind \(as asked\)/);
  assert.deepEqual(chooseSource(set, { ...wishes, only: 'db2:27017' }), { kind: 'none', reasons: ['db2:27017, which was asked for, is recovering'] });
  const unknown = chooseSource(set, { ...wishes, only: 'db9:27017' });
  assert.ok(unknown.kind === 'none');
  assert.match(unknown.reasons[0]!, /^db9:27017, which was asked for, is not a data member; those are db1:27017, db2:27017/);
});

test('of fit secondaries the one of lowest priority, then non-voting, then lowest id is taken; hidden ones are welcome', () => {
  const hidden = member(5, { priority: 0, hidden: true, votes: 0 });
  assert.match(JSON.stringify(chooseSource([primary, member(2), member(4, { priority: 0 }), hidden], wishes)), /db5:27017, a hidden secondary/);
});

test('delayed, lagging, arbiter and unreachable members are never taken, and the refusal lists each with its reason', () => {
  const choice = chooseSource(
    [primary, member(2, { delaySeconds: 3600 }), member(3, { lagSeconds: 45 }), member(4, { state: 'arbiter' }), member(5, { withinReach: false }), member(6, { health: false })],
    wishes,
  );
  assert.deepEqual(choice, {
    kind: 'none',
    reasons: [
      'db1:27017 is primary, which is not allowed as a source', 'db2:27017 is delayed by 3600 s', 'db3:27017 is 45 s behind',
      'db5:27017 runs where no copy can be taken', 'db6:27017 is down',
    ],
  });
});

test('the primary of a set with a single data member is taken without asking', () => {
  assert.match(JSON.stringify(chooseSource([primary, member(2, { state: 'arbiter' })], wishes)), /db1:27017, the primary/);
});

test('over random topologies the choice is fit, and there is none only when nobody is', () => {
  const any = fc.record({
    state: fc.constantFrom('primary', 'secondary', 'arbiter', 'recovering', 'down', 'other') as fc.Arbitrary<SourceMember['state']>,
    health: fc.boolean(), priority: fc.nat(2), votes: fc.nat(1), hidden: fc.boolean(), delaySeconds: fc.constantFrom(0, 0, 60),
    lagSeconds: fc.constantFrom(null, 0, 29.9, 30, 500), withinReach: fc.boolean(),
  });
  const topology = fc.array(any, { minLength: 1, maxLength: 7 }).map((list) => list.map((more, id) => member(id, more)));
  fc.assert(
    fc.property(topology, fc.boolean(), fc.option(fc.nat(6)), fc.option(fc.nat(6)), (members, primaryAllowed, last, preferred) => {
      const choice = chooseSource(members, { primaryAllowed, lagLimitSeconds: 30, last: `db${last ?? 99}:27017`, preferred: preferred === null ? undefined : `db${preferred}:27017` });
      const data = members.filter(({ state }) => state !== 'arbiter');
      const fit = data.filter(
        (one) => one.health && one.withinReach && (one.state === 'primary' ? primaryAllowed || data.length === 1 : one.state === 'secondary' && one.delaySeconds === 0 && (one.lagSeconds ?? 0) < 30),
      );
      if (choice.kind === 'none') assert.deepEqual(fit, []);
      else assert.ok(fit.some(({ address }) => address === choice.address));
    }),
    { numRuns: 1000 },
  );
});
