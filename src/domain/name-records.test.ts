import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { plain, settle, type Heard, type NameAnswer } from './name-answers.ts';
import { isNameBad, judgeNames, namedMachines, nameOf, reverseName, type NamedMachine, type NameRecord } from './name-records.ts';
import type { PlannedHost } from './port-inventory.ts';

const found = (...values: string[]): NameAnswer => ({ kind: 'found', values, ttlSeconds: 3412 });
const silent: NameAnswer = { kind: 'silent', why: 'REFUSED' };
const db1: NamedMachine = { machine: 'db1', names: ['db1.example.net'], addresses: ['10.77.0.11'], alsoAt: [], hasOthers: false, isServer: false };

type Zone = Readonly<Record<string, NameAnswer>>;

/** Name servers that say what stands in their zones; what stands nowhere is not there. */
function zones(...all: readonly Zone[]) {
  const ask = (name: string): Heard[] => all.map((zone, n) => ({ server: `ns${n + 1}`, answer: zone[name] ?? found() }));
  return { forward: ask, reverse: ask };
}

const shown = (records: readonly NameRecord[]): string[] => records.map(({ kind, says, record }) => `${kind}: ${says}${record === null ? '' : ` | ${record}`}`);
const judged = (machine: NamedMachine, zone: Zone | readonly Zone[], search: readonly string[] = []): string[] => shown(judgeNames(machine, { ...zones(...[zone].flat()), search }));

test('a machine whose name and address lead to each other is good, in whatever letters', () => {
  assert.deepEqual(judged(db1, { 'db1.example.net': found('10.77.0.11'), '10.77.0.11': found('DB1.example.net.') }), ['good: db1.example.net is at 10.77.0.11', 'good: 10.77.0.11 is DB1.example.net.']);
});

test('a missing record is named with the record that would mend it', () => {
  assert.deepEqual(judged(db1, {}), ['missing-forward: db1.example.net leads to no address | db1.example.net. IN A 10.77.0.11', 'missing-reverse: 10.77.0.11 leads to no name | 11.0.77.10.in-addr.arpa. IN PTR db1.example.net.']);
});

test('a name that leads elsewhere and an address that bears another name are told', () => {
  assert.deepEqual(judged(db1, { 'db1.example.net': found('10.77.0.99'), '10.77.0.11': found('old.example.net') }), [
    'wrong-forward: db1.example.net leads to 10.77.0.99, and it is at 10.77.0.11 | db1.example.net. IN A 10.77.0.11',
    'mismatch: 10.77.0.11 leads to old.example.net, not to db1.example.net | 11.0.77.10.in-addr.arpa. IN PTR db1.example.net.',
  ]);
  assert.deepEqual(judged(db1, { 'db1.example.net': found('10.77.0.11', '10.77.0.99'), '10.77.0.11': found('db1.example.net') }), [
    'wrong-forward: db1.example.net also leads to 10.77.0.99, which it does not have; that record is to go: db1.example.net. IN A 10.77.0.99',
    'good: 10.77.0.11 is db1.example.net',
  ]);
  assert.deepEqual(judged({ ...db1, addresses: [], alsoAt: ['10.77.0.12'] }, { 'db1.example.net': found('10.77.0.99') }), ['wrong-forward: db1.example.net leads to 10.77.0.99, and it is at 10.77.0.12 | db1.example.net. IN A 10.77.0.12']);
});

