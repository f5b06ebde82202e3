import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openServerPlatform } from '../../test/kit/server-platform.ts';

test('a backup is a success only after the point was opened, and its proof is on the point', async () => {
  await using platform = await openServerPlatform();
  await platform.addSet();
  const { id } = await platform.ask('backup.run', { params: { set: 'rs0' }, body: {} });
  const session = await platform.ended(id);
  assert.equal(session.state, 'success', JSON.stringify(session.failure));
  assert.ok(session.result?.kind === 'backup');
  assert.equal(session.result.verified, true);
  assert.deepEqual(platform.fake.begun.filter(({ kind }) => kind !== 'oplog').map(({ kind }) => kind), ['backup', 'prove']);
  assert.deepEqual(session.steps.map(({ name }) => name), ['look at the set', 'make the copy', 'copy the files', 'wait for the archived oplog', 'prove the restore point']);
  const { points } = await platform.ask('point.list', { query: { set: 'rs0' } });
  assert.equal(points.length, 1);
  assert.equal(points[0]?.proof?.ok, true);
  assert.match(points[0]?.proof?.says ?? '', /1 collections with 42 documents/);
  assert.equal(platform.fake.proofs.length, 1);
});
