import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ProtectedSet } from '../../contract/routes/sets.ts';
import { openCommandLine } from '../../../test/kit/command-line.ts';
import { openRestServer } from '../../../test/kit/rest-server.ts';

const oplog: ProtectedSet['oplog'] = { state: 'following', chain: 'c1', through: { t: 1_795_464_567, i: 1, term: 1 }, lagSeconds: 0, restorableTo: null, lossIfDisasterNowSeconds: null, needsBase: true, entriesPerSecond: 1, members: [], says: null, session: null };
const alarm = { atMs: 0, says: 'it rolled over', backupSession: null };
const set: ProtectedSet = {
  id: 'a1', name: 'rs0', replicaSet: 'rs0', repository: 'default', hosts: [], signIn: 'none', mongoVersion: '7.0.5', featureCompatibilityVersion: '7.0', members: [], local: [], addedAtMs: 0, refreshedAtMs: 0, oplog, oplogEveryMinutes: null, lastPoint: null,
  policies: [{ name: 'nightly', isEnabled: true }, { name: 'old', isEnabled: false }],
  alarms: [{ ...alarm, id: '1', what: 'oplog chain broken', isSettled: false, next: 'run "tidemark backup run rs0"' }, { ...alarm, id: '2', what: 'oplog barrier', isSettled: true, next: null }],
};

test('of each alarm of a set it is said whether it is settled, and what follows where it is not; a list counts those that are open', async () => {
  await using server = await openRestServer({ 'set.show': () => set, 'set.list': () => ({ sets: [set] }) });
  await using cli = await openCommandLine(server);
  const { stdout } = await cli.run('set', 'show', 'rs0');
  assert.match(stdout, /^OPEN ALARM {2}\S+ {2}oplog chain broken: it rolled over; run "tidemark backup run rs0"\nsettled alarm {2}\S+ {2}oplog barrier: it rolled over$/m);
  assert.match(stdout, /^policies +nightly, old \(disabled\)$/m);
  assert.match((await cli.run('set', 'list')).stdout, /OPEN ALARMS\n.* 1$/m);
});
