import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chanceFrom, type Chance } from '../../test/kit/seeded.ts';
import { chooseSource, type SourceMember, type SourceWishes } from './source-node.ts';

const member = (id: number, more: Partial<SourceMember> = {}): SourceMember => ({
  id, address: `db${id}:27017`, state: 'secondary', health: true, priority: 1, votes: 1, hidden: false, delaySeconds: 0, lagSeconds: 1.2, withinReach: true, isArbiter: false, ...more,
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
  assert.deepEqual(choice, { kind: 'chosen', address: 'db2:27017', says: 'source: db2:27017, a secondary 1.2 s behind (db1:27017 of the last point is primary now; the only one that is fit)' });
});

test('what keeps the member of the last point from being kept is said', () => {
  const set = [primary, member(2, { lagSeconds: 31 }), member(3)];
  for (const [last, why] of [['db1:27017', 'is primary, which is not allowed as a source'], ['db2:27017', 'is 31 s behind']]) {
    assert.deepEqual(chooseSource(set, { ...wishes, last }), { kind: 'chosen', address: 'db3:27017', says: `source: db3:27017, a secondary 1.2 s behind (${last} of the last point ${why}; the only one that is fit)` });
  }
});

test('a member on a computer that is out of scope is no source, though it is preferred or asked for', () => {
  const set = [primary, member(2, { isLeftOut: true }), member(3)];
  assert.match(JSON.stringify(chooseSource(set, { ...wishes, preferred: 'db2:27017', last: 'db2:27017' })), /source: db3.*preferred db2:27017 is on a computer that is out of the scope of its group/);
  assert.deepEqual(chooseSource(set, { ...wishes, only: 'db2:27017' }), { kind: 'none', reasons: ['db2:27017, which was asked for, is on a computer that is out of the scope of its group'] });
});

test('a preferred member that is not fit is passed over with its reason', () => {
  const choice = chooseSource([primary, member(2, { state: 'recovering' }), member(3)], { ...wishes, preferred: 'db2:27017' });
  assert.deepEqual(choice, { kind: 'chosen', address: 'db3:27017', says: 'source: db3:27017, a secondary 1.2 s behind (the preferred db2:27017 is recovering; the only one that is fit)' });
});

test('a member that an operator asked for is taken, or nothing is', () => {
  const set = [primary, member(2, { state: 'recovering' }), member(3), member(4)];
  assert.match(JSON.stringify(chooseSource(set, { ...wishes, only: 'db4:27017', last: 'db3:27017' })), /db4:27017, a secondary 1.2 s behind \(as asked\)/);
  assert.deepEqual(chooseSource(set, { ...wishes, only: 'db2:27017' }), { kind: 'none', reasons: ['db2:27017, which was asked for, is recovering'] });
  const unknown = chooseSource(set, { ...wishes, only: 'db9:27017' });
  assert.ok(unknown.kind === 'none');
  assert.match(unknown.reasons[0]!, /^db9:27017, which was asked for, is no member; those with data are db1:27017, db2:27017/);
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
      'db4:27017 is an arbiter, which has no data', 'db5:27017 runs where no copy can be taken', 'db6:27017 is down',
    ],
  });
});

test('the primary of a set with a single data member is taken without asking', () => {
  for (const state of ['arbiter', 'down'] as const) {
    assert.deepEqual(chooseSource([primary, member(2, { state, health: state === 'arbiter', isArbiter: true })], wishes), { kind: 'chosen', address: 'db1:27017', says: 'source: db1:27017, the primary (no other member has data)' });
  }
});

