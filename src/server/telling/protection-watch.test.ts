import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openCatalog } from '../../catalog/catalog.ts';
import { systemClock } from '../../base/clock.ts';
import { silentLog } from '../../base/log.ts';
import { openProtectionWatch } from './protection-watch.ts';
import type { Reports } from './reports.ts';

test('a set that is not as promised for 15 minutes is told once, again after a week, and so is its return; a clock put forward tells nothing', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'tm-watch-'));
  const catalog = await openCatalog(join(directory, 'catalog.sqlite'));
  try {
    const minuteMs = 60_000;
    const turned = { ...systemClock, nowMs: 1e12, elapsedMs: 0, now: () => turned.nowMs, monotonicMs: () => turned.elapsedMs };
    let isProtected = false;
    const reports = {
      each: async function* () {
        yield await Promise.resolve({ id: 's1', standing: { set: 'shop', isProtected, reasons: [] } });
      },
    } as unknown as Reports;
    const watch = openProtectionWatch({ catalog, reports, clock: turned, log: silentLog });
    const lookAfter = async (ms: number): Promise<string[]> => {
      turned.nowMs += ms;
      turned.elapsedMs += ms;
      await watch.look();
      return (await catalog.news.toShare()).map(({ kind, ref }) => `${kind} ${ref}`);
    };
    assert.deepEqual(await lookAfter(0), []);
    turned.nowMs += 86_400_000;
    assert.deepEqual(await lookAfter(14 * minuteMs), [], 'a day by the wall clock is 14 minutes of waiting');
    assert.deepEqual(await lookAfter(minuteMs), ['unprotected s1']);
    assert.deepEqual(await lookAfter(60 * minuteMs), ['unprotected s1']);
    assert.deepEqual(await lookAfter(7 * 86_400_000), ['unprotected s1', 'unprotected s1']);
    isProtected = true;
    assert.deepEqual(await lookAfter(minuteMs), ['unprotected s1', 'unprotected s1', 'protected s1']);
    assert.equal((await lookAfter(minuteMs)).length, 3);
    isProtected = false;
    assert.equal((await lookAfter(minuteMs)).length, 3, 'it has its 15 minutes anew');
  } finally {
    await catalog.close();
    rmSync(directory, { recursive: true, force: true });
  }
});
