import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isInSrvDomain, readSrvText } from '../base/mongo-srv.ts';
import type { Heard } from './name-answers.ts';
import { judgeSrv, readSrv, type SrvSet } from './srv-records.ts';

const heard = (...all: string[][]): Heard[] => all.map((values, n) => ({ server: `ns${n + 1}`, answer: { kind: 'found', values, ttlSeconds: 60 } }));
const set: SrvSet = { set: 'shop', replicaSet: 'rs0', name: 'rs.a.test', members: [{ host: 'db1.a.test', port: 27017, isShown: true }, { host: 'db2.a.test', port: 27100, isShown: true }, { host: 'db3.a.test', port: 27017, isShown: false }] };
const right = ['0 0 27017 db1.a.test', '0 0 27100 DB2.a.test.'];
const judged = (srv: Heard[], txt: Heard[] = heard([])): string[] => judgeSrv(set, srv, txt).map(({ kind, says, record }) => `${kind}: ${says}${record === null ? '' : ` | ${record}`}`);

test('records that lead to the members that applications see are good, hidden ones may be among them', () => {
  assert.deepEqual(judged(heard(right)), ['good: _mongodb._tcp.rs.a.test leads to the members of shop']);
  assert.deepEqual(judged(heard([...right, '0 0 27017 db3.a.test'])), ['good: _mongodb._tcp.rs.a.test leads to the members of shop']);
});

test('a member without a record, one on another port and a record without a member are told', () => {
  assert.deepEqual(judged(heard(['0 0 27017 db2.a.test', '0 0 27017 old.a.test'])), [
    'srv: db1.a.test:27017, a member of shop, is not among the SRV records of _mongodb._tcp.rs.a.test | _mongodb._tcp.rs.a.test. IN SRV 0 0 27017 db1.a.test.',
    'srv: db2.a.test is in _mongodb._tcp.rs.a.test with port 27017, and the member is on 27100 | _mongodb._tcp.rs.a.test. IN SRV 0 0 27100 db2.a.test.',
    'srv: _mongodb._tcp.rs.a.test leads to db2.a.test:27017, which is no member of shop; that record is to go: _mongodb._tcp.rs.a.test. IN SRV 0 0 27017 db2.a.test.',
    'srv: _mongodb._tcp.rs.a.test leads to old.a.test:27017, which is no member of shop; that record is to go: _mongodb._tcp.rs.a.test. IN SRV 0 0 27017 old.a.test.',
  ]);
  assert.equal(judged(heard([])).length, 2, 'none at all: each member is told');
  assert.deepEqual(judged([{ server: 'ns1', answer: { kind: 'silent', why: 'SERVFAIL' } }]), ['no-answer: no answer about _mongodb._tcp.rs.a.test: SERVFAIL']);
});

test('a member in another domain is one that drivers refuse', () => {
  const elsewhere = judgeSrv({ ...set, members: [{ host: 'db1.b.test', port: 27017, isShown: true }] }, heard(['0 0 27017 db1.b.test']), heard([]));
  assert.deepEqual(elsewhere.map(({ kind, says }) => `${kind}: ${says}`), ['srv: _mongodb._tcp.rs.a.test leads to db1.b.test, which is not in the domain of rs.a.test: drivers refuse it']);
  for (const [host, name, is] of [['db1.a.test', 'rs.a.test', true], ['a.test', 'rs.a.test', false], ['db1.evila.test', 'rs.a.test', false], ['db1.RS.test', 'rs.test', true], ['db1.test', 'rs.test', false], ['db1.mongo', 'mongo', true]] as const) assert.equal(isInSrvDomain(host, name), is, `${host} ${name}`);
});

test('name servers that differ about the records are told, and the right ones are taken on', () => {
  assert.deepEqual(judged(heard(['0 0 27017 old.a.test'], right)), [
    'servers-differ: name servers differ about _mongodb._tcp.rs.a.test: ns1 says 0 0 27017 old.a.test (kept for 60 s); ns2 says 0 0 27017 db1.a.test, 0 0 27100 DB2.a.test. (kept for 60 s)',
  ]);
});

test('the text names the set, and holds nothing that drivers refuse', () => {
  const text = (...texts: string[]): string[] => judged(heard(right), heard(texts)).slice(1);
  assert.deepEqual(text('authSource=admin&replicaSet=rs0'), ['good: the TXT record of rs.a.test fits']);
  assert.deepEqual(text('authSource=staff&replicaSet=rs9'), ['txt: the TXT record of rs.a.test names the replica set rs9, and it is rs0 | rs.a.test. IN TXT "replicaSet=rs0&authSource=staff"']);
  assert.deepEqual(text('ssl=true'), ['txt: rs.a.test: its TXT record has "ssl", which drivers refuse | rs.a.test. IN TXT "replicaSet=rs0"']);
  assert.match(text('authSource=admin', 'replicaSet=rs0')[0]!, /there are 2 TXT records/);
  assert.deepEqual(readSrvText([]), { kind: 'options', replicaSet: null, authSource: null });
  assert.match((readSrvText(['loadBalanced=true']) as { why: string }).why, /load balancer/);
});

test('what is no SRV record is not read as one', () => {
  assert.deepEqual(['0 0 27017 db1.a.test.', '0 0 x db1', 'db1'].map(readSrv), [{ host: 'db1.a.test', port: 27017 }, undefined, undefined]);
});
