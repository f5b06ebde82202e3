import assert from 'node:assert/strict';
import { test } from 'node:test';
import { missingRights, rightsToCopy, showRight, type Right } from './rights.ts';

const find = (db: string, collection: string): Right => ({ resource: { db, collection }, actions: ['find'] });

test('a privilege on all collections covers plain ones, never system collections', () => {
  const held = [{ resource: { db: '', collection: '' }, actions: ['find'] }];
  assert.deepEqual(missingRights([find('local', 'oplog.rs')], held), []);
  assert.deepEqual(missingRights([find('db', 'system.users')], held), [find('db', 'system.users')]);
});

test('a privilege on one database does not reach into another, nor the cluster', () => {
  const held = [{ resource: { db: 'local', collection: '' }, actions: ['find'] }];
  assert.deepEqual(missingRights([find('local', 'oplog.rs'), find('config', 'transactions')], held), [find('config', 'transactions')]);
  assert.deepEqual(missingRights([{ resource: { cluster: true }, actions: ['fsync'] }], held).map(showRight), ['fsync on the cluster']);
});

test('only the actions that lack are named, and anyResource covers everything', () => {
  const held = [{ resource: { cluster: true }, actions: ['replSetGetStatus', 'fsync'] }];
  assert.deepEqual(missingRights([{ resource: { cluster: true }, actions: ['fsync', 'unlock'] }], held), [{ resource: { cluster: true }, actions: ['unlock'] }]);
  const all = [{ resource: { anyResource: true }, actions: rightsToCopy.flatMap((right) => [...right.actions]) }];
  assert.deepEqual(missingRights(rightsToCopy, all), []);
});
