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

const minuteMs = 60_000;
const dayMs = 1_440 * minuteMs;

async function openScene() {
  const directory = mkdtempSync(join(tmpdir(), 'tm-watch-'));
  const catalog = await openCatalog(join(directory, 'catalog.sqlite'));
  const turned = { ...systemClock, nowMs: 1e12, elapsedMs: 0, now: () => turned.nowMs, monotonicMs: () => turned.elapsedMs };
  const shop = { isProtected: false, isThere: true };
  const reports = {
    each: async function* () {
      if (shop.isThere) yield await Promise.resolve({ id: 's1', standing: { set: 'shop', isProtected: shop.isProtected, reasons: [] } });
    },
  } as unknown as Reports;
  const watch = openProtectionWatch({ catalog, reports, clock: turned, log: silentLog });
  return {
    turned, shop, catalog,
    /** What is told by then that was not told before. */
    async lookAfter(ms: number): Promise<string[]> {
      turned.nowMs += ms;
      turned.elapsedMs += ms;
      await watch.look();
      const news = await catalog.news.toShare();
      for (const { id } of news) await catalog.news.share(id, []);
      return news.map(({ kind, ref }) => `${kind} ${ref}`);
    },
    [Symbol.asyncDispose]: async () => {
      await catalog.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

test('a set that is not as promised for 15 minutes is told once, again after a week, and so is its return; a clock put forward tells nothing', async () => {
  await using scene = await openScene();
  const { turned, shop, lookAfter } = scene;
  assert.deepEqual(await lookAfter(0), []);
  turned.nowMs += dayMs;
  assert.deepEqual(await lookAfter(14 * minuteMs), [], 'a day by the wall clock is 14 minutes of waiting');
  assert.deepEqual(await lookAfter(minuteMs), ['unprotected s1']);
  assert.deepEqual(await lookAfter(60 * minuteMs), []);
  assert.deepEqual(await lookAfter(7 * dayMs), ['unprotected s1']);
  shop.isProtected = true;
  assert.deepEqual(await lookAfter(minuteMs), ['protected s1']);
  assert.deepEqual(await lookAfter(minuteMs), []);
  shop.isProtected = false;
  assert.deepEqual(await lookAfter(minuteMs), [], 'it has its 15 minutes anew');
});

test('a set that was told as unprotected while the clock was ahead returns once, and is told when it is unprotected again', async () => {
  await using scene = await openScene();
  const { turned, shop, lookAfter } = scene;
  turned.nowMs += 2 * dayMs;
  assert.deepEqual([...(await lookAfter(0)), ...(await lookAfter(20 * minuteMs))], ['unprotected s1']);
  turned.nowMs -= 2 * dayMs;
  shop.isProtected = true;
  const told: string[] = [];
  for (let minute = 0; minute < 120; minute++) told.push(...(await lookAfter(minuteMs)));
  assert.deepEqual(told, ['protected s1']);
  shop.isProtected = false;
  told.length = 0;
  for (let quarter = 0; quarter < 96; quarter++) told.push(...(await lookAfter(15 * minuteMs)));
  assert.deepEqual(told, ['unprotected s1']);
});

test('one that stays unprotected is told again after a week, however far ahead the clock was, and one that is gone is forgotten', async () => {
  await using scene = await openScene();
  const { turned, shop, lookAfter, catalog } = scene;
  turned.nowMs += 365 * dayMs;
  assert.deepEqual([...(await lookAfter(0)), ...(await lookAfter(20 * minuteMs))], ['unprotected s1']);
  turned.nowMs -= 365 * dayMs;
  const told: string[] = [];
  for (let day = 0; day < 10; day++) told.push(...(await lookAfter(dayMs)));
  assert.deepEqual(told, ['unprotected s1']);
  shop.isThere = false;
  await lookAfter(minuteMs);
  assert.equal((await catalog.news.toldUnprotected()).size, 0);
});
