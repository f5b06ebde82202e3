/** What becomes of news when receivers and the server fail at the worst moment. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { openCatalog } from '../../catalog/catalog.ts';
import { systemClock } from '../../base/clock.ts';
import { until } from '../../base/deadline.ts';
import { silentLog } from '../../base/log.ts';
import type { NotificationRule, Told } from '../../contract/notifications.ts';
import { sealerWith } from '../sealing.ts';
import { notReached } from '../../tell/failures.ts';
import type { NewsReader } from './news.ts';
import { openNotifications } from './notifications.ts';
import { openTeller } from './teller.ts';

const hourMs = 3_600_000;
const yearMs = 365 * 24 * hourMs;

async function openScene() {
  const directory = mkdtempSync(join(tmpdir(), 'tm-teller-'));
  const catalog = await openCatalog(join(directory, 'catalog.sqlite'));
  const clock = { ...systemClock, nowMs: 1_800_000_000_000, now: () => clock.nowMs };
  const notifications = openNotifications({ catalog, sealer: sealerWith(new Uint8Array(32)), clock, fingerprint: () => 'ab'.repeat(32) });
  const reader: NewsReader = {
    forRule: async (row) => await Promise.resolve({ what: 'failed', names: [`set:${row.ref}`], willTryAgain: false }),
    message: async (row) => await Promise.resolve({ told: { id: row.id, kind: 'session', atMs: row.at_ms, severity: row.kind === 'alarm' ? 'critical' : 'warning', title: row.ref, lines: [], server: 's', object: null, session: null, count: 1 } as Told, html: null }),
  };
  const sent: string[] = [];
  const digests: Told[] = [];
  let send: (to: string, title: string) => Promise<void> = async () => await Promise.resolve();
  const started: (() => Promise<void>)[] = [];
  const start = () => {
    const ends = new AbortController();
    const teller = openTeller({ catalog, notifications, reader, clock, log: silentLog, server: () => 's', everyMs: 5, send: async (channel, { told }) => {
      const to = channel.kind === 'syslog' ? channel.host : '';
      await send(to, told.title);
      sent.push(`${to} ${told.title}`);
      if (told.kind === 'digest') digests.push(told);
      return { says: 'yes' };
    } });
    const running = teller.run(ends.signal);
    const end = async (): Promise<void> => {
      ends.abort(new Error('killed'));
      await running;
    };
    started.push(end);
    return { end };
  };
  return {
    catalog, clock, sent, digests, start,
    onSend: (act: typeof send) => void (send = act),
    add: async (name: string, rule: Partial<NotificationRule> = {}) => await notifications.add(name, { kind: 'syslog', host: name, port: 514, transport: 'udp' }, { on: ['failed'], about: [], lastRetryOnly: true, subject: '{title}', ...rule }),
    news: async (ref: string, kind = 'session') => await catalog.news.add({ kind, ref, at_ms: ++clock.nowMs }),
    /** A session that ended, which is news. */
    session: async (id: string, as: 'warning' | 'failed') => {
      await catalog.sessions.open({ id, kind: 'backup', object_kind: 'set', object_id: 's1', object_name: 's', set_id: 's1', lane: null, sealed_wish: '', created_ms: ++clock.nowMs, reason: null, retry_of: null });
      for (const move of [{ kind: 'start' }, { kind: 'end', as }] as const) await catalog.sessions.move(id, move, ++clock.nowMs);
    },
    held: async (count: number) => await until(`${count} to be held`, 5_000, async () => {
      const [one] = await catalog.notifications.list();
      return (await catalog.news.tellings(one!.id, 'held', 100)).length === count ? true : undefined;
    }, { everyMs: 5 }),
    counts: async () => (await catalog.notifications.list()).map(({ name, told, given_up }) => `${name} ${told} ${given_up}`),
    [Symbol.asyncDispose]: async () => {
      for (const end of started) await end();
      await catalog.close();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

test('a receiver that cannot be reached holds up no other, hears all of it in order when it is back, and nothing after 24 hours', async () => {
  await using scene = await openScene();
  for (const name of ['away', 'there']) await scene.add(name);
  scene.onSend(async (to) => {
    if (to === 'away') throw notReached({ receiver: to, why: 'no route' });
    await Promise.resolve();
  });
  const server = scene.start();
  for (const ref of ['one', 'two']) await scene.news(ref);
  await until('one of them to hear both', 5_000, () => (scene.sent.length === 2 ? true : undefined), { everyMs: 5 });
  assert.deepEqual(scene.sent, ['there one', 'there two']);
  scene.onSend(async () => await Promise.resolve());
  scene.clock.nowMs += hourMs;
  await until('the other to hear both', 5_000, () => (scene.sent.length === 4 ? true : undefined), { everyMs: 5 });
  assert.deepEqual(scene.sent.slice(2), ['away one', 'away two']);
  scene.onSend(async () => await Promise.reject(notReached({ receiver: 'x', why: 'no route' })));
  await scene.news('three');
  for (let hour = 0; hour < 26; hour++) {
    scene.clock.nowMs += hourMs;
    await systemClock.wait(20);
  }
  await until('both to give up', 5_000, async () => ((await scene.counts()).every((line) => line.endsWith(' 2 1')) ? true : undefined), { everyMs: 5 });
  await server.end();
});

test('a server that is killed between the receiver\'s yes and its note tells it again, with the same id; one killed before tells it then', async () => {
  await using scene = await openScene();
  await scene.add('log');
  await scene.news('before the start');
  const sending = Promise.withResolvers<void>();
  const never = Promise.withResolvers<void>();
  scene.onSend(async () => {
    sending.resolve();
    await never.promise;
  });
  const first = scene.start();
  await sending.promise;
  // What is under way when a server dies has no note.
  const dying = first.end();
  never.reject(new Error('the process is gone'));
  await dying;
  assert.deepEqual(await scene.counts(), ['log 0 0']);
  scene.onSend(async () => await Promise.resolve());
  const second = scene.start();
  await until('it to be told', 5_000, () => (scene.sent.length === 1 ? true : undefined), { everyMs: 5 });
  await until('it to be noted', 5_000, async () => ((await scene.counts())[0] === 'log 1 0' ? true : undefined), { everyMs: 5 });
  await second.end();
  const third = scene.start();
  await scene.news('after it');
  await until('the next', 5_000, () => (scene.sent.length === 2 ? true : undefined), { everyMs: 5 });
  assert.deepEqual(scene.sent, ['log before the start', 'log after it']);
  await third.end();
});

test('news from before a notification was added is not for it', async () => {
  await using scene = await openScene();
  await scene.news('old');
  scene.clock.nowMs += 1000;
  await scene.add('late');
  await scene.news('new');
  const server = scene.start();
  await until('the new one', 5_000, () => (scene.sent.length > 0 ? true : undefined), { everyMs: 5 });
  assert.deepEqual(scene.sent, ['late new']);
  await server.end();
});

test('a notification that was added while the clock was ahead hears what comes when it is set right, and has its daily report', async () => {
  await using scene = await openScene();
  scene.clock.nowMs += yearMs;
  await scene.add('ahead', { dailyAt: '12:00' });
  scene.clock.nowMs -= yearMs;
  await scene.news('at once');
  const server = scene.start();
  await until('what was there', 5_000, () => (scene.sent.includes('ahead at once') ? true : undefined), { everyMs: 5 });
  await until('it to count from now', 5_000, async () => ((await scene.catalog.notifications.find('ahead'))!.summary_from_ms <= scene.clock.nowMs ? true : undefined), { everyMs: 5 });
  await scene.news('later');
  await until('what came then', 5_000, () => (scene.sent.includes('ahead later') ? true : undefined), { everyMs: 5 });
  scene.clock.nowMs += 24 * hourMs;
  await until('the report of the day', 5_000, () => (scene.sent.length === 3 ? true : undefined), { everyMs: 5 });
  await server.end();
});

test('what was not told while the clock was ahead is told when it is set right, by the same server and by one that starts then', async () => {
  for (const isRestarted of [false, true]) {
    await using scene = await openScene();
    await scene.add('log');
    const refused = Promise.withResolvers<void>();
    scene.onSend(async () => {
      refused.resolve();
      await Promise.reject(notReached({ receiver: 'x', why: 'no route' }));
    });
    scene.clock.nowMs += yearMs;
    let server = scene.start();
    await scene.news('ahead');
    await refused.promise;
    await until('it to wait for its next try', 5_000, async () => ((await scene.catalog.notifications.find('log'))!.says !== null ? true : undefined), { everyMs: 5 });
    if (isRestarted) await server.end();
    scene.clock.nowMs -= yearMs;
    scene.onSend(async () => await Promise.resolve());
    if (isRestarted) server = scene.start();
    await until('it to be told', 5_000, () => (scene.sent.length === 1 ? true : undefined), { everyMs: 5 });
    await server.end();
  }
});

test('news of a clock that was ahead is tried for 24 hours, and not until that moment has come', async () => {
  await using scene = await openScene();
  await scene.add('log');
  scene.clock.nowMs += yearMs;
  await scene.news('ahead');
  scene.clock.nowMs -= yearMs;
  scene.onSend(async () => await Promise.reject(notReached({ receiver: 'x', why: 'no route' })));
  const server = scene.start();
  await until('it to be given up', 3_000, async () => {
    scene.clock.nowMs += hourMs;
    return (await scene.counts())[0] === 'log 0 1' ? true : undefined;
  }, { everyMs: 10 });
  await server.end();
});

test('a digest gives up what was tried for 24 hours, and tells what is newer', async () => {
  await using scene = await openScene();
  await scene.add('log', { perHour: 1 });
  await scene.news('first');
  const server = scene.start();
  await until('the first', 5_000, () => (scene.sent.length === 1 ? true : undefined), { everyMs: 5 });
  scene.onSend(async () => await Promise.reject(notReached({ receiver: 'x', why: 'no route' })));
  await scene.news('second');
  await scene.held(1);
  scene.clock.nowMs += 23 * hourMs;
  await scene.news('alarm', 'alarm');
  await until('it to be shared out', 5_000, async () => ((await scene.catalog.news.waiting())[0]?.count === 2 ? true : undefined), { everyMs: 5 });
  scene.clock.nowMs += 2 * hourMs;
  await until('the second to be given up', 5_000, async () => ((await scene.counts())[0] === 'log 1 1' ? true : undefined), { everyMs: 5 });
  scene.onSend(async () => await Promise.resolve());
  scene.clock.nowMs += 2 * hourMs;
  await until('the alarm', 5_000, async () => ((await scene.counts())[0] === 'log 2 1' ? true : undefined), { everyMs: 5 });
  assert.match(scene.digests[0]!.lines.join(), /alarm$/);
  await server.end();
});

test('a digest names the worst first, and is as severe as the worst of all that it tells of', async () => {
  await using scene = await openScene();
  await scene.add('log', { perHour: 1 });
  await scene.news('first');
  const server = scene.start();
  await until('the first', 5_000, () => (scene.sent.length === 1 ? true : undefined), { everyMs: 5 });
  for (let n = 0; n < 60; n++) await scene.session(`w${n}`, 'warning');
  await scene.session('broken', 'failed');
  await scene.news('gap', 'alarm');
  await scene.held(62);
  scene.clock.nowMs += hourMs;
  const [{ severity, lines, count }] = await until('the digest', 5_000, () => (scene.digests.length > 0 ? (scene.digests as [Told]) : undefined), { everyMs: 5 });
  assert.deepEqual([severity, count, lines.length, lines.slice(0, 4).map((line) => line.split(' ')[1]), lines.at(-1)!.slice(0, 11)], ['critical', 62, 51, ['gap', 'broken', 'w0', 'w1'], 'and 12 more']);
  await server.end();
});