/** The rules once more, as an operator would go through them with a pencil: who is out and why, then who of the rest is first, and by which rule. */
function byTheRules(members: readonly SourceMember[], wish: SourceWishes): { readonly address: string; readonly rule: RegExp } | { readonly out: ReadonlyMap<string, RegExp> } {
  const out = new Map<string, RegExp>();
  const withData = members.filter((one) => !(one.isArbiter || one.state === 'arbiter')).length;
  for (const one of members) {
    const isOut = (why: RegExp, holds: boolean): void => void (holds && !out.has(one.address) && out.set(one.address, why));
    isOut(/is an arbiter/, one.isArbiter || one.state === 'arbiter');
    isOut(/is down/, one.state === 'down' || !one.health);
    isOut(/is recovering/, one.state === 'recovering');
    isOut(/is other/, one.state === 'other');
    isOut(/no copy can be taken/, !one.withinReach);
    isOut(/is primary, which is not allowed/, one.state === 'primary' && !wish.primaryAllowed && withData > 1);
    isOut(/is delayed by/, one.state === 'secondary' && one.delaySeconds > 0);
    isOut(/ behind(,|$)| nobody knows how much/, one.state === 'secondary' && !(one.lagSeconds !== null && one.lagSeconds < wish.lagLimitSeconds));
  }
  const isIn = (address: string | undefined): boolean => members.some((one) => one.address === address) && !out.has(address!);
  const rest = members.filter(({ address }) => !out.has(address));
  const secondary = rest.filter(({ state }) => state === 'secondary');
  const nobody = (address: string): { out: ReadonlyMap<string, RegExp> } => ({ out: new Map([[address, out.get(address) ?? /is no member/]]) });
  if (wish.only !== undefined) return isIn(wish.only) ? { address: wish.only, rule: /\(as asked\)$/ } : nobody(wish.only);
  if (wish.preferred !== undefined && isIn(wish.preferred)) return { address: wish.preferred, rule: /\(as preferred\)$/ };
  if (wish.preferred !== undefined && wish.failOver === false) return nobody(wish.preferred);
  if (wish.last !== undefined && isIn(wish.last) && (secondary.length === 0 || secondary.some(({ address }) => address === wish.last))) return { address: wish.last, rule: /same node as the last point/ };
  if (rest.length === 0) return { out };
  if (secondary.length === 0) return { address: rest[0]!.address, rule: withData === 1 ? /no other member has data/ : /no secondary is fit/ };
  let left = wish.hiddenFirst === true && secondary.some(({ hidden }) => hidden) ? secondary.filter(({ hidden }) => hidden) : secondary;
  if (left.length === 1) return { address: left[0]!.address, rule: /the only one that is fit/ };
  for (const [rank, rule] of [[(one: SourceMember) => one.priority, /lowest priority/], [(one: SourceMember) => one.votes, /no vote/], [(one: SourceMember) => one.id, /lowest member id/]] as const) {
    const least = Math.min(...left.map(rank));
    left = left.filter((one) => rank(one) === least);
    if (left.length === 1) return { address: left[0]!.address, rule };
  }
  return assert.fail('two members of one id');
}

const anyAddress = (chance: Chance): string | undefined => (chance.below(2) === 0 ? undefined : `db${chance.below(8)}:27017`);

/** Most members are well, so that the rules behind the first ones get their turn; at most one is primary, as in a set. */
function anyTopology(chance: Chance): SourceMember[] {
  const rarely = (): boolean => chance.below(6) === 0;
  const members = Array.from({ length: 1 + chance.below(7) }, (_, id) =>
    member(id, {
      state: rarely() ? chance.pick(['arbiter', 'recovering', 'down', 'other'] as const) : 'secondary', isArbiter: rarely(), health: !rarely(), withinReach: !rarely(), priority: chance.below(3), votes: chance.below(2),
      hidden: chance.below(3) === 0, delaySeconds: rarely() ? 3600 : 0, lagSeconds: rarely() ? chance.pick([null, 29.9, 30, 500]) : 0,
    }));
  const primary = chance.below(members.length + 1);
  const shuffled = members.map((one, id) => (id === primary ? { ...one, state: 'primary' as const, lagSeconds: null } : one));
  return chance.below(2) === 0 ? shuffled : shuffled.toReversed();
}

const topologies = 10_000;
const chance = chanceFrom(process.env['TIDEMARK_SEED'] === undefined ? undefined : Number(process.env['TIDEMARK_SEED']));

test(`over ${topologies} random topologies the choice and its reason are those of the rules: seed ${chance.seed}`, (context) => {
  const told = new Map<string, number>();
  for (let n = 0; n < topologies; n++) {
    const members = anyTopology(chance);
    const wish: SourceWishes = { only: chance.below(8) === 0 ? `db${chance.below(8)}:27017` : undefined, preferred: anyAddress(chance), last: anyAddress(chance), primaryAllowed: chance.below(2) === 0, lagLimitSeconds: chance.pick([30, 30, 600]), failOver: chance.below(3) > 0, hiddenFirst: chance.below(3) === 0 };
    const expected = byTheRules(members, wish);
    const choice = chooseSource(members, wish);
    const what = `topology ${n}: ${JSON.stringify({ members, wish, choice })}`;
    if ('out' in expected) {
      assert.ok(choice.kind === 'none', what);
      assert.equal(choice.reasons.length, expected.out.size, what);
      for (const [address, why] of expected.out) assert.ok(choice.reasons.some((reason) => reason.includes(address) && why.test(reason)), what);
    } else {
      assert.ok(choice.kind === 'chosen' && choice.address === expected.address && choice.says.includes(`source: ${expected.address}, `), what);
      assert.match(choice.says, expected.rule, what);
    }
    const rule = 'out' in expected ? 'nobody' : expected.rule.source;
    told.set(rule, (told.get(rule) ?? 0) + 1);
  }
  context.diagnostic(JSON.stringify(Object.fromEntries(told)));
  assert.equal(told.size, 10, 'each rule decided some of them');
  assert.ok([...told.values()].every((count) => count >= 20), JSON.stringify([...told]));
});
