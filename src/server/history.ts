/**
 * Keeps history short: once a day the server that has the schedules lets go what ended so long ago that nobody asks for it
 * (docs/design/sessions.md, "How long history is kept"). Killed in between, the next pass begins anew.
 */
import type { Catalog } from '../catalog/catalog.ts';
import type { Lot, Reached } from '../catalog/history.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Believed } from './believed-time.ts';
import { keepRounds } from './rounds.ts';

const dayMs = 86_400_000;
/** A year, and the weeks in which somebody compares it with the one before. */
export const historyKeptMs = 400 * dayMs;
/** So many rows in a transaction, with a pause behind it: others have the database in between. */
const lot = 100;
const pauseMs = 20;

type Options = { catalog: Pick<Catalog, 'history'>; clock: Clock; believed: Pick<Believed, 'now'>; log: Log; signal: AbortSignal };

/** Everything that may go goes; answers how much that was. */
export async function forgetHistory({ catalog: { history }, clock, believed, log, signal }: Options): Promise<number> {
  // A clock that leaps ahead makes nothing old.
  const beforeMs = (await believed.now()) - historyKeptMs;
  const pass = async (forget: (from: Reached | null) => Promise<Lot>): Promise<number> => {
    let gone = 0;
    for (let from: Reached | null = null; ; ) {
      const done: Lot = await forget(from);
      gone += done.gone;
      from = done.reached;
      if (from === null) return gone;
      await clock.wait(pauseMs, signal);
    }
  };
  // What names sessions goes before these.
  const settled = await history.forgetSettled(beforeMs);
  const runs = await pass(async (from) => await history.forgetRuns(beforeMs, from, lot));
  const sessions = await pass(async (from) => await history.forgetSessions(beforeMs, from, lot));
  if (settled + runs + sessions > 0) log.info('history was let go', { sessions, runs, settled });
  return settled + runs + sessions;
}

export function keepHistoryShort(options: Options & { isMine: () => Promise<boolean> }): void {
  const { clock } = options;
  let nextMs = 0;
  keepRounds('the history', async () => {
    if (clock.monotonicMs() < nextMs) return nextMs - clock.monotonicMs();
    await forgetHistory(options);
    nextMs = clock.monotonicMs() + dayMs;
    return dayMs;
  }, options);
}
