import assert from 'node:assert/strict';
import { test } from 'node:test';
import { hostLabel, labelOf, parseHost, toMember, userOf } from './connect.ts';
import { argument } from './local-mongod.ts';
import { isSupported } from './refusals.ts';

test('hosts of a configuration are split and shown the same way, IPv6 included', () => {
  for (const text of ['db1.example:27018', '10.0.0.1:27017', '[fe80::1]:27019']) assert.equal(hostLabel(parseHost(text)), text);
  assert.deepEqual(parseHost('db1'), { host: 'db1', port: 27017 });
  assert.deepEqual(parseHost('[::1]'), { host: '::1', port: 27017 });
});

test('an address names its set and hosts, one member of it only itself, and nobody’s secrets', () => {
  const address = { hosts: [{ host: 'a', port: 1 }, { host: 'b', port: 2 }], replicaSet: 'rs0', credential: { kind: 'scram', user: 'u', password: 'hidden' } } as const;
  assert.equal(labelOf(address), 'rs0/a:1,b:2');
  assert.equal(labelOf(address, address.hosts[1]), 'b:2');
  assert.equal(labelOf({ socket: '/run/m.sock' }), '/run/m.sock');
  assert.deepEqual(toMember(address, address.hosts[1]), { ...address, hosts: [address.hosts[1]], replicaSet: undefined });
  assert.equal(userOf(address), 'u');
});

test('arguments of a running mongod are read in all their spellings', () => {
  const args = ['--keyfile', '/k', '--dbpath=/data', '-f', '/etc/mongod.conf'];
  assert.equal(argument(args, 'keyFile'), '/k');
  assert.equal(argument(args, 'dbpath'), '/data');
  assert.equal(argument(args, 'f'), '/etc/mongod.conf');
  assert.equal(argument(args, 'config'), undefined);
});

test('versions 6.0, 7.0 and 8.0 are supported, rapid releases and others are not', () => {
  assert.deepEqual(['6.0.5', '7.0.24', '8.0.0-rc1', '5.0.30', '8.1.0', '9.0.0', '6.3.1'].map(isSupported), [true, true, true, false, false, false, false]);
});
