import type { Clock } from '../base/clock.ts';
import { describe } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import { answerOrders, type SomeHandlers } from '../contract/link/answerer.ts';
import { dialLink } from '../contract/link/dial.ts';
import { admitPart, type LinkIdentity } from '../contract/link/trust.ts';

const shortestWaitMs = 250;
const longestWaitMs = 15_000;

/** Keeps an order link to the server that this host has dialled, for hosts that nobody may dial: the same orders come down it. */
export async function dialIn(options: { host: string; port: number; identity: () => LinkIdentity; handlers: SomeHandlers; version: string; clock: Clock; log: Log; signal: AbortSignal }): Promise<void> {
  const { host, port, handlers, version, clock, log, signal } = options;
  let waitMs = shortestWaitMs;
  let saidLast = '';
  while (!signal.aborted) {
    try {
      const channel = await dialLink({ host, port, identity: options.identity(), admit: admitPart('server'), role: 'answerer', version });
      const leave = (): void => channel.close();
      signal.addEventListener('abort', leave, { once: true });
      log.info('link open', { server: channel.address, contract: channel.contract });
      waitMs = shortestWaitMs;
      saidLast = '';
      answerOrders(channel, handlers, log);
      const why = await channel.closed;
      signal.removeEventListener('abort', leave);
      if (!signal.aborted) log.warn('link lost', { server: channel.address, why: why.message });
    } catch (error) {
      const says = describe(error);
      if (says !== saidLast) log.warn('the server was not reached', { why: says });
      saidLast = says;
    }
    await clock.wait(waitMs, signal).catch(() => {});
    waitMs = Math.min(longestWaitMs, waitMs * 2);
  }
}
