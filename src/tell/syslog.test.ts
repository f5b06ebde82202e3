import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { Told } from '../contract/notifications.ts';
import { cutTo, syslogMessage } from './syslog.ts';

const told: Told = { id: 'k-1', kind: 'session', atMs: Date.UTC(2026, 4, 1, 2, 3, 4, 5), severity: 'error', title: 'backup of "a]b\\c" failed\nfor good', lines: ['why'], server: 'https://tide:9419', object: { kind: 'set', name: '"a]b\\c"' }, session: { id: 's1', kind: 'backup', state: 'failed', failure: 'mongo.x' }, count: 1 };

test('a message is RFC 5424 to the letter, and no name ends its structured data or its line', () => {
  assert.equal(
    syslogMessage(told, 'tide host').toString(),
    '<27>1 2026-05-01T02:03:04.005Z tidehost tidemark - session [tidemark@32473 event="k-1" kind="session" object="set:\\"a\\]b\\\\c\\"" session="s1" sessionKind="backup" state="failed" failure="mongo.x" count="1"] \ufeffbackup of "a]b\\c" failed for good; why',
  );
});

test('a datagram is cut between letters', () => {
  const long = Buffer.from('aé'.repeat(100));
  for (const bytes of [10, 11, 12]) assert.doesNotMatch(cutTo(long, bytes).toString(), /\ufffd/);
  assert.equal(cutTo(Buffer.from('short'), 10).toString(), 'short');
});
