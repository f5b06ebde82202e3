/**
 * Sessions live, as server-sent events: `id` is the number of the event, `event` its kind, `data` the JSON of the contract.
 * Whoever may no longer watch is not served on: it is asked again as often as a quiet stream says that it is there.
 */
import { once } from 'node:events';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { RouteQuestion } from '../../contract/routes.ts';
import type { SessionEngine } from '../session-engine.ts';
import type { SessionLog } from '../session-log.ts';

/** A stream is never silent for longer: a client can tell a quiet session from a lost server. */
const usualQuietMs = 15_000;

export function sessionStream(engine: SessionEngine, sessionLog: SessionLog, closing: AbortSignal, quietMs = usualQuietMs) {
  return async ({ params, query }: RouteQuestion<'session.events'>, request: FastifyRequest, reply: FastifyReply, demandAgain: () => Promise<void>): Promise<void> => {
    await engine.find(params.session);
    const last = Number(request.headers['last-event-id'] ?? 0);
    const after = Math.max(query.after, Number.isSafeInteger(last) && last > 0 ? last : 0);
    const ends = new AbortController();
    const end = (): void => ends.abort();
    closing.addEventListener('abort', end, { once: true });
    const { raw } = reply.hijack();
    raw.once('close', end);
    raw.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store', 'x-content-type-options': 'nosniff' });
    raw.flushHeaders();
    const stillHere = (): void => {
      if (!ends.signal.aborted) raw.write(': still here\n\n');
    };
    const quiet = setInterval(() => void demandAgain().then(stillHere, end), quietMs);
    try {
      for await (const event of sessionLog.watch(params.session, after, ends.signal)) {
        if (!raw.write(`id: ${event.number}\nevent: ${event.event.kind}\ndata: ${JSON.stringify(event)}\n\n`)) await once(raw, 'drain', { signal: ends.signal });
      }
    } catch (error) {
      if (!ends.signal.aborted) throw error;
    } finally {
      clearInterval(quiet);
      closing.removeEventListener('abort', end);
      raw.end();
    }
  };
}
