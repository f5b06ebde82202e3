/** The side that takes orders. Questions and answers are both checked against the contract. */
import * as z from 'zod';
import { describe, isFailure, toWire } from '../../base/failure.ts';
import { deadlinePassed, stopped } from '../../base/failures.ts';
import type { Log } from '../../base/log.ts';
import { answerNotUnderstood, answerTooLarge, orderNotUnderstood } from '../failures.ts';
import { orders, type DeployerOrder, type OrderEvent, type OrderInput, type OrderName, type OrderOutput, type TransportOrder } from '../orders.ts';
import type { Channel } from './channel.ts';
import { frameBytes, type Frame } from './frames.ts';
import type { Peer } from './trust.ts';

export type OrderCall<N extends OrderName> = {
  /** Aborted when the caller cancels, the deadline passes or the link is lost. */
  readonly signal: AbortSignal;
  readonly peer: Peer;
  /** Resolves when the event may be followed by another: the caller has room. */
  emit(event: OrderEvent<N>): Promise<void>;
};

type HandlersOf<Name extends OrderName> = { readonly [N in Name]: (input: OrderInput<N>, call: OrderCall<N>) => Promise<OrderOutput<N>> };
/** What a transport service answers. */
export type OrderHandlers = HandlersOf<TransportOrder>;
/** What a deployer service answers. */
export type DeployerHandlers = HandlersOf<DeployerOrder>;
/** A service answers the orders of its own part; the others are not understood there. */
export type SomeHandlers = Partial<HandlersOf<OrderName>>;

type Running = { cancel(why: Error): void; addCredit(more: number): void };

/** Answers every call on this channel until it ends. */
export function answerOrders(channel: Channel, handlers: SomeHandlers, log: Log): void {
  const running = new Map<number, Running>();
  channel.listen((frame) => {
    if (frame.kind === 'call') void answer(channel, handlers, frame, running, log);
    else if (frame.kind === 'cancel') running.get(frame.id)?.cancel(stopped({ what: 'the order' }));
    else if (frame.kind === 'credit') running.get(frame.id)?.addCredit(frame.more);
  });
  void channel.closed.then((why) => {
    for (const call of [...running.values()]) call.cancel(why);
  });
}

async function answer(channel: Channel, handlers: SomeHandlers, frame: Extract<Frame, { kind: 'call' }>, running: Map<number, Running>, log: Log): Promise<void> {
  const { id, order: name } = frame;
  const ends = new AbortController();
  const tickets = openTickets(frame.credit, ends.signal);
  running.set(id, { cancel: (why) => ends.abort(why), addCredit: tickets.add });
  try {
    const output = await run(handlers, name, frame.input, {
      signal: ends.signal,
      peer: channel.peer,
      emit: async (event) => {
        await tickets.take();
        channel.send({ kind: 'event', id, value: event });
      },
    }, ends);
    channel.send(output(id));
  } catch (error) {
    if (!isFailure(error)) log.error('unexpected error in an order', { order: name, why: describe(error), stack: error instanceof Error ? error.stack : undefined });
    channel.send({ kind: 'failed', id, failure: toWire(error) });
  } finally {
    running.delete(id);
    ends.abort();
  }
}

async function run(handlers: SomeHandlers, name: string, given: unknown, call: OrderCall<OrderName>, ends: AbortController): Promise<(id: number) => Frame> {
  if (!Object.hasOwn(orders, name)) throw orderNotUnderstood({ order: name.slice(0, 60), why: 'there is no such order' });
  const order = orders[name as OrderName];
  const input = order.input.safeParse(given);
  if (!input.success) throw orderNotUnderstood({ order: name, why: z.prettifyError(input.error) });
  const handler = handlers[name as OrderName] as ((input: unknown, call: OrderCall<OrderName>) => Promise<unknown>) | undefined;
  if (handler === undefined) throw orderNotUnderstood({ order: name, why: 'it is for another service' });
  const { deadlineMs } = order;
  const timer = deadlineMs === null ? undefined : setTimeout(() => ends.abort(deadlinePassed({ what: `the order ${name}`, ms: deadlineMs })), deadlineMs);
  const aborted = new Promise<never>((_, reject) => call.signal.addEventListener('abort', () => reject(call.signal.reason as Error), { once: true }));
  aborted.catch(() => {});
  try {
    const output = order.output.safeParse(await Promise.race([handler(input.data, call), aborted]));
    if (!output.success) throw answerNotUnderstood({ order: name, why: z.prettifyError(output.error) });
    const bytes = Buffer.byteLength(JSON.stringify(output.data));
    if (bytes > frameBytes - 1024) throw answerTooLarge({ order: name, bytes, limit: frameBytes - 1024 });
    return (id) => ({ kind: 'done', id, output: output.data });
  } finally {
    clearTimeout(timer);
  }
}

/** A counting gate: `take` waits until the caller has given credit. First come, first served. */
function openTickets(first: number, signal: AbortSignal): { take(): Promise<void>; add(more: number): void } {
  let left = first;
  const waiting: (() => void)[] = [];
  return {
    add(more) {
      left += more;
      while (left > 0 && waiting.length > 0) {
        left--;
        waiting.shift()?.();
      }
    },
    async take() {
      signal.throwIfAborted();
      if (left > 0) {
        left--;
        return;
      }
      await new Promise<void>((resolve, reject) => {
        waiting.push(resolve);
        signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
      });
    },
  };
}
