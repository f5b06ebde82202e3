import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Heard } from './name-answers.ts';
import { judgeOwnView, judgeServer, type OwnView } from './own-names.ts';

const resolver = { servers: ['10.0.0.99', '10.0.0.53'], search: ['a.test'], timeoutSeconds: 5, attempts: 2 };
const zone: Record<string, string[]> = { 'db1.a.test': ['10.77.0.11'], 'db2.a.test': ['10.77.0.12', 'fd00::12'] };
const forward = (name: string): Heard[] => [{ server: 'ns', answer: { kind: 'found', values: zone[name] ?? [], ttlSeconds: 60 } }];
const judged = (...found: OwnView['found']): string[] => judgeOwnView({ host: 'db9', resolver, found }, forward, ['a.test']).map(({ machine, kind, says }) => `${machine} ${kind}: ${says}`);
const one = (name: string, addresses: string[], ms = 3, says: string | null = null): OwnView['found'][number] => ({ name, addresses, ms, says });

test('a host that finds what the name servers say, or a part of it, has nothing to be told', () => {
  assert.deepEqual(judged(one('db1.a.test', ['10.77.0.11']), one('db2', ['fd00:0::12']), one('10.77.0.11', ['10.77.0.11']), one('only-here', ['10.1.1.1'])), []);
});

test('a host that takes a name for another machine, or finds none, is told with whom it asks', () => {
  assert.deepEqual(judged(one('db1.a.test', ['10.77.0.99']), one('db2.a.test', [], 5, 'no such name')), [
    'db9 host-differs: db9 takes db1.a.test for 10.77.0.99, and the name servers say 10.77.0.11: its hosts file, or a copy that is out of date; it asks 10.0.0.99, then 10.0.0.53, and its search list is a.test',
    'db9 host-differs: db9 finds no address for db2.a.test (no such name), and the name servers say 10.77.0.12, fd00::12: it asks 10.0.0.99, then 10.0.0.53, and its search list is a.test',
  ]);
});

test('what failover costs a host is told once, for the name it waited for longest', () => {
  assert.deepEqual(judged(one('db1.a.test', ['10.77.0.11'], 5_012), one('db2.a.test', ['10.77.0.12'], 10_020)), ['db9 host-slow: db9 waited 10.0 s for db2.a.test: it asks 10.0.0.99, then 10.0.0.53, and its search list is a.test']);
});

test('a name server that is dead is told with what it costs whoever asks it first', () => {
  const state = (address: string, why: string | null, isCutShort = false): string | undefined => judgeServer({ server: address, address, why, isCutShort }, resolver)?.says;
  assert.equal(state('10.0.0.99', 'no answer within 3 s'), 'name server 10.0.0.99: no answer within 3 s; a look-up on this machine that comes to it waits up to 5 s before the next one is asked');
  assert.equal(state('10.0.0.53', 'nothing listens there'), 'name server 10.0.0.53: nothing listens there');
  assert.equal(state('10.0.0.53', null), undefined);
  assert.equal(state('10.0.0.53', 'nothing listens there', true), '10.0.0.53 says that an answer is too long for a datagram, and cannot be asked over TCP: nothing listens there; row 18 has the port');
});