test('a machine of both families wants both, and an address that it has besides is no fault', () => {
  const both = { ...db1, addresses: ['10.77.0.11', 'fd00::11'], alsoAt: ['10.9.9.9'] };
  const reverse = { '10.77.0.11': found('db1.example.net'), 'fd00::11': found('db1.example.net') };
  assert.deepEqual(judged(both, { ...reverse, 'db1.example.net': found('10.77.0.11', '10.9.9.9') }), [
    'missing-forward: db1.example.net leads to 10.77.0.11, 10.9.9.9, and to no IPv6 address, which it has | db1.example.net. IN AAAA fd00::11',
    'good: 10.77.0.11 is db1.example.net',
    'good: fd00::11 is db1.example.net',
  ]);
  assert.deepEqual(judged(both, { 'db1.example.net': found('10.77.0.11', 'FD00:0::11'), '10.77.0.11': found('db1.example.net') }).slice(0, 1).concat(judged(both, {}).slice(-1)), [
    'good: db1.example.net is at 10.77.0.11, FD00:0::11',
    `missing-reverse: fd00::11 leads to no name | 1.1.${'0.'.repeat(26)}0.0.d.f.ip6.arpa. IN PTR db1.example.net.`,
  ]);
});

test('several names behind one address are told, with the one that is to stay', () => {
  assert.deepEqual(judged(db1, { 'db1.example.net': found('10.77.0.11'), '10.77.0.11': found('old.example.net', 'db1.example.net') }).slice(1), [
    'several-reverse: 10.77.0.11 leads to 2 names, old.example.net, db1.example.net: which of them is told changes; one is to stay | 11.0.77.10.in-addr.arpa. IN PTR db1.example.net.',
  ]);
});

test('a name server that says nothing is not taken for a missing record', () => {
  assert.deepEqual(judged(db1, { 'db1.example.net': silent, '10.77.0.11': silent }), ['no-answer: no answer about db1.example.net: REFUSED', 'no-answer: no answer about the name of 10.77.0.11: REFUSED']);
  assert.deepEqual(judged({ ...db1, names: ['db1'], addresses: [] }, { db1: silent, 'db1.a.test': silent }, ['a.test']), ['no-answer: no answer about db1: REFUSED']);
  assert.deepEqual(judged(db1, []), [], 'where none could be asked there is nothing to say about the machine');
});

test('name servers that differ are told with who says what and how long it is kept, and the right answer is taken on', () => {
  const right = { 'db1.example.net': found('10.77.0.11'), '10.77.0.11': found('db1.example.net') };
  const stale = { ...right, 'db1.example.net': found('10.77.0.99') };
  const expected = [
    'servers-differ: name servers differ about db1.example.net: ns1 says 10.77.0.99 (kept for 3412 s); ns2 says 10.77.0.11 (kept for 3412 s) | db1.example.net. IN A 10.77.0.11',
    'good: db1.example.net is at 10.77.0.11',
    'good: 10.77.0.11 is db1.example.net',
  ];
  assert.deepEqual(judged(db1, [stale, right]), expected);
  assert.deepEqual(judged(db1, [right, { ...right, '10.77.0.11': silent }]).slice(1), ['servers-differ: name servers differ about the name of 10.77.0.11: ns1 says db1.example.net (kept for 3412 s); ns2 says nothing: REFUSED | 11.0.77.10.in-addr.arpa. IN PTR db1.example.net.', 'good: 10.77.0.11 is db1.example.net']);
  assert.match(judged(db1, [right, { ...right, '10.77.0.11': found() }])[1]!, /^servers-differ: .*; ns2 says that there is none \| /);
});

test('a short name is told with the search list that makes it whole, and is not held against the plan', () => {
  const short = { ...db1, names: ['db1'] };
  const records = judgeNames(short, { ...zones({ 'db1.a.test': found('10.77.0.11'), '10.77.0.11': found('db1.a.test') }), search: ['a.test', 'b.test'] });
  assert.deepEqual(shown(records), ['short-name: db1 is a short name: it is db1.a.test only where the search list has a.test', 'good: 10.77.0.11 is db1.a.test']);
  assert.equal(records.some(isNameBad), false);
  assert.deepEqual(judged(short, {}, ['a.test', 'b.test']).slice(0, 1), ['missing-forward: the short name db1 leads to no address, with none of the search list (a.test, b.test) | db1.a.test. IN A 10.77.0.11']);
  assert.deepEqual(judged(short, {}), ['missing-forward: the short name db1 leads to no address, and there is no search list', 'missing-reverse: 10.77.0.11 leads to no name']);
  assert.deepEqual(judged(short, { 'db1.a.test': found('10.77.0.99') }, ['a.test']).slice(0, 1), ['wrong-forward: the short name db1 leads to 10.77.0.99 as db1.a.test, and it is at 10.77.0.11 | db1.a.test. IN A 10.77.0.11']);
});

