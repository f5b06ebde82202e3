import assert from 'node:assert/strict';
import { test } from 'node:test';
import { objectNames } from '../repository/object-names.ts';
import { archiveRules } from './archive-rules.ts';

const setId = 'a'.repeat(24);
const rules = archiveRules(setId);
const names = objectNames(setId);
const span = '0000000000000001-0000000000000002';
const slice = `${names.day('c', 3)}${span}`;
const other = objectNames('b'.repeat(24));

test('everything that a backup and an oplog writer write may be added, and nothing by which a sweep works', () => {
  for (const name of [names.pack('ab12'), names.segment('cd'), names.point('p1'), names.proof('p1', '1'), names.lease('writer', '1'), names.chainStart('c'), names.chainWriter('c'), slice, `${names.barriers('c')}0000000000000001-0123abcd`]) {
    assert.ok(rules.mayAdd(name) && rules.mayRead(name), name);
  }
  for (const name of [names.retired('1'), names.lease('sweep', '1'), `${names.leases}broken-writer-1`, `${names.cuts('c')}${span}`, `${slice}-merged`, names.about, 'tidemark.json']) assert.ok(!rules.mayAdd(name), name);
});

test('a name that leads out of the archive is neither read, written nor listed', () => {
  const out = [other.pack('ab12'), 'archives/x', 'tidemark.json', `sets/${setId}/../${'b'.repeat(24)}/points/1`, `sets/${setId}/points/../../x`, `sets/${setId}/.tmp/x`, `/sets/${setId}/points/1`, `sets/${setId}/points//1`, `sets/${setId}/points/a\0b`, `sets/${setId}`, `sets/${setId}/points/A`];
  for (const name of out) assert.ok(!rules.mayRead(name) && !rules.mayAdd(name) && !rules.mayTakeBack(name), JSON.stringify(name));
  for (const prefix of ['', 'sets/', 'sets/a', `sets/${setId}`, other.packs, `sets/${setId}/../`, `sets/${setId}/./`, `sets/${setId}/points/..`]) assert.ok(!rules.mayList(prefix), prefix);
  for (const prefix of [`sets/${setId}/`, names.packs, names.leases, `${names.day('c', 3)}1-`]) assert.ok(rules.mayList(prefix), prefix);
});

test('packs, segments and chains can never be taken back', () => {
  for (const name of [names.pack('ab12'), names.segment('cd'), names.chainStart('c')]) assert.ok(!rules.mayTakeBack(name), name);
  for (const name of [names.lease('writer', '1'), names.point('p1'), names.chainWriter('c'), slice]) assert.ok(rules.mayTakeBack(name), name);
});

test('what looks like an object of the archive at another depth is none that a host adds', () => {
  for (const name of [`${names.slices('c')}0003/cuts/${span}`, `${names.slices('c')}${span}`, `${names.leases}writer-a/sweep-b`, `${names.points}p1/x`, `${names.packs}ab12`, `${names.barriers('c')}x/0000000000000001-0123abcd`, `${names.oplog}c/writer/x`, `${names.oplog}c`]) assert.ok(!rules.mayAdd(name), name);
});
