/** The side that gives orders. Each call is answered once; its events are handled one after the other, before its end. */
import * as z from 'zod';
import { fromWire, type Failure } from '../../base/failure.ts';
import { deadlinePassed } from '../../base/failures.ts';
import { answerNotUnderstood } from '../failures.ts';
import { orders, type OrderEvent, type OrderGiven, type OrderName, type OrderOutput } from '../orders.ts';
import type { Channel } from './channel.ts';
import type { Frame } from './frames.ts';

export type CallOptions<N extends OrderName> = {
  signal?: AbortSignal;
  /** Awaited: a slow listener slows the sender, it does not fill memory. */
  onEvent?: (event: OrderEvent<N>) => Promise<void> | void;
};

export type Caller = {
  readonly channel: Channel;
  call<N extends OrderName>(name: N, input: OrderGiven<N>, options?: CallOptions<N>): Promise<OrderOutput<N>>;
  readonly closed: Promise<Failure>;
  close(): void;
};

const credit = 64;

type Running = { onFrame(frame: Frame): void; end(why: Error): void };

export function openCaller(channel: Channel): Caller {
  const running = new Map<number, Running>();
  let nextId = 1;
  let ended: Failure | undefined;
  channel.listen((frame) => {
    if (frame.kind !== 'hello') running.get(frame.id)?.onFrame(frame);
  });
  void channel.closed.then((why) => {
    ended = why;
    for (const call of [...running.values()]) call.end(why);
  });

  async function call<N extends OrderName>(name: N, input: OrderGiven<N>, options: CallOptions<N> = {}): Promise<OrderOutput<N>> {
    if (ended !== undefined) throw ended;
    options.signal?.throwIfAborted();
    const { deadlineMs } = orders[name];
    const id = nextId++;
    return await new Promise<OrderOutput<N>>((resolve, reject) => {
      let over = false;
      let tail = Promise.resolve();
      let unacknowledged = 0;
      const settle = (work: () => void): void => {
        if (over) return;
        over = true;
        clearTimeout(timer);
        options.signal?.removeEventListener('abort', onAbort);
        running.delete(id);
        work();
      };
      const giveUp = (why: Error): void => {
        channel.send({ kind: 'cancel', id });
        settle(() => reject(why));
      };
      const onAbort = (): void => giveUp(options.signal?.reason as Error);
      const timer = deadlineMs === null ? undefined : setTimeout(() => giveUp(deadlinePassed({ what: `${channel.address} to answer ${name}`, ms: deadlineMs })), deadlineMs);
      options.signal?.addEventListener('abort', onAbort, { once: true });

      const handle = async (value: unknown): Promise<void> => {
        if (over) return;
        await options.onEvent?.(readEvent(name, value));
        if (++unacknowledged < credit / 2) return;
        channel.send({ kind: 'credit', id, more: unacknowledged });
        unacknowledged = 0;
      };
      const after = (work: () => void): void => {
        tail = tail.then(work).catch((error: unknown) => giveUp(error as Error));
      };
      running.set(id, {
        onFrame(frame) {
          if (frame.kind === 'event') tail = tail.then(() => handle(frame.value)).catch((error: unknown) => giveUp(error as Error));
          else if (frame.kind === 'done') after(() => settle(() => resolve(readOutput(name, frame.output))));
          else if (frame.kind === 'failed') after(() => settle(() => reject(fromWire(frame.failure))));
        },
        end: (why) => settle(() => reject(why)),
      });
      channel.send({ kind: 'call', id, order: name, input, credit });
    });
  }

  return { channel, call, closed: channel.closed, close: () => channel.close() };
}

function readOutput<N extends OrderName>(name: N, output: unknown): OrderOutput<N> {
  const read = orders[name].output.safeParse(output);
  if (!read.success) throw answerNotUnderstood({ order: name, why: z.prettifyError(read.error) });
  return read.data as OrderOutput<N>;
}

function readEvent<N extends OrderName>(name: N, value: unknown): OrderEvent<N> {
  const order = orders[name];
  const read = 'event' in order ? order.event.safeParse(value) : undefined;
  if (read === undefined || !read.success) throw answerNotUnderstood({ order: name, why: read === undefined ? 'it has no events' : z.prettifyError(read.error) });
  return read.data as OrderEvent<N>;
}
