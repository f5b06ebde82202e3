/**
 * Requests over the lines of one data session: spread over those that are open, kept until they are answered.
 *
 *   waiting ── a line with room ──▶ sent ── answer ──▶ over
 *      ▲                             │ its line is lost
 *      └─────────────────────────────┘
 *
 * Requests of one object keep their order: they follow each other over one line while it holds, and after its loss they
 * are sent again in the order they were made in. A line carries a window of bytes that are not answered; callers wait
 * when all windows are full. The session is lost when no line was open for as long as the other side keeps it, or for
 * seconds when the task is to stop.
 */
import { randomId } from '../base/ids.ts';
import type { Clock } from '../base/clock.ts';
import { fromWire, type Failure, type WireFailure } from '../base/failure.ts';
import { stopped } from '../base/failures.ts';
import { dataAnswers, type DataAnswer, type DataAsk, type DataHead } from '../contract/data-channel.ts';
import type { LinkIdentity } from '../contract/link/trust.ts';
import type { ChannelLocation } from '../contract/values.ts';
import { hostNotReached, messageBroken, noAnswer, sessionLost } from './failures.ts';
import { keepLine, type Line } from './line.ts';
import type { Throttle } from './throttle.ts';
import { encodeAround, encodeMessage, type Message } from './wire.ts';

export type RequestOptions = {
  readonly location: ChannelLocation;
  readonly identity: () => Promise<LinkIdentity>;
  readonly clock: Clock;
  readonly throttle: Throttle;
  readonly reachMs: number;
  readonly keptMs: number;
  readonly answerMs: number;
  readonly windowBytes: number;
  /** Aborted when the task was asked to stop: from then on a session without a channel is soon lost. */
  readonly stop?: AbortSignal;
};

export type Asked<K extends DataAsk> = {
  readonly kind: K;
  readonly head: Omit<DataHead<K>, 'answered'>;
  /** In memory that has headroom before it, and stays as it is until the answer. */
  readonly body?: { readonly carrier: Buffer; readonly bytes: number };
  /** Bytes that the answer will bring. */
  readonly brings?: number;
  /** The object whose requests keep their order. */
  readonly object?: number;
};

/** `wasSentOnce`: no line that is lost can still hold the body. */
export type Answered<K extends DataAsk> = { readonly head: DataAnswer<K>; readonly parts: readonly Message[]; readonly wasSentOnce: boolean };

export type Requests = {
  readonly sentBytes: number;
  ask<K extends DataAsk>(asked: Asked<K>): Promise<Answered<K>>;
  /** Resolves when there is room for more; the request itself is then asked without waiting. */
  room(): Promise<void>;
  close(): void;
  /** The first line is open. */
  readonly reached: Promise<void>;
};

type Lane = { readonly number: number; line: Line; heldBytes: number; readonly sent: Map<number, Pending>; movedMs: number; lastLoss: Failure | undefined; isGone: boolean };

type Pending = {
  readonly id: number;
  readonly asked: Asked<DataAsk>;
  readonly bytes: number;
  lane: Lane | undefined;
  isWritten: boolean;
  turns: number;
  parts: Message[];
  resolve(answer: Answered<DataAsk>): void;
  reject(error: Error): void;
};

const smallBytes = 512;
const watchMs = 500;
/** Shorter than a transport waits before it kills a task that was asked to stop, so that the task can put in order what it leaves. */
const stoppedKeptMs = 3_000;

