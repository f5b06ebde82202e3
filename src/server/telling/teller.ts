/**
 * The teller: shares news out, and tells it. Modes and order are those of docs/design/telling.md; everything that waits is in the
 * catalog, so a server that is killed at any step goes on here at its next start.
 */
import type { Catalog } from '../../catalog/catalog.ts';
import type { HeldRow, NewsRow, NotificationRow, TellingRow } from '../../catalog/news.ts';
import type { Clock } from '../../base/clock.ts';
import { describe, isFailure } from '../../base/failure.ts';
import { randomId } from '../../base/ids.ts';
import type { Log } from '../../base/log.ts';
import type { Told } from '../../contract/notifications.ts';
import { severities } from '../../contract/notifications.ts';
import { countsAs } from '../../domain/kept-moment.ts';
import { fillSubject, judge, longestWaitMs, nextTry, openHour } from '../../domain/notification-rule.ts';
import { sendOver } from '../../tell/send.ts';
import { severityAtMost, type Message, type NewsReader } from './news.ts';
import type { Notifications } from './notifications.ts';

export type Teller = {
  /** Tells until the signal is aborted; resolves when nothing is under way any more. */
  /** Rounds of another server's are left out: `isMine` says whether this one tells. */
  run(signal: AbortSignal, isMine?: () => Promise<boolean>): Promise<void>;
  wake(): void;
  /** Sends one message now, past rule and limit. */
  test(row: NotificationRow): Promise<{ event: string; says: string; ms: number }>;
};

type Options = { catalog: Catalog; notifications: Notifications; reader: NewsReader; clock: Clock; log: Log; server: () => string; everyMs?: number; send?: typeof sendOver };

/** One telling, and when its news happened. */
type Telling = Pick<TellingRow, 'news' | 'notification' | 'tries'> & Pick<NewsRow, 'at_ms'>;

const inDigest = 50;
const keptMs = 8 * 86_400_000;

/** News of before a notification was added is not for it. Where the clock was ahead then, nobody knows: it is. */
const isFor = (news: NewsRow, addedMs: number, nowMs: number): boolean => countsAs(addedMs, nowMs) !== addedMs || addedMs <= news.at_ms;

