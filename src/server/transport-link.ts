/**
 * One link to a host's transport service, kept for as long as the host is one of ours. Who dials is the caller's to know:
 * `dial` either dials, or waits until the host has (links.ts).
 *
 *   connecting ──peer greeted──▶ connected ──lost──▶ connecting
 *       │ not reached: wait 0.25 s, doubled up to 15 s, then dial again
 *       └ refused (certificate, version): the same, and the standing says so
 *
 * A call waits for the link; who waits too long is told why it is not there.
 */
import type { Clock } from '../base/clock.ts';
import { withDeadline } from '../base/deadline.ts';
import { describe, isFailure } from '../base/failure.ts';
import { stopped } from '../base/failures.ts';
import type { Log } from '../base/log.ts';
import type { CallOptions, Caller } from '../contract/link/caller.ts';
import { linkRefused, versionMismatch } from '../contract/failures.ts';
import type { OrderGiven, OrderName, OrderOutput } from '../contract/orders.ts';
import { hostUnreachable } from './failures.ts';

export type LinkStanding = { readonly state: 'connected' | 'connecting' | 'refused'; readonly says: string | null };

export type TransportLink = {
  /** The host's id, as its certificates name it. */
  readonly id: string;
  /** The host's name, for people. */
  readonly host: string;
  readonly address: string;
  standing(): LinkStanding;
  /** Of the transport service, as it said when it was last connected; null before that. */
  version(): string | null;
  /** The link, once it is there. */
  connected(waitMs: number, signal?: AbortSignal): Promise<Caller>;
  call<N extends OrderName>(name: N, input: OrderGiven<N>, options?: CallOptions<N> & { waitMs?: number }): Promise<OrderOutput<N>>;
  /** Called at once when connected, and at every later connection. */
  onConnect(listener: (caller: Caller) => void): void;
  close(): Promise<void>;
};

export type LinkOptions = { id: string; host: string; address: string; dial: (signal: AbortSignal) => Promise<Caller>; clock: Clock; log: Log; shortestWaitMs?: number; longestWaitMs?: number };

export function keepLink(options: LinkOptions): TransportLink {
  const { id, host, address, clock } = options;
  const log = options.log.with({ host, address });
  const ends = new AbortController();
  const listeners: ((caller: Caller) => void)[] = [];
  let standing: LinkStanding = { state: 'connecting', says: 'not dialled yet' };
  let current: Caller | undefined;
  let version: string | null = null;
  let next = Promise.withResolvers<Caller>();
  next.promise.catch(() => {});

  async function run(): Promise<void> {
    const shortestMs = options.shortestWaitMs ?? 250;
    for (let waitMs = shortestMs; !ends.signal.aborted; ) {
      try {
        current = await options.dial(ends.signal);
        if (ends.signal.aborted) return current.close();
        waitMs = shortestMs;
        standing = { state: 'connected', says: null };
        version = current.channel.hello.version;
        log.info('transport connected', { version });
        next.resolve(current);
        for (const listener of listeners) listener(current);
        const why = await current.closed;
        // Only here: those who wait through failed dials wait for one and the same promise.
        next = Promise.withResolvers<Caller>();
        next.promise.catch(() => {});
        standing = { state: 'connecting', says: why.message };
        if (!ends.signal.aborted) log.warn('transport link lost', { why: why.message });
      } catch (error) {
        const says = describe(error);
        const state = isFailure(error, linkRefused) || isFailure(error, versionMismatch) ? 'refused' : 'connecting';
        if (says !== standing.says) log.warn('transport not connected', { why: says });
        standing = { state, says };
      }
      current = undefined;
      await clock.wait(waitMs, ends.signal).catch(() => {});
      waitMs = Math.min(options.longestWaitMs ?? 15_000, waitMs * 2);
    }
  }
  const running = run();

  async function connected(waitMs: number, signal?: AbortSignal): Promise<Caller> {
    if (current !== undefined && standing.state === 'connected') return current;
    ends.signal.throwIfAborted();
    try {
      return await withDeadline(`the link to ${host}`, waitMs, async () => await next.promise, signal);
    } catch (error) {
      if (signal?.aborted === true || !isFailure(error, { code: 'base.deadline-passed' })) throw error;
      throw hostUnreachable({ host, seconds: Math.round(waitMs / 1000), why: standing.says ?? 'no link' });
    }
  }

  return {
    id,
    host,
    address,
    standing: () => standing,
    version: () => version,
    connected,
    async call(name, input, callOptions = {}) {
      const { waitMs = 20_000, ...rest } = callOptions;
      return await (await connected(waitMs, rest.signal)).call(name, input, rest);
    },
    onConnect(listener) {
      listeners.push(listener);
      if (current !== undefined) listener(current);
    },
    async close() {
      ends.abort(stopped({ what: 'the server' }));
      next.reject(stopped({ what: 'the server' }));
      current?.close();
      await running;
    },
  };
}