test('a short name that two domains of the search list have, for two machines, is held against the plan', () => {
  const records = judgeNames({ ...db1, names: ['db1'] }, { ...zones({ 'db1.a.test': found('10.77.0.11'), 'db1.b.test': found('10.99.0.11'), '10.77.0.11': found('db1.a.test') }), search: ['a.test', 'b.test'] });
  assert.deepEqual(shown(records), ['search-list: the short name db1 is 10.77.0.11 as db1.a.test and 10.99.0.11 as db1.b.test: the order of a search list decides', 'good: 10.77.0.11 is db1.a.test']);
  assert.equal(isNameBad(records[0]!), true);
});

test('of a machine that goes by its address, the name that the address leads to has to lead back', () => {
  const bare: NamedMachine = { ...db1, names: [] };
  assert.equal(nameOf({ name: 'db1', dial: '10.77.0.11', addresses: [] }), undefined);
  assert.equal(nameOf({ name: 'db1.example.net', dial: '10.77.0.11', addresses: [] }), 'db1.example.net');
  assert.deepEqual(judged(bare, {}), ['missing-reverse: 10.77.0.11 leads to no name']);
  assert.deepEqual(judged(bare, { '10.77.0.11': found('db1.a.test'), 'db1.a.test': found('10.77.0.11') }), ['good: 10.77.0.11 is db1.a.test, which leads back']);
  assert.deepEqual(judged(bare, { '10.77.0.11': found('db1.a.test') }), ['missing-forward: 10.77.0.11 leads to db1.a.test, which leads to no address | db1.a.test. IN A 10.77.0.11']);
  assert.deepEqual(judged(bare, { '10.77.0.11': found('db1.a.test'), 'db1.a.test': found('10.77.0.12') }), ['mismatch: 10.77.0.11 leads to db1.a.test, and that leads to 10.77.0.12 | db1.a.test. IN A 10.77.0.11']);
});

test('of all addresses of the server those count that its name leads to', () => {
  const tide: NamedMachine = { machine: 'tide', names: ['tide.a.test'], addresses: ['10.77.0.1', '172.17.0.1'], alsoAt: ['10.77.0.1', '172.17.0.1'], hasOthers: true, isServer: true };
  assert.deepEqual(judged(tide, { 'tide.a.test': found('10.77.0.1'), '10.77.0.1': found('tide.a.test') }), ['good: tide.a.test is at 10.77.0.1', 'good: 10.77.0.1 is tide.a.test']);
  assert.equal(judged(tide, {}).length, 4, 'all of them where it leads to none');
});

const planned = (name: string, dial: string, addresses: string[]): PlannedHost => ({ name, dial, addresses, platform: 'linux', roles: ['mongodb'], sshPort: 22, deployerPort: 6160, controlPort: 6162, dataPorts: { from: 2500, to: 3300 }, singlePort: false, dialling: 'server' });

