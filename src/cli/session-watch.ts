/**
 * Waiting for a session.
 *
 *   watching ──stream ends──▶ asked how it stands ──▶ ended | watching again from the last event seen
 *      │  the server is away: tried again with growing waits, two minutes long
 *      │  Ctrl-C: the session is asked to stop, and the wait goes on
 *      └─ Ctrl-C again: the session is left running, and the wait ends
 */
import { describe, isFailure } from '../base/failure.ts';
import { endStates, type Session } from '../contract/sessions.ts';
import type { Client } from './client.ts';
import type { Invocation } from './command.ts';
import { serverUnreachable } from './failures.ts';
import { openProgress, type Progress } from './progress.ts';

export type Watched = { readonly kind: 'ended'; readonly session: Session } | { readonly kind: 'left-running'; readonly session: Session };

const awayMs = 120_000;

export async function watchSession(invocation: Invocation, client: Client, started: Session, options: { stopOnInterrupt: boolean } = { stopOnInterrupt: true }): Promise<Watched> {
  const progress = openProgress(`${started.kind} ${started.object.name}`, invocation.terminal, invocation.clock);
  const leaves = new AbortController();
  let interrupts = 0;
  const release = invocation.surroundings.onInterrupt(() => {
    interrupts++;
    if (interrupts > 1 || !options.stopOnInterrupt) return leaves.abort();
    progress.say('stopping; press Ctrl-C again to leave it running');
    client.call('session.stop', { params: { session: started.id } }).catch((error: unknown) => progress.say(`it cannot be stopped: ${describe(error)}`));
  });
  try {
    return await follow(invocation, client, started, progress, leaves.signal);
  } finally {
    release();
    progress.end();
  }
}

async function follow(invocation: Invocation, client: Client, started: Session, progress: Progress, left: AbortSignal): Promise<Watched> {
  const { id } = started;
  let last = 0;
  let away: { sinceMs: number; tries: number } | undefined;
  for (;;) {
    try {
      for await (const { number, atMs, event } of client.events(id, last, left)) {
        if (away !== undefined) progress.say('the server is back');
        away = undefined;
        last = Math.max(last, number);
        progress.show(event, atMs);
      }
      const session = await client.call('session.show', { params: { session: id } });
      away = undefined;
      if (endStates.has(session.state)) return { kind: 'ended', session };
      if (left.aborted) return { kind: 'left-running', session };
    } catch (error) {
      if (left.aborted) return { kind: 'left-running', session: started };
      if (!isFailure(error, serverUnreachable)) throw error;
      if (away === undefined) progress.say('the server is away; waiting for it');
      away ??= { sinceMs: invocation.clock.monotonicMs(), tries: 0 };
      if (invocation.clock.monotonicMs() - away.sinceMs > awayMs) throw error;
      away.tries++;
    }
    // A stream that ends without an end state is not asked again at once.
    await invocation.clock.wait(Math.min(5_000, 100 * 2 ** (away?.tries ?? 0)), left).catch(() => {});
  }
}