export function openRequests(options: RequestOptions): Requests {
  const { location, clock, throttle } = options;
  const client = randomId();
  const waiting: Pending[] = [];
  const all = new Map<number, Pending>();
  const homes = new Map<number, Lane>();
  const waiters: { resolve(): void; reject(error: Error): void }[] = [];
  const reached = Promise.withResolvers<void>();
  reached.promise.catch(() => {});
  const startMs = clock.monotonicMs();
  let wasReached = false;
  let openMs = startMs;
  let unansweredBytes = 0;
  let sentBytes = 0;
  let lastId = 0;
  let failed: Failure | undefined;
  const mostBytes = options.windowBytes * location.ports.length;

  const fail = (why: Failure): void => {
    failed ??= why;
    clearInterval(watch);
    for (const lane of lanes) lane.line.close();
    for (const one of all.values()) one.reject(failed);
    for (const waiter of waiters.splice(0)) waiter.reject(failed);
    all.clear();
    waiting.length = 0;
    reached.reject(failed);
  };

  const send = async (one: Pending, lane: Lane): Promise<void> => {
    const { kind, head, body, brings = 0 } = one.asked;
    await throttle.take((body?.bytes ?? 0) + brings);
    if (one.lane !== lane || !lane.sent.has(one.id)) return;
    one.isWritten = true;
    lane.movedMs = clock.monotonicMs();
    one.turns += 1;
    const full = { ...head, answered: all.keys().next().value ?? one.id };
    lane.line.send(body === undefined ? encodeMessage(one.id, kind, full) : encodeAround(body.carrier, one.id, kind, full, body.bytes));
    sentBytes += body?.bytes ?? 0;
  };

  const laneFor = (one: Pending): Lane | undefined => {
    const { object } = one.asked;
    const home = object === undefined ? undefined : homes.get(object);
    if (home?.line.isOpen === true) return home.heldBytes < options.windowBytes ? home : undefined;
    let best: Lane | undefined;
    for (const lane of lanes) if (lane.line.isOpen && lane.heldBytes < (best?.heldBytes ?? options.windowBytes)) best = lane;
    if (best !== undefined && object !== undefined) homes.set(object, best);
    return best;
  };

  const dispatch = (): void => {
    for (let at = 0; at < waiting.length; ) {
      const one = waiting[at]!;
      const lane = laneFor(one);
      if (lane === undefined) {
        if (one.asked.object === undefined) return;
        at += 1;
        continue;
      }
      waiting.splice(at, 1);
      one.lane = lane;
      one.isWritten = false;
      lane.heldBytes += one.bytes;
      lane.sent.set(one.id, one);
      void send(one, lane);
    }
  };

  const over = (one: Pending): void => {
    all.delete(one.id);
    unansweredBytes -= one.bytes;
    if (one.lane?.sent.delete(one.id) === true) one.lane.heldBytes -= one.bytes;
    if (one.asked.object !== undefined && (one.asked.kind === 'commit' || one.asked.kind === 'abort')) homes.delete(one.asked.object);
    while (unansweredBytes < mostBytes && waiters.length > 0) waiters.shift()!.resolve();
  };

  const hear = (lane: Lane, message: Message): void => {
    const one = all.get(message.id);
    lane.movedMs = clock.monotonicMs();
    if (one === undefined || one.lane !== lane) return;
    if (message.kind === 'part') return void one.parts.push(message);
    over(one);
    if (message.kind === 'failed') one.reject(fromWire(message.head as WireFailure));
    else answerOne(one, message);
    dispatch();
  };

  const answerOne = (one: Pending, message: Message): void => {
    const head = dataAnswers[one.asked.kind].safeParse(message.head);
    if (message.kind !== 'done' || !head.success) return one.reject(messageBroken({ why: `the answer to ${one.asked.kind} is not of its form` }));
    one.resolve({ head: head.data as DataAnswer<DataAsk>, parts: [...one.parts, message], wasSentOnce: one.turns === 1 });
  };

  const lost = (lane: Lane, why: Failure): void => {
    lane.lastLoss = why;
    const again = [...lane.sent.values()];
    lane.sent.clear();
    lane.heldBytes = 0;
    for (const one of again) {
      one.lane = undefined;
      one.parts = [];
    }
    waiting.unshift(...again);
    waiting.sort((a, b) => a.id - b.id);
    dispatch();
  };

  const openLane = (number: number): Lane => {
    const lane: Lane = { number, line: undefined as never, heldBytes: 0, sent: new Map(), movedMs: startMs, lastLoss: undefined, isGone: false };
    lane.line = keepLine({
      host: location.host,
      port: location.ports[number]!,
      name: location.name,
      channel: number,
      ticket: location.ticket,
      client,
      identity: options.identity,
      clock,
      onOpen: () => {
        wasReached = true;
        reached.resolve();
        dispatch();
      },
      onMessage: (message) => hear(lane, message),
      onLost: (why) => lost(lane, why),
      onRefused: (why) => {
        lane.isGone = true;
        lost(lane, why);
        if (lanes.every((other) => other.isGone)) fail(why);
      },
    });
    return lane;
  };

  const look = (): void => {
    const now = clock.monotonicMs();
    if (lanes.some((lane) => lane.line.isOpen)) openMs = now;
    const why = lanes.find((lane) => lane.lastLoss !== undefined)?.lastLoss;
    if (!wasReached && now - startMs > options.reachMs) return fail(why ?? hostNotReached({ host: location.host, why: `no channel within ${options.reachMs / 1000} s` }));
    const keptMs = options.stop?.aborted === true ? Math.min(stoppedKeptMs, options.keptMs) : options.keptMs;
    if (now - openMs > keptMs) return fail(sessionLost({ host: location.name, seconds: Math.round((now - openMs) / 1000), why: why?.message ?? 'no channel' }, why));
    for (const lane of lanes) {
      const stuck = [...lane.sent.values()].find((one) => one.isWritten);
      if (stuck !== undefined && now - lane.movedMs > options.answerMs) {
        return fail(noAnswer({ host: location.name, what: stuck.asked.kind, seconds: Math.round(options.answerMs / 1000) }));
      }
    }
  };

  const watch = setInterval(look, watchMs);
  const lanes: Lane[] = [];
  for (const number of location.ports.keys()) lanes.push(openLane(number));

  return {
    reached: reached.promise,
    get sentBytes() {
      return sentBytes;
    },
    async ask<K extends DataAsk>(asked: Asked<K>): Promise<Answered<K>> {
      if (failed !== undefined) throw failed;
      return (await new Promise<Answered<DataAsk>>((resolve, reject) => {
        const bytes = smallBytes + (asked.body?.bytes ?? 0) + (asked.brings ?? 0);
        const one: Pending = { id: ++lastId, asked: asked as unknown as Asked<DataAsk>, bytes, lane: undefined, isWritten: false, turns: 0, parts: [], resolve, reject };
        all.set(one.id, one);
        unansweredBytes += bytes;
        waiting.push(one);
        dispatch();
      })) as Answered<K>;
    },
    async room() {
      if (failed !== undefined) throw failed;
      if (unansweredBytes < mostBytes) return;
      await new Promise<void>((resolve, reject) => waiters.push({ resolve, reject }));
    },
    close: () => fail(stopped({ what: `the data session with ${location.name}` })),
  };
}
