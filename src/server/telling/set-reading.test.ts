import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../base/clock.ts';
import { openCatalog } from '../../catalog/catalog.ts';
import { policyDocument } from '../../contract/policies.ts';
import { openOplogStandings } from '../oplog-standings.ts';
import { openPolicyPromises } from '../policy-promises.ts';
import { openSetReading } from './set-reading.ts';

test('what is read for all sets is what is asked for each of them, in a fixed number of questions', async () => {
  await using catalog = await openCatalog(':memory:');
  await catalog.repositories.add({ id: 'r1', name: 'r1', host: 'local', location: '{}', sealed_secret: null, sealed_passphrase: '', sealed_key: '', passphrase_file: null, is_default: 1, added_ms: 1, limits: '[]', gateways: '{"through":[],"hosts":null}', is_attached: 0, immutable: null, copies_at_once: null, connections: null });
  for (const id of ['s1', 's2', 's3']) await catalog.sets.add({ id, name: `name of ${id}`, repository: 'r1', sealed_target: '', sign_in: 'none', hosts: '[]', discovered: '{}', added_ms: 1, refreshed_ms: 1, oplog_mode: '{}' });
  for (const [id, given] of Object.entries({ p1: { sets: ['s1', 's2'], promise: { pointHours: 6, lossSeconds: 60 } }, p2: { sets: ['s2'], promise: { pointHours: 2 } } })) {
    await catalog.policies.add({ id, name: id, document: JSON.stringify(policyDocument.parse({ name: id, ...given })), is_enabled: 1, counts_from_ms: 1, next_ms: null, follows: null, added_ms: 1 });
  }
  for (let n = 0; n < 25; n++) await catalog.sets.raiseAlarm({ id: `a${n}`, set_id: 's2', at_ms: n, raised_ms: n, what: 'gap', says: '', backup_session: null, is_settled: 0 });
  for (let n = 0; n < 5; n++) await catalog.points.add({ id: `p${n}`, set_id: `s${1 + (n % 2)}`, repository: 'r1', created_ms: 9 - n, summary: '{}', lost: 0 });
  await catalog.verifications.count({ policy: 'p1', set_id: 's1', schedule: '', counts_from_ms: 1 });
  await catalog.sets.putStanding('s3', JSON.stringify({ state: 'following', chain: 'c9', through: null, committed: null, says: null, session: null }), 1);
  const asked: string[] = [];
  const counted = <T extends object>(name: string, store: T): T => new Proxy(store, { get: (of, key) => (typeof of[key as keyof T] === 'function' ? (...args: unknown[]) => (asked.push(`${name}.${String(key)}`), (of[key as keyof T] as (...given: unknown[]) => unknown)(...args)) : of[key as keyof T]) });
  const counting = { ...catalog, sets: counted('sets', catalog.sets), points: counted('points', catalog.points), policies: counted('policies', catalog.policies), groups: counted('groups', catalog.groups), verifications: counted('verifications', catalog.verifications) };
  const standings = openOplogStandings(counting, systemClock);
  const reading = openSetReading({ catalog: counting, standings, policies: openPolicyPromises({ catalog: counting, clock: systemClock }) });
  const all = new Map<string, unknown>();
  for await (const { set, known } of reading.all()) {
    all.set(set.id, known);
    assert.equal((await standings.view(set.id, [])).chain, set.id === 's3' ? 'c9' : null);
  }
  assert.deepEqual(asked.sort(), ['groups.memberships', 'points.ofSets', 'policies.list', 'sets.alarmsOf', 'sets.list', 'sets.names', 'sets.standings', 'verifications.list']);
  assert.deepEqual([...all.keys()], ['s1', 's2', 's3']);
  for (const [id, known] of all) assert.deepEqual(known, await reading.one(id), id);
});