test('a machine is there once, with the names that it is dialled by and those that members have for it', () => {
  const machines = namedMachines({
    servers: [{ name: 'tide', dial: 'tide.a.test', addresses: ['10.77.0.1', 'fe80::1%eth0'] }],
    hosts: [planned('db1', '10.77.0.11', ['10.77.0.11']), planned('db2', 'db2.a.test', ['10.77.0.12']), planned('local', 'tide.a.test', ['10.77.0.1'])],
    sets: [{ name: 'rs0', members: [{ host: 'db1.a.test', port: 1, addresses: ['10.77.0.11'] }, { host: 'DB2.a.test', port: 1 }, { host: '127.0.0.1', port: 1 }, { host: 'db3.a.test', port: 1, addresses: ['10.77.0.13'] }, { host: '10.77.0.14', port: 1 }] }],
  });
  assert.deepEqual(machines.map(({ machine, names, addresses, isServer }) => [machine, names, addresses, isServer]), [
    ['tide', ['tide.a.test'], ['10.77.0.1'], true],
    ['db1', ['db1.a.test'], ['10.77.0.11'], false],
    ['db2', ['db2.a.test'], ['10.77.0.12'], false],
    ['db3.a.test', ['db3.a.test'], ['10.77.0.13'], false],
    ['10.77.0.14', [], ['10.77.0.14'], false],
  ]);
});

test('reverse names of both families', () => {
  assert.equal(reverseName('10.77.0.11'), '11.0.77.10.in-addr.arpa');
  assert.equal(reverseName('2001:db8::567:89ab'), 'b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa');
  assert.equal(reverseName('::ffff:10.0.0.1'), '1.0.0.0.0.0.a.0.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa');
});

const address = fc.constantFrom('10.77.0.11', '10.77.0.99', 'fd00::11', 'FD00:0:0::11');
const anyAnswer = fc.oneof(fc.constant(silent), fc.array(address, { maxLength: 3 }).map((values) => found(...values)));
const anyName = fc.oneof(fc.constant(silent), fc.array(fc.constantFrom('db1.example.net', 'DB1.example.net.', 'old.example.net'), { maxLength: 2 }).map((values) => found(...values)));

test('whatever name servers say, one finding at least is bad exactly when they differ, fall silent or say what is not so', () => {
  fc.assert(
    fc.property(fc.array(fc.record({ 'db1.example.net': anyAnswer, '10.77.0.11': anyName }), { minLength: 1, maxLength: 3 }), (all) => {
      const records = judgeNames(db1, { ...zones(...all), search: [] });
      const isRight = (zone: (typeof all)[number]): boolean => {
        const [forward, reverse] = [zone['db1.example.net'], zone['10.77.0.11']];
        return forward.kind === 'found' && forward.values.length > 0 && forward.values.every((value) => value === '10.77.0.11') && reverse.kind === 'found' && reverse.values.length === 1 && plain(reverse.values[0]!) === 'db1.example.net';
      };
      const agree = (key: 'db1.example.net' | '10.77.0.11'): boolean => settle(zones(...all).forward(key), () => true).difference === undefined;
      assert.equal(records.every((record) => !isNameBad(record)), isRight(all[0]!) && agree('db1.example.net') && agree('10.77.0.11'), JSON.stringify(records));
      for (const { record } of records) assert.match(record ?? 'a. IN A 1', /^\S+\. IN (A|AAAA|PTR) \S+$/);
    }),
  );
});

test('the order and the letters of an answer make no difference, and which name server is asked first makes none to the outcome', () => {
  fc.assert(
    fc.property(fc.array(fc.array(address, { maxLength: 3 }), { minLength: 2, maxLength: 4 }), (answers) => {
      const heard = answers.map((values, n): Heard => ({ server: `ns${n}`, answer: found(...values) }));
      const isRight = (values: readonly string[]): boolean => values.includes('10.77.0.11');
      const [one, other] = [settle(heard, isRight), settle([...heard].reverse(), isRight)];
      assert.equal(one.difference === undefined, other.difference === undefined);
      const kinds = [one, other].map(({ answer }) => answer?.kind === 'found' && isRight(answer.values));
      assert.equal(kinds[0], kinds[1]);
      const mixed = heard.map(({ server, answer }) => ({ server, answer: answer.kind === 'found' ? found(...answer.values.map((value) => value.toUpperCase()).reverse()) : answer }));
      assert.equal(settle([...heard, ...mixed], isRight).difference === undefined, one.difference === undefined);
    }),
  );
});
