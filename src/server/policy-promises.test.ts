import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { openCatalog } from '../catalog/catalog.ts';
import type { PartRow, RunRow } from '../catalog/policies.ts';
import type { SessionRow } from '../catalog/sessions.ts';
import { policyDocument, type GivenPolicy } from '../contract/policies.ts';
import { openPolicyPromises } from './policy-promises.ts';
import { openNewsReader } from './telling/news.ts';
import type { Reports } from './telling/reports.ts';

const nowMs = Temporal.Instant.from('2026-06-03T12:00Z').epochMilliseconds;
const minuteMs = 60_000;

async function openScene() {
  const directory = mkdtempSync(join(tmpdir(), 'tm-promises-'));
  const catalog = await openCatalog(join(directory, 'catalog.sqlite'));
  const policies = openPolicyPromises({ catalog, clock: { ...systemClock, now: () => nowMs } });
  await catalog.repositories.add({ id: 'r1', name: 'r1', host: 'local', location: '{}', sealed_secret: null, sealed_passphrase: '', sealed_key: '', passphrase_file: null, is_default: 1, added_ms: 1, limits: '[]', gateways: '{"through":[],"hosts":null}', is_attached: 0, immutable: null, copies_at_once: null, connections: null });
  await catalog.sets.add({ id: 's1', name: 'rs0', repository: 'r1', sealed_target: '', sign_in: 'none', hosts: '[]', discovered: '{}', added_ms: 1, refreshed_ms: 1, oplog_mode: '{}' });
  return {
    catalog, policies,
    add: async (given: GivenPolicy, isEnabled = true) =>
      await catalog.policies.add({ id: given.name, name: given.name, document: JSON.stringify(policyDocument.parse(given)), is_enabled: isEnabled ? 1 : 0, counts_from_ms: nowMs, next_ms: null, follows: null, added_ms: 1 }),
    open: async (run: Partial<RunRow>, part: Partial<PartRow>) =>
      await catalog.policies.openRun({
        run: { id: 'run', policy: 'nightly', state: 'open', why: 'its schedule', due_ms: nowMs, missed: 0, skipped: 0, opens_ms: nowMs, closes_ms: null, full_read: 0, stopping: 0, added_ms: nowMs, ended_ms: null, says: null, ...run },
        parts: [{ run: 'run', set_id: 's1', set_name: 'rs0', state: 'running', attempt: 0, not_before_ms: nowMs, session: 'x', says: null, ...part }],
      }, null),
    [Symbol.asyncDispose]: async () => {
      await catalog.close();
      rmSync(directory, { recursive: true });
    },
  };
}

const begunFor = (claim: string | null): SessionRow => ({ claim, set_id: null }) as SessionRow;

test('the strictest of the enabled policies of a set is its promise', async () => {
  await using scene = await openScene();
  const usual = await scene.policies.promisedTo('s1');
  assert.deepEqual(usual, { lossSeconds: 900, pointHours: 25 });
  await scene.add({ name: 'weekly', sets: ['s1'], schedule: { kind: 'daily', at: '22:00', days: ['sun'] } });
  assert.equal((await scene.policies.promisedTo('s1')).pointHours, 169, 'a weekly policy does not promise a point each day');
  await scene.add({ name: 'strict', sets: ['s1'], promise: { pointHours: 6, lossSeconds: 60 } });
  await scene.add({ name: 'off', sets: ['s1'], promise: { pointHours: 1 } }, false);
  await scene.add({ name: 'other', sets: ['s2'], promise: { pointHours: 1 } });
  assert.deepEqual(await scene.policies.promisedTo('s1'), { lossSeconds: 60, pointHours: 6 });
  const all = await scene.policies.promisedToAll();
  assert.deepEqual([all('s1'), all('s2')], [{ lossSeconds: 60, pointHours: 6 }, usual], 'read for all it is the same; one that is not protected has no policy');
});

test('a session names the policy that began it, a backup and a verification alike', async () => {
  await using scene = await openScene();
  await scene.add({ name: 'nightly', sets: ['s1'] });
  await scene.open({}, {});
  for (const claim of ['run/s1/0', `verify/nightly/s1/${nowMs}`]) assert.deepEqual(await scene.policies.namesOf(begunFor(claim)), ['policy:nightly'], claim);
  for (const claim of [null, 'reread/r/1', 'gone/s1/0']) assert.deepEqual(await scene.policies.namesOf(begunFor(claim)), [], String(claim));
});

test('what happens to a set belongs to each policy that has it: alarms, protection, and sessions that no policy began', async () => {
  await using scene = await openScene();
  await scene.add({ name: 'nightly', sets: ['s1'] });
  await scene.add({ name: 'weekly', sets: ['s1'] });
  await scene.add({ name: 'other', sets: ['s2'] });
  await scene.open({}, {});
  const both = ['policy:nightly', 'policy:weekly'];
  const names = async (session: Partial<SessionRow>): Promise<string[]> => (await scene.policies.namesOf(session as SessionRow)).sort();
  assert.deepEqual(await names({ claim: null, kind: 'retention', set_id: 's1', object_kind: 'set', object_id: 's1' }), both);
  assert.deepEqual(await names({ claim: 'reread/r1/1', kind: 'check', set_id: null, object_kind: 'repository', object_id: 'r1' }), both, 'a re-read of where its points are');
  assert.deepEqual(await names({ claim: 'reread/r2/1', kind: 'check', set_id: null, object_kind: 'repository', object_id: 'r2' }), []);
  assert.deepEqual(await names({ claim: 'run/s1/0', kind: 'backup', set_id: 's1', object_kind: 'set', object_id: 's1' }), ['policy:nightly'], 'a run of one policy is no news of another');

  const reader = openNewsReader({ catalog: scene.catalog, reports: {} as Reports, policies: scene.policies, server: () => '' });
  await scene.catalog.sets.raiseAlarm({ id: 'a1', set_id: 's1', at_ms: 1, raised_ms: 1, what: 'oplog barrier', says: 'x', backup_session: null, is_settled: 0 });
  for (const [kind, ref] of [['alarm', 'a1'], ['unprotected', 's1']] as const) {
    const news = await reader.forRule({ id: 'n1', kind, ref, at_ms: 1, shared_ms: null } as unknown as Parameters<typeof reader.forRule>[0]);
    assert.deepEqual([...(news?.names ?? [])].sort(), [...both, 'set:rs0'], kind);
  }
});

test('a failed try is tried again while tries are left, nobody stops the run, and its window is open then', async () => {
  const asked = async (run: Partial<RunRow>, part: Partial<PartRow>, claim = 'run/s1/0'): Promise<boolean> => {
    await using scene = await openScene();
    await scene.add({ name: 'nightly', sets: ['s1'], retry: { times: 2, minutes: 10 } });
    assert.ok(await scene.open(run, part));
    return await scene.policies.willTryAgain(begunFor(claim));
  };
  assert.equal(await asked({}, {}), true);
  assert.equal(await asked({}, { state: 'waiting', attempt: 1 }), true, 'the scheduler has seen its end already');
  assert.equal(await asked({}, { attempt: 2 }, 'run/s1/2'), false, 'it was the last');
  assert.equal(await asked({ stopping: 1 }, {}), false);
  assert.equal(await asked({ closes_ms: nowMs + 10 * minuteMs }, {}), false, 'the window is closed by then');
  assert.equal(await asked({ closes_ms: nowMs + 11 * minuteMs }, {}), true);
  assert.equal(await asked({}, { state: 'failed' }), false);
  assert.equal(await asked({}, {}, 'reread/s1/0'), false);
});
