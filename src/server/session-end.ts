/**
 * The end of a session, written again and again until it is there: until then its lane is taken, and whoever waits for it waits. A disk that
 * was full for a moment, or a database that was locked, must not leave it `working` until the server is started again.
 *
 *   outcome ──write──▶ ended
 *     ▲          │ failed: the same outcome, after 1 s, doubled up to a minute
 *     └──────────┘ this server ends, was replaced, or the catalog is away: left to whoever takes the session up
 */
import type { Catalog } from '../catalog/catalog.ts';
import type { SessionEnd } from '../catalog/sessions.ts';
import type { Clock } from '../base/clock.ts';
import { describe, toWire } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import type { Finished } from './flow.ts';
import type { SessionLog } from './session-log.ts';

export type Ending = SessionEnd & {
  readonly as: 'success' | 'warning' | 'failed' | 'stopped';
  /** The last words of one that did not finish. */
  readonly says: { readonly level: 'info' | 'error'; readonly text: string } | null;
};

export const finishedEnding = ({ state, result }: Finished): Ending => ({ as: state, result: JSON.stringify(result), failure: null, says: null });

export const failedEnding = (failure: unknown): Ending => ({ as: 'failed', result: null, failure: JSON.stringify(toWire(failure)), says: { level: 'error', text: describe(failure) } });

export const stoppedEnding = (why: unknown): Ending => ({ as: 'stopped', result: null, failure: null, says: { level: 'info', text: describe(why) } });

const longestWaitMs = 60_000;

/** `closing`: aborted when this server ends or the catalog is away; the end is then written once more if it can be, and not waited for. */
export async function writeEnd(id: string, { as, says, ...end }: Ending, { catalog, sessionLog, clock }: { catalog: Catalog; sessionLog: SessionLog; clock: Clock }, closing: AbortSignal, log: Log): Promise<void> {
  let isSaid = says === null;
  for (let waitMs = 1_000; ; waitMs = Math.min(longestWaitMs, waitMs * 2)) {
    try {
      await sessionLog.settle(id);
      // A session that was stopped before it began has had its end.
      if ((await catalog.sessions.find(id))?.ended_ms !== null) return;
      if (says !== null && !isSaid) await sessionLog.keep(id, { kind: 'line', ...says });
      isSaid = true;
      await catalog.sessions.move(id, { kind: 'end', as }, clock.now(), end);
      sessionLog.wake(id);
      return log.info('session ended', { state: as });
    } catch (error) {
      if (closing.aborted) return;
      log.error('a session could not be ended; it is tried again', { as, seconds: waitMs / 1000, why: describe(error) });
    }
    await clock.wait(waitMs, closing).catch(() => {});
    if (closing.aborted) return;
  }
}
