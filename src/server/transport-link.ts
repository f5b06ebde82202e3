/**
 * One link to a service of a host, its transport or its deployer, kept for as long as the host is one of ours. Who dials is the caller's to know:
 * `dial` either dials, or waits until the host has (links.ts).
 *
 *   connecting ──peer greeted──▶ connected ──lost──▶ connecting
 *       │ not reached: wait 0.25 s, doubled up to 15 s, then dial again
 *       └ refused (certificate, version): the same, and the standing says so
 *   connected, connecting ──the host has another port──▶ connecting, at once
 *
 * A call waits for the link; who waits too long is told why it is not there.
 */
import type { Clock } from '../base/clock.ts';
import { withDeadline } from '../base/deadline.ts';
import { describe, isFailure } from '../base/failure.ts';
import { stopped } from '../base/failures.ts';
import type { Log } from '../base/log.ts';
import type { CallOptions, Caller } from '../contract/link/caller.ts';
import { linkLost, linkRefused, versionMismatch } from '../contract/failures.ts';
import type { OrderGiven, OrderName, OrderOutput } from '../contract/orders.ts';
import { hostUnreachable } from './failures.ts';

export type LinkStanding = {
  readonly state: 'connected' | 'connecting' | 'refused';
  readonly says: string | null;
  /** What the service greeted with last; null before the first time. */
  readonly version: string | null;
  /** It speaks no contract that this server does. */
  readonly isOtherContract: boolean;
};

export type TransportLink = {
  /** The host's id, as its certificates name it. */
  readonly id: string;
  /** The host's name, for people. */
  readonly host: string;
  readonly address: string;
  standing(): LinkStanding;
  /** The link, once it is there. */
  connected(waitMs: number, signal?: AbortSignal): Promise<Caller>;
  call<N extends OrderName>(name: N, input: OrderGiven<N>, options?: CallOptions<N> & { waitMs?: number }): Promise<OrderOutput<N>>;
  /** The same for an order that may be given twice: once more on the next link, when this one is lost before the answer. */
  ask<N extends OrderName>(name: N, input: OrderGiven<N>, options?: CallOptions<N> & { waitMs?: number }): Promise<OrderOutput<N>>;
  /** Ends the connection that there is and dials at once: the host has changed. Who waits for the link goes on waiting. */
  redial(): void;
  /** Called at once when connected, and at every later connection. */
  onConnect(listener: (caller: Caller) => void): void;
  close(): Promise<void>;
};

export type LinkOptions = { service?: 'transport' | 'deployer'; id: string; host: string; address: string; dial: (signal: AbortSignal) => Promise<Caller>; clock: Clock; log: Log; shortestWaitMs?: number; longestWaitMs?: number };

export function keepLink(options: LinkOptions): TransportLink {
  const { id, host, clock } = options;
  const log = options.log.with({ host });
  const ends = new AbortController();
  const listeners: ((caller: Caller) => void)[] = [];
  let standing: LinkStanding = { state: 'connecting', says: 'not dialled yet', version: null, isOtherContract: false };
  let current: Caller | undefined;
  let next = Promise.withResolvers<Caller>();
  next.promise.catch(() => {});
  let isTaken = false;
  let hurry = new AbortController();

  /** Those who wait through failed dials wait for one and the same promise. */
  function lose(says: string): void {
    standing = { ...standing, state: 'connecting', says };
    if (!isTaken) return;
    isTaken = false;
    next = Promise.withResolvers<Caller>();
    next.promise.catch(() => {});
  }

  async function run(): Promise<void> {
    const shortestMs = options.shortestWaitMs ?? 250;
    for (let waitMs = shortestMs; !ends.signal.aborted; ) {
      try {
        current = await options.dial(ends.signal);
        if (ends.signal.aborted) return current.close();
        if (hurry.signal.aborted) {
          // Dialled before the host had changed.
          hurry = new AbortController();
          current.close();
          continue;
        }
        waitMs = shortestMs;
        const { version } = current.channel.hello;
        standing = { state: 'connected', says: null, version, isOtherContract: false };
        log.info('connected', { address: options.address, version });
        isTaken = true;
        next.resolve(current);
        for (const listener of listeners) listener(current);
        const why = await current.closed;
        lose(why.message);
        if (!ends.signal.aborted) log.warn('link lost', { why: why.message });
      } catch (error) {
        const says = describe(error);
        const isOtherContract = isFailure(error, versionMismatch);
        if (says !== standing.says) log.warn('not connected', { address: options.address, why: says });
        standing = { ...standing, state: isFailure(error, linkRefused) || isOtherContract ? 'refused' : 'connecting', says, isOtherContract };
      }
      current = undefined;
      await clock.wait(waitMs, AbortSignal.any([ends.signal, hurry.signal])).catch(() => {});
      waitMs = hurry.signal.aborted ? shortestMs : Math.min(options.longestWaitMs ?? 15_000, waitMs * 2);
      if (hurry.signal.aborted) hurry = new AbortController();
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
      throw hostUnreachable({ host, service: options.service, seconds: Math.round(waitMs / 1000), why: standing.says ?? 'no link' });
    }
  }

  async function call<N extends OrderName>(name: N, input: OrderGiven<N>, callOptions: CallOptions<N> & { waitMs?: number } = {}): Promise<OrderOutput<N>> {
    const { waitMs = 20_000, ...rest } = callOptions;
    return await (await connected(waitMs, rest.signal)).call(name, input, rest as CallOptions<N>);
  }

  return {
    id,
    host,
    get address() {
      return options.address;
    },
    standing: () => standing,
    connected,
    call,
    async ask(name, input, options) {
      try {
        return await call(name, input, options);
      } catch (error) {
        if (!isFailure(error, linkLost) || options?.signal?.aborted === true) throw error;
        // It is told here before the link itself has noticed.
        await clock.wait(50, options?.signal);
        return await call(name, input, options);
      }
    },
    onConnect(listener) {
      listeners.push(listener);
      if (current !== undefined) listener(current);
    },
    redial() {
      hurry.abort();
      lose('its host has changed');
      current?.close();
    },
    async close() {
      ends.abort(stopped({ what: 'the server' }));
      next.reject(stopped({ what: 'the server' }));
      current?.close();
      await running;
    },
  };
}
