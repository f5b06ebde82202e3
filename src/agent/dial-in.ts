/**
 * Order links that this host opens, where nobody may dial it: one to each server that it knows, all the time, so that each of several servers
 * on one catalog gives it orders as it would to a host that it dials. The same orders come down them.
 *
 *   not there ──dialled──▶ open ──lost──▶ not there       waits 0.25 s, doubled up to 15 s, and begins anew with a link that held for longer than that
 */
import type { Clock } from '../base/clock.ts';
import { describe } from '../base/failure.ts';
import { hostLabel } from '../base/host-label.ts';
import type { Log } from '../base/log.ts';
import { answerOrders, type SomeHandlers } from '../contract/link/answerer.ts';
import { dialLink } from '../contract/link/dial.ts';
import { admitPart, type LinkIdentity } from '../contract/link/trust.ts';
import type { HostAndPort } from '../contract/values.ts';
import type { KnownServers } from './known-servers.ts';

const shortestWaitMs = 250;
const longestWaitMs = 15_000;

type Dialling = { identity: () => LinkIdentity; handlers: SomeHandlers; version: string; clock: Clock; log: Log; signal: AbortSignal };

/** Resolves when the signal was aborted and every link has ended. */
export async function dialServers(servers: Pick<KnownServers, 'dials' | 'onLearn'>, options: Dialling): Promise<void> {
  const { signal } = options;
  const lines = new Map<string, { readonly end: AbortController; readonly ended: Promise<void> }>();
  const follow = (): void => {
    if (signal.aborted) return;
    const wanted = new Map(servers.dials().map((place) => [hostLabel(place), place]));
    for (const [label, { end }] of lines) {
      if (wanted.has(label)) continue;
      end.abort(new Error('the servers are elsewhere'));
      lines.delete(label);
    }
    for (const [label, place] of wanted) {
      if (lines.has(label)) continue;
      const end = new AbortController();
      lines.set(label, { end, ended: dialIn(place, { ...options, signal: AbortSignal.any([signal, end.signal]) }) });
    }
  };
  servers.onLearn(follow);
  follow();
  await new Promise<void>((resolve) => (signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true })));
  await Promise.all([...lines.values()].map(async ({ ended }) => await ended));
}

async function dialIn({ host, port }: HostAndPort, { handlers, version, clock, log, signal, identity }: Dialling): Promise<void> {
  let waitMs = shortestWaitMs;
  let saidLast = '';
  while (!signal.aborted) {
    try {
      const channel = await dialLink({ host, port, identity: identity(), admit: admitPart('server'), role: 'answerer', version });
      const leave = (): void => channel.close();
      signal.addEventListener('abort', leave, { once: true });
      if (signal.aborted) leave();
      const openedMs = clock.monotonicMs();
      log.info('link open', { server: channel.address, contract: channel.contract });
      saidLast = '';
      answerOrders(channel, handlers, log);
      const why = await channel.closed;
      signal.removeEventListener('abort', leave);
      if (!signal.aborted) log.warn('link lost', { server: channel.address, why: why.message });
      // Two addresses of one server would take its link from each other as quickly as they can.
      if (clock.monotonicMs() - openedMs > longestWaitMs) waitMs = shortestWaitMs;
    } catch (error) {
      const says = describe(error);
      if (says !== saidLast) log.warn('the server was not reached', { why: says });
      saidLast = says;
    }
    await clock.wait(waitMs, signal).catch(() => {});
    waitMs = Math.min(longestWaitMs, waitMs * 2);
  }
}