export function openTeller({ catalog, notifications, reader, clock, log, server, everyMs = 2_000, send = sendOver }: Options): Teller {
  const hours = new Map<string, ReturnType<typeof openHour>>();
  const senders = new Map<string, Promise<void>>();
  /** When a notification's queue is looked at again. */
  const resting = new Map<string, number>();
  let woken = Promise.withResolvers<void>();
  /** By the clock that cannot be set. */
  let forgotMs = -Infinity;

  const isLater = (nextMs: number): boolean => countsAs(nextMs, clock.now(), longestWaitMs) > clock.now();

  const hourOf = (row: NotificationRow): ReturnType<typeof openHour> => {
    const known = hours.get(row.id) ?? openHour(notifications.perHourOf(row));
    hours.set(row.id, known);
    return known;
  };

  async function deliver(row: NotificationRow, { told, html }: Message, signal?: AbortSignal): Promise<string> {
    const { subject } = notifications.ruleOf(row);
    const fields = { title: told.title, kind: told.session?.kind ?? told.kind, object: told.object?.name ?? '', state: told.session?.state ?? told.kind, severity: told.severity, session: told.session?.id ?? '', server: told.server };
    return (await send(notifications.channelOf(row), { told, subject: fillSubject(subject, fields), html, engineId: notifications.engineId(), nowMs: clock.now() }, signal)).says;
  }

  async function shareOut(): Promise<void> {
    const rows = await notifications.list();
    const nowMs = clock.now();
    for (const news of await catalog.news.toShare()) {
      const asked = rows.length === 0 ? undefined : await reader.forRule(news);
      const verdicts = asked === undefined ? [] : rows.filter(({ added_ms }) => isFor(news, added_ms, nowMs)).map((row) => ({ notification: row.id, verdict: judge(notifications.ruleOf(row), asked) }));
      await catalog.news.share(news.id, verdicts.filter(({ verdict }) => verdict !== 'not-its').map(({ notification, verdict }) => ({ notification, state: verdict === 'muted' ? 'muted' : 'waiting', next_ms: news.at_ms })));
    }
    for (const row of rows) {
      const kept = { added_ms: countsAs(row.added_ms, nowMs), summary_from_ms: countsAs(row.summary_from_ms, nowMs) };
      if (kept.added_ms !== row.added_ms || kept.summary_from_ms !== row.summary_from_ms) await catalog.notifications.countFrom(row.id, kept);
      const dueMs = notifications.summaryAtMs(row);
      if (dueMs !== null && dueMs <= clock.now()) await catalog.news.addSummary(row.id, clock.now());
    }
  }

  /** One message to one notification; false: its queue rests. */
  async function tellOne(row: NotificationRow, tellings: readonly Telling[], make: () => Promise<Message | undefined>, signal: AbortSignal): Promise<boolean> {
    const news = tellings.map((one) => one.news);
    const message = await make();
    if (message === undefined) {
      await catalog.news.end(row.id, news, 'given-up', 'what it was about is gone', clock.now());
      return true;
    }
    try {
      hourOf(row).count(clock.now());
      const says = await deliver(row, message, signal);
      await catalog.news.end(row.id, news, 'told', null, clock.now());
      log.info('told', { notification: row.name, event: message.told.id, session: message.told.session?.id, says });
      return true;
    } catch (error) {
      signal.throwIfAborted();
      const says = describe(error);
      const tries = Math.max(...tellings.map((one) => one.tries)) + 1;
      const isLost = isFailure(error) && error.retry === 'never';
      const nexts = tellings.map((one) => ({ ...one, nextMs: isLost ? null : nextTry(one.at_ms, tries, clock.now()) }));
      const about = { notification: row.name, event: message.told.id, session: message.told.session?.id, tries, why: says };
      // Of a digest each has its own 24 hours.
      const over = nexts.flatMap((one) => (one.nextMs === null ? [one.news] : []));
      if (over.length > 0) {
        log.warn('a notification was given up', about);
        await catalog.news.end(row.id, over, 'given-up', says, clock.now());
      }
      if (over.length === tellings.length) return true;
      log.warn('a notification was not told; it is tried again', about);
      for (const one of nexts) if (one.nextMs !== null) await catalog.news.change(one, { tries, next_ms: one.nextMs });
      await catalog.notifications.say(row.id, says);
      resting.set(row.id, Math.min(...nexts.flatMap(({ nextMs }) => nextMs ?? [])));
      return false;
    }
  }

  async function tellAll(row: NotificationRow, signal: AbortSignal): Promise<void> {
    while (!signal.aborted && (await catalog.notifications.find(row.id)) !== undefined) {
      const isFull = !hourOf(row).hasRoom(clock.now());
      const [isHeld] = await catalog.news.tellings(row.id, 'held', 1);
      if (isFull || isHeld !== undefined) {
        await catalog.news.hold(row.id);
        if (isFull) return;
        const held = await catalog.news.held(row.id, 10_000);
        if (!(await tellOne(row, held, async () => await digest(held), signal))) return;
        continue;
      }
      const [next] = await catalog.news.tellings(row.id, 'waiting', 1);
      if (next === undefined) return;
      if (isLater(next.next_ms)) return void resting.set(row.id, next.next_ms);
      const news = (await catalog.news.find(next.news))!;
      if (!(await tellOne(row, [{ ...next, at_ms: news.at_ms }], async () => await reader.message(news), signal))) return;
    }
  }

  /** The worst are shown, and of all of them it has the severity of the worst. */
  async function digest(held: readonly HeldRow[]): Promise<Message | undefined> {
    const ranked = held.map((row) => ({ row, rank: severities.indexOf(severityAtMost(row)) })).sort((a, b) => b.rank - a.rank);
    const shown: Told[] = [];
    let looked = 0;
    while (looked < ranked.length && shown.length < inDigest) {
      const message = await reader.message(ranked[looked++]!.row);
      if (message !== undefined) shown.push(message.told);
    }
    if (shown.length === 0) return undefined;
    const worst = Math.max(ranked[looked]?.rank ?? 0, ...shown.map(({ severity }) => severities.indexOf(severity)));
    const lines = shown.map(({ atMs, title }) => `${new Date(atMs).toISOString()} ${title}`);
    if (held.length > shown.length) lines.push(`and ${held.length - shown.length} more; "tidemark session list" has them`);
    return { told: { id: `digest-${held[0]!.news}-${held.at(-1)!.news}`, kind: 'digest', atMs: clock.now(), severity: severities[worst]!, title: `${held.length} more events in the last hour than are told one by one`, lines, server: server(), object: null, session: null, count: held.length }, html: null };
  }

  async function startSenders(signal: AbortSignal): Promise<void> {
    for (const row of await notifications.list()) {
      if (senders.has(row.id) || isLater(resting.get(row.id) ?? 0)) continue;
      resting.delete(row.id);
      const sending = tellAll(row, signal)
        .catch((error: unknown) => {
          if (!signal.aborted) log.error('news could not be told', { notification: row.name, why: describe(error) });
        })
        .finally(() => senders.delete(row.id));
      senders.set(row.id, sending);
    }
  }

  async function round(signal: AbortSignal): Promise<void> {
    await shareOut();
    await startSenders(signal);
    if (clock.monotonicMs() - forgotMs <= 3_600_000) return;
    forgotMs = clock.monotonicMs();
    await catalog.news.countFrom(clock.now());
    await catalog.news.forgetBefore(clock.now() - keptMs);
  }

  return {
    wake: () => woken.resolve(),
    async run(signal, isMine) {
      while (!signal.aborted) {
        woken = Promise.withResolvers<void>();
        try {
          if (isMine === undefined || (await isMine())) await round(signal);
        } catch (error) {
          if (!signal.aborted) log.error('news could not be shared out', { why: describe(error) });
        }
        const ends = new AbortController();
        await Promise.race([woken.promise, clock.wait(everyMs, AbortSignal.any([signal, ends.signal])).catch(() => {})]);
        ends.abort(new Error('woken'));
      }
      await Promise.all(senders.values());
    },
    async test(row) {
      const event = `test-${randomId()}`;
      const begunMs = clock.monotonicMs();
      const told: Told = { id: event, kind: 'test', atMs: clock.now(), severity: 'info', title: 'a test of this notification', lines: [`notification ${row.name}: what is told to it arrives here`], server: server(), object: null, session: null, count: 1 };
      const says = await deliver(row, { told, html: null });
      await catalog.notifications.say(row.id, null);
      await catalog.news.hasten(row.id, clock.now());
      resting.delete(row.id);
      woken.resolve();
      return { event, says, ms: clock.monotonicMs() - begunMs };
    },
  };
}
