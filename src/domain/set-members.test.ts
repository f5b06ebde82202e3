import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareMembers, type ComparedMember } from './set-members.ts';

const member = (id: number, host: string, port = 27017, more: Partial<ComparedMember> = {}): ComparedMember => ({
  id, host, port, state: 'secondary', health: true, priority: 1, votes: 1, hidden: false, delaySeconds: 0, isArbiter: false, tags: {}, version: '6.0.5', ...more,
});
const names = (members: readonly ComparedMember[]): string[] => members.map(({ host, port }) => `${host}:${port}`);
const words = (changed: readonly { member: ComparedMember; what: string }[]): string[] => changed.map(({ member: { host }, what }) => `${host}: ${what}`);

test('who joined and who left is told, also where the new one has the old one’s id', () => {
  const { joined, left, changed } = compareMembers([member(0, 'db1'), member(1, 'db2', 27101)], [member(0, 'db1'), member(1, 'db3'), member(2, 'db1', 27018)]);
  assert.deepEqual([names(joined), names(left), words(changed)], [['db3:27017', 'db1:27018'], ['db2:27101'], []]);
});

test('a member that listens on another port has moved; one on another host is another', () => {
  const port = compareMembers([member(0, 'db1'), member(1, 'db2')], [member(0, 'db1', 27117), member(1, 'db2')]);
  assert.deepEqual([names(port.joined), names(port.left), words(port.changed)], [[], [], ['db1: address db1:27017 → db1:27117']]);
  const host = compareMembers([member(0, 'db1'), member(1, 'db2')], [member(0, 'db1'), member(1, 'db3')]);
  assert.deepEqual([names(host.joined), names(host.left), words(host.changed)], [['db3:27017'], ['db2:27017'], []]);
});

test('what is other with a member is told in words', () => {
  const was = member(1, 'db2', 27017, { tags: { dc: 'east' } });
  const is = member(1, 'db2', 27017, { state: 'primary', priority: 5, votes: 0, hidden: true, delaySeconds: 3600, health: false, tags: { dc: 'west', rack: '1' }, version: '6.0.9', isArbiter: true });
  const [only] = compareMembers([was], [is]).changed;
  assert.equal(only!.what, 'state secondary → primary, health good → bad, priority 1 → 5, votes 1 → 0, delay 0 s → 3600 s, hidden no → yes, arbiter no → yes, tags dc:east → dc:west rack:1, version 6.0.5 → 6.0.9');
});

test('a member that could not be asked has not lost its version', () => {
  assert.deepEqual(compareMembers([member(0, 'db1')], [member(0, 'db1', 27017, { version: null })]).changed, []);
});

test('nobody is lost and nobody is told twice, whatever the two looks show', () => {
  const look = fc.uniqueArray(fc.record({ id: fc.nat(4), host: fc.constantFrom('a', 'b', 'c'), port: fc.constantFrom(1, 2) }), { maxLength: 6, selector: ({ host, port }) => `${host}${port}` });
  fc.assert(fc.property(look, look, (before, after) => {
    const old = before.map(({ id, host, port }) => member(id, host, port));
    const now = after.map(({ id, host, port }) => member(id, host, port));
    const { joined, left, changed } = compareMembers(old, now);
    const stayed = now.filter((one) => old.some(({ host, port }) => host === one.host && port === one.port)).length;
    const moved = changed.filter(({ what }) => what.startsWith('address')).length;
    assert.ok(joined.length + stayed + moved >= now.length && joined.length + stayed <= now.length);
    assert.ok(left.every((one) => !now.some(({ host, port }) => host === one.host && port === one.port)));
  }));
});
