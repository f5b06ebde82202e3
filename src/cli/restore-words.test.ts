import assert from 'node:assert/strict';
import { test } from 'node:test';
import { definitions } from './definitions.ts';
import { durationOf, isApplied, numberOf } from './numbers.ts';
import { readMembers, readMembersOnHosts, readNamespaces } from './restore-words.ts';
import type { Invocation } from './command.ts';

const command = definitions.find((definition) => definition.name === 'restore set')!;
const given = (options: Record<string, unknown>): Invocation => ({ args: [], options, command }) as unknown as Invocation;

test('a member is a directory and a port, and the host is said once', () => {
  assert.deepEqual(readMembers(given({ toDir: ['/data/a:27117', '/data/x:y:27118'], host: 'db.example' })), [
    { directory: '/data/a', host: 'db.example', port: 27117 },
    { directory: '/data/x:y', host: 'db.example', port: 27118 },
  ]);
});

for (const toDir of [['/data/a'], ['/data/a:0'], ['/data/a:70000'], [':27017'], ['/a:1', '/a:2'], ['/a:1', '/b:1']]) {
  test(`members ${toDir.join(' ')} are refused`, () => assert.throws(() => readMembers(given({ toDir })), { code: 'cli.usage' }));
}

test('a member on a host of its own is an address, the host and a directory there', () => {
  assert.deepEqual(readMembersOnHosts(given({ member: ['db1.example:27017@db1:/data/r', '[fd00::2]:27018@db2:/data/a:b', '10.0.0.3:1:/x'] })), [
    { directory: '/data/r', host: 'db1.example', port: 27017, node: 'db1' },
    { directory: '/data/a:b', host: 'fd00::2', port: 27018, node: 'db2' },
    { directory: '/x', host: '10.0.0.3', port: 1, node: undefined },
  ]);
});

for (const member of ['db1:27017', 'db1:27017@db1', 'db1:27017@db1:data', 'db1:0@db1:/data', 'db1:70000:/data', ':27017@db1:/data', 'db1:27017@:/data', 'fd00::2:27017@db2:/data']) {
  test(`the member ${member} is refused`, () => assert.throws(() => readMembersOnHosts(given({ member: [member] })), { code: 'cli.usage' }));
}

test('a collection keeps its name or gets another one', () => {
  const words = ['shop.orders', 'shop.orders=shop.back', 'shop.a=b=shop.c', 'shop.a.b=new.a.b'];
  assert.deepEqual(readNamespaces({ command }, words), [
    { from: 'shop.orders', to: 'shop.orders' },
    { from: 'shop.orders', to: 'shop.back' },
    { from: 'shop.a=b', to: 'shop.c' },
    { from: 'shop.a.b', to: 'new.a.b' },
  ]);
});

for (const word of ['shop', 'shop.', '.orders', 'shop.orders=', 'shop.orders=back']) {
  test(`the collection "${word}" is refused`, () => assert.throws(() => readNamespaces({ command }, [word]), { code: 'cli.usage' }));
}

test('durations and numbers are read, and what is not one is refused with its option', () => {
  assert.deepEqual(['90s', '30m', '8h', '2d'].map((text) => durationOf(given({ expires: text }), 'expires')), [90, 1800, 28_800, 172_800]);
  for (const text of ['8', 'h', '-1h', '1.5h', '']) assert.throws(() => durationOf(given({ expires: text }), 'expires'), /--expires takes a duration/);
  assert.equal(numberOf(given({ windowSeconds: '60' }), 'windowSeconds', { from: 1, to: 3600 }), 60);
  for (const text of ['0', '3601', 'x', '', ' ']) assert.throws(() => numberOf(given({ windowSeconds: text }), 'windowSeconds', { from: 1, to: 3600 }), /--window-seconds takes a number from 1 to 3600/);
});

test('a plan is the default, and --plan with --apply is refused', () => {
  assert.deepEqual([isApplied(given({})), isApplied(given({ plan: true })), isApplied(given({ apply: true }))], [false, false, true]);
  assert.throws(() => isApplied(given({ plan: true, apply: true })), { code: 'cli.usage' });
});
