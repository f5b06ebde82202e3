/**
 * What sessions say, kept and live. Kept events are in the catalog before anyone sees them; a watcher reads the catalog
 * and is woken for more, so that it misses nothing and sees nothing twice, however slow it is.
 */
import type { Catalog } from '../catalog/catalog.ts';
import type { Clock } from '../base/clock.ts';
import { endStates, sessionEvent, type SessionEvent } from '../contract/sessions.ts';
import type { SessionProgress } from './session-progress.ts';

type Event = SessionEvent['event'];
type Kept = Exclude<Event, { kind: 'progress' }>;

export type SessionLog = {
  /** Keeps the event; with `task` the task's cursor moves in the same transaction. */
  keep(session: string, event: Kept, atMs?: number, task?: { taskId: string; after: number }): Promise<void>;
  progress(session: string, progress: SessionProgress, atMs: number): void;
  /** The progress now, fresher than the catalog's. */
  progressOf(session: string): SessionProgress | undefined;
  /** Writes down the last progress of a session that ends, and forgets it here. */
  settle(session: string): Promise<void>;
  /** Tells watchers that the catalog has news of a session. */
  wake(session: string): void;
  watch(session: string, after: number, signal: AbortSignal): AsyncGenerator<SessionEvent>;
};

const progressKeptEveryMs = 5_000;

export function openSessionLog(catalog: Catalog, clock: Clock): SessionLog {
  const watchers = new Map<string, Set<() => void>>();
  const live = new Map<string, { progress: SessionProgress; atMs: number; keptMs: number }>();
  const wake = (session: string): void => {
    for (const tell of watchers.get(session) ?? []) tell();
  };

  async function* watch(session: string, after: number, signal: AbortSignal): AsyncGenerator<SessionEvent> {
    let next = after;
    let shownMs = -1;
    let news = Promise.withResolvers<void>();
    const tell = (): void => news.resolve();
    watchers.set(session, (watchers.get(session) ?? new Set()).add(tell));
    signal.addEventListener('abort', tell, { once: true });
    try {
      while (!signal.aborted) {
        news = Promise.withResolvers<void>();
        const rows = await catalog.sessions.events(session, next, 500);
        for (const row of rows) {
          const event = sessionEvent.parse({ number: row.number, atMs: row.at_ms, event: JSON.parse(row.event) });
          next = row.number;
          yield event;
          if (event.event.kind === 'state' && endStates.has(event.event.state)) return;
        }
        if (rows.length > 0) continue;
        const current = live.get(session);
        if (current !== undefined && current.atMs !== shownMs) {
          shownMs = current.atMs;
          yield { number: next, atMs: current.atMs, event: { kind: 'progress', progress: current.progress } };
          continue;
        }
        // What another server keeps wakes nobody here.
        await (catalog.kind === 'sqlite' ? news.promise : Promise.race([news.promise, clock.wait(500, signal).catch(() => {})]));
      }
    } finally {
      signal.removeEventListener('abort', tell);
      watchers.get(session)?.delete(tell);
      if (watchers.get(session)?.size === 0) watchers.delete(session);
    }
  }

  return {
    async keep(session, event, atMs = clock.now(), task) {
      await catalog.sessions.append(session, atMs, event, task);
      if (event.kind === 'line' && event.level === 'warning') await catalog.sessions.addWarning(session);
      wake(session);
    },
    progress(session, progress, atMs) {
      const keptMs = live.get(session)?.keptMs ?? 0;
      const isDue = clock.monotonicMs() - keptMs >= progressKeptEveryMs;
      live.set(session, { progress, atMs, keptMs: isDue ? clock.monotonicMs() : keptMs });
      if (isDue) void catalog.sessions.setProgress(session, JSON.stringify(progress)).catch(() => {});
      wake(session);
    },
    progressOf: (session) => live.get(session)?.progress,
    async settle(session) {
      const last = live.get(session);
      if (last !== undefined) await catalog.sessions.setProgress(session, JSON.stringify({ ...last.progress, bytesPerSecond: null, secondsLeft: null }));
      live.delete(session);
    },
    wake,
    watch,
  };
}
