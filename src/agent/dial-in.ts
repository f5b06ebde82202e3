/**
 * Order links that this host opens, where nobody may dial it: one to each server that it knows, all the time, so that each of several servers
 * on one catalog gives it orders as it would to a host that it dials. The same orders come down them.
 *
 *   new ──dialled──▶ open ──lost──▶ new           waits 0.25 s, doubled up to 15 s, and begins anew with a link that held for longer than that
 *    └─not reached, or lost again and again─▶ failed ──dialled──▶ open
 *
 * Servers that are told take the place of those told before only as they are reached, because what is told may be wrong:
 *
 *   told                       dialled all the time
 *   not told any more, open    kept until every address that is told is open, or the server ends it; not dialled anew
 *   a last resort              dialled while no link is open at all and each address that is told has failed
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

type Line = { state: 'new' | 'open' | 'failed'; readonly end: AbortController; readonly ended: Promise<void> };

/** Resolves when the signal was aborted and every link has ended. */
export async function dialServers(servers: Pick<KnownServers, 'dials' | 'lastResorts' | 'worked' | 'onLearn'>, options: Dialling): Promise<void> {
  const { signal, log } = options;
  const lines = new Map<string, Line>();
  const stateOf = (place: HostAndPort): Line['state'] | undefined => lines.get(hostLabel(place))?.state;

  const begin = (label: string, place: HostAndPort): void => {
    const end = new AbortController();
    const onState = (state: Line['state']): void => {
      line.state = state;
      if (state === 'open') servers.worked(place).catch((error: unknown) => log.warn('the address of a server was not kept', { server: label, why: describe(error) }));
      follow();
    };
    const line: Line = { state: 'new', end, ended: Promise.resolve().then(async () => await dialIn(place, { ...options, signal: AbortSignal.any([signal, end.signal]) }, onState)) };
    lines.set(label, line);
  };
  const follow = (): void => {
    if (signal.aborted) return;
    const told = servers.dials();
    const isStranded = told.every((place) => stateOf(place) === 'failed') && ![...lines.values()].some(({ state }) => state === 'open');
    const areAllOpen = told.every((place) => stateOf(place) === 'open');
    const wanted = new Map([...told, ...(isStranded ? servers.lastResorts() : [])].map((place) => [hostLabel(place), place]));
    for (const [label, { end, state }] of lines) {
      if (wanted.has(label) || (state === 'open' && !areAllOpen)) continue;
      lines.delete(label);
      end.abort(new Error('the servers are elsewhere'));
    }
    for (const [label, place] of wanted) if (!lines.has(label)) begin(label, place);
  };
  servers.onLearn(follow);
  follow();
  await new Promise<void>((resolve) => (signal.aborted ? resolve() : signal.addEventListener('abort', () => resolve(), { once: true })));
  await Promise.all([...lines.values()].map(async ({ ended }) => await ended));
}

async function dialIn({ host, port }: HostAndPort, { handlers, version, clock, log, signal, identity }: Dialling, onState: (state: Line['state']) => void): Promise<void> {
  let waitMs = shortestWaitMs;
  let saidLast = '';
  while (!signal.aborted) {
    let state: Line['state'] = 'failed';
    try {
      const channel = await dialLink({ host, port, identity: identity(), admit: admitPart('server'), role: 'answerer', version });
      const leave = (): void => channel.close();
      signal.addEventListener('abort', leave, { once: true });
      if (signal.aborted) leave();
      else onState('open');
      const openedMs = clock.monotonicMs();
      log.info('link open', { server: channel.address, contract: channel.contract });
      saidLast = '';
      answerOrders(channel, handlers, log);
      const why = await channel.closed;
      signal.removeEventListener('abort', leave);
      if (!signal.aborted) log.warn('link lost', { server: channel.address, why: why.message });
      // Two addresses of one server would take its link from each other as quickly as they can.
      if (clock.monotonicMs() - openedMs > longestWaitMs) waitMs = shortestWaitMs;
      // Whoever opens a link and ends it again and again is no server of this host.
      if (waitMs === shortestWaitMs) state = 'new';
    } catch (error) {
      const says = describe(error);
      if (says !== saidLast) log.warn('the server was not reached', { server: hostLabel({ host, port }), why: says });
      saidLast = says;
    }
    if (!signal.aborted) onState(state);
    await clock.wait(waitMs, signal).catch(() => {});
    waitMs = Math.min(longestWaitMs, waitMs * 2);
  }
}
