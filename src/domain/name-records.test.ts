import assert from 'node:assert/strict';
import { test } from 'node:test';
import { judgeNames, nameOf, reverseName, type NameAnswer } from './name-records.ts';

const found = (...values: string[]): NameAnswer => ({ kind: 'found', values });
const silent: NameAnswer = { kind: 'silent', why: 'ETIMEOUT' };
const db1 = { name: 'db1', dial: 'db1.example.net', addresses: ['10.77.0.11'] };
const judged = (forward: NameAnswer | undefined, reverse: NameAnswer | undefined, machine = db1): string[] =>
  judgeNames(machine, forward, new Map(reverse === undefined ? [] : [['10.77.0.11', reverse]])).map(({ kind, says, record }) => `${kind}: ${says}${record === null ? '' : ` | ${record}`}`);

test('a machine whose name and address lead to each other is good, in whatever letters', () => {
  assert.deepEqual(judged(found('10.77.0.11'), found('DB1.example.net.')), ['good: db1.example.net is at 10.77.0.11', 'good: 10.77.0.11 is DB1.example.net.']);
});

test('a missing record is named with the record that would mend it', () => {
  assert.deepEqual(judged(found(), found()), ['missing-forward: db1.example.net leads to no address | db1.example.net. IN A 10.77.0.11', 'missing-reverse: 10.77.0.11 leads to no name | 11.0.77.10.in-addr.arpa. IN PTR db1.example.net.']);
});

test('a name that leads elsewhere and an address that bears another name are told', () => {
  assert.deepEqual(judged(found('10.77.0.99'), found('old.example.net')), [
    'wrong-forward: db1.example.net leads to 10.77.0.99, and it is at 10.77.0.11 | db1.example.net. IN A 10.77.0.11',
    'mismatch: 10.77.0.11 leads to old.example.net, not to db1.example.net | 11.0.77.10.in-addr.arpa. IN PTR db1.example.net.',
  ]);
  assert.deepEqual(judged(found('10.77.0.11', '10.77.0.99'), undefined), ['wrong-forward: db1.example.net also leads to 10.77.0.99, which it does not have; that record is to go']);
});

test('a name server that says nothing is not taken for a missing record', () => {
  assert.deepEqual(judged(silent, silent), ['no-answer: no answer about db1.example.net: ETIMEOUT', 'no-answer: no answer about the name of 10.77.0.11: ETIMEOUT']);
});

test('a machine that goes by its address is looked at in reverse alone', () => {
  const bare = { name: 'db1', dial: '10.77.0.11', addresses: ['10.77.0.11'] };
  assert.equal(nameOf(bare), undefined);
  assert.deepEqual(judged(undefined, found(), bare), ['missing-reverse: 10.77.0.11 leads to no name']);
  assert.equal(nameOf({ name: 'db1.example.net', dial: '10.77.0.11', addresses: [] }), 'db1.example.net');
});

test('reverse names of both families', () => {
  assert.equal(reverseName('10.77.0.11'), '11.0.77.10.in-addr.arpa');
  assert.equal(reverseName('2001:db8::567:89ab'), 'b.a.9.8.7.6.5.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa');
  assert.equal(reverseName('::ffff:10.0.0.1'), '1.0.0.0.0.0.a.0.f.f.f.f.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.ip6.arpa');
});
