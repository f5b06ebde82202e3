import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { silentLog } from '../base/log.ts';
import { openCatalog } from '../catalog/catalog.ts';
import { newestKept } from '../catalog/history.ts';
import { forgetHistory, historyKeptMs } from './history.ts';

test('sessions that are 400 days old go, all of them in one pass; a clock that leaps ahead takes none', async () => {
  await using catalog = await openCatalog(':memory:');
  const count = newestKept + 230;
  for (let n = 0; n < count; n++) {
    const id = `s${String(n).padStart(4, '0')}`;
    await catalog.sessions.open({ id, kind: 'backup', object_kind: 'set', object_id: 's1', object_name: 'rs0', set_id: 's1', lane: null, sealed_wish: '', created_ms: 1, reason: null, retry_of: null });
    await catalog.sessions.move(id, { kind: 'start' }, 1);
    await catalog.sessions.move(id, { kind: 'end', as: 'success' }, 1_000);
  }
  const clock = { ...systemClock, now: () => historyKeptMs * 50, wait: async () => await Promise.resolve() };
  const forget = async (believedMs: number): Promise<number> => await forgetHistory({ catalog, clock, believed: { now: async () => await Promise.resolve(believedMs) }, log: silentLog, signal: new AbortController().signal });
  assert.equal(await forget(historyKeptMs + 1_000), 0, 'by the time that is believed they are as old as they may be');
  assert.equal(await forget(historyKeptMs + 1_001), count - newestKept);
  assert.deepEqual((await catalog.sessions.list({ limit: 1 })).map(({ id }) => id), ['s0249']);
});
