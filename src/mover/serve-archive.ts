/**
 * The serving end of data channels: one archive of a directory, for one host, on ports of its own.
 *
 * A port:    listening ── TLS, certificate, ticket ──▶ taken by a channel ── lost ──▶ listening
 * A session: open ── last channel lost, none back within `keepMs` ──▶ left alone
 *              └──── close ──▶ stopped
 *
 * Nothing is answered before the certificate is judged, and of a peer that has not greeted only a small message is read.
 * A channel holds no more than a window of requests: past that it is not read until answers have gone out.
 */
import { timingSafeEqual } from 'node:crypto';
import type { Socket } from 'node:net';
import { createServer, type Server, type TLSSocket } from 'node:tls';
import { systemClock, type Clock } from '../base/clock.ts';
import { describe, isFailure, toWire } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import { dataAlpn, dataAsks, dataProtocol, type DataAsk, type DataHead } from '../contract/data-channel.ts';
import { admitHost, judge, type LinkIdentity } from '../contract/link/trust.ts';
import type { HeldLimit } from '../contract/values.ts';
import type { Storage } from '../repository/storage/storage.ts';
import { archiveRules, type Right } from './archive-rules.ts';
import { beatMs, silentMs } from './beats.ts';
import { channelRefused, channelTaken, messageBroken } from './failures.ts';
import type { AskPace } from './paces.ts';
import { bindPorts, closeServer, type PortRange } from './port-range.ts';
import { openSender } from './sender.ts';
import { openServedSession } from './served-session.ts';
import { openSpareBuffers } from './spare-buffers.ts';
import { openThrottle } from './throttle.ts';
import { dataTlsOptions } from './tls.ts';
import { bodyMost, encodeMessage, headroomBytes, openParser, pieceBytes, type Message } from './wire.ts';

export type ServeOptions = {
  readonly storage: Storage;
  readonly setId: string;
  readonly right: Right;
  readonly identity: LinkIdentity;
  /** Name of the host that may come. */
  readonly peer: string;
  readonly ticket: string;
  readonly host: string;
  readonly range: PortRange;
  readonly channels: number;
  /** All channels come over this port, which is somebody else's: their connections are given to `adopt`. */
  readonly singlePort?: number | null;
  readonly portWaitMs: number;
  readonly limits?: readonly HeldLimit[];
  readonly pace?: AskPace | undefined;
  /** How often who waits for a slow line hears of us: well within the time after which a client takes an open channel for a dead one. */
  readonly patienceMs?: number;
  /** How long the session keeps its ports without a channel. */
  readonly keepMs?: number;
  readonly log: Log;
  readonly clock?: Clock;
  readonly signal?: AbortSignal;
  readonly onWaitForPorts?: () => void;
};

export type ServedArchive = {
  readonly ports: readonly number[];
  readonly counts: { readonly receivedBytes: number; readonly sentBytes: number };
  /** Resolves when the session is over. */
  readonly ended: Promise<'stopped' | 'left alone'>;
  /** A paused connection to the shared port, with what was read of it. */
  adopt(socket: Socket, first: Buffer): void;
  renew(identity: LinkIdentity): void;
  close(): Promise<void>;
};

/** Given up by the client after as long. A network that is away for five minutes is outlasted, with a minute to find each other again. */
export const sessionKeptMs = 6 * 60_000;

const greetingMs = 10_000;
const helloMost = 4096;
const windowBytes = 8 << 20;
const partBytes = 1 << 20;
const namesAtOnce = 1000;
const leastChannels = 2;
const usualPatienceMs = 30_000;
/** At a port, those that have not greeted included. */
const connectionsMost = 32;

type Channel = { readonly name: string; readonly socket: TLSSocket; readonly client: string; close(): void };

export async function serveArchive(options: ServeOptions): Promise<ServedArchive> {
  const { log, clock = systemClock } = options;
  const session = openServedSession(options.storage, archiveRules(options.setId), options.right, log);
  const throttle = openThrottle(options.limits ?? [], clock, { signal: options.signal, pace: options.pace });
  const admit = admitHost('transport', options.peer);
  const ticket = Buffer.from(options.ticket, 'hex');
  const counts = { receivedBytes: 0, sentBytes: 0 };
  const spares = openSpareBuffers(pieceBytes + headroomBytes);
  const sockets = new Set<TLSSocket>();
  const channels = new Map<string, Channel>();
  const ended = Promise.withResolvers<'stopped' | 'left alone'>();
  let alone: NodeJS.Timeout | undefined;
  let ending: Promise<void> | undefined;

  const watchAlone = (): void => {
    clearTimeout(alone);
    if (channels.size === 0 && ending === undefined) alone = setTimeout(() => void end('left alone'), options.keepMs ?? sessionKeptMs);
  };

  const open = (): Server => createServer({ ...dataTlsOptions(options.identity), requestCert: true, handshakeTimeout: greetingMs });
  const { singlePort = null } = options;
  const shared = open();
  const bound = singlePort !== null ? [] : await bindPorts({
    host: options.host,
    range: options.range,
    wanted: options.channels,
    least: leastChannels,
    waitMs: options.portWaitMs,
    clock,
    open,
    onWait: options.onWaitForPorts,
    signal: options.signal,
  });

  const greet = (port: number, socket: TLSSocket, message: Message): Channel => {
    const hello = message.kind === 'hello' ? dataAsks.hello.safeParse(message.head).data : undefined;
    if (hello === undefined) throw messageBroken({ why: 'it does not begin with a greeting' });
    if (hello.protocol !== dataProtocol) throw channelRefused({ why: `it speaks data protocol ${hello.protocol}, and this side ${dataProtocol}` });
    if (!timingSafeEqual(Buffer.from(hello.ticket, 'hex'), ticket)) throw channelRefused({ why: 'the ticket is of another session' });
    const name = port === singlePort ? `${hello.client}/${hello.channel}` : String(port);
    const before = channels.get(name);
    const isFull = before === undefined && port === singlePort && channels.size >= options.channels;
    if (isFull || (before !== undefined && before.client !== hello.client)) throw channelTaken({ channel: hello.channel });
    before?.close();
    return { name, socket, client: hello.client, close: () => socket.destroy() };
  };

  const accept = (port: number, socket: TLSSocket): void => {
    const address = socket.remoteAddress ?? 'unknown address';
    const judged = judge(socket, admit);
    if (judged.kind === 'refused' || socket.alpnProtocol !== dataAlpn) {
      log.warn('data channel refused', { peer: address, why: judged.kind === 'refused' ? judged.why : 'it does not speak the data protocol' });
      return void socket.destroy();
    }
    socket.setNoDelay(true);
    const sender = openSender(socket);
    let channel: Channel | undefined;
    let heldBytes = 0;
    let heardMs = clock.monotonicMs();
    let isRefused = false;

    const refuse = (error: unknown): void => {
      isRefused = true;
      log.warn('data channel refused', { peer: address, why: describe(error) });
      socket.end(encodeMessage(0, 'failed', toWire(error)));
      setTimeout(() => socket.destroy(), 1_000).unref();
    };
    const write = async (id: number, kind: 'done' | 'part' | 'failed', head: object, body?: Uint8Array): Promise<void> => {
      if (socket.destroyed) return;
      sender.send(encodeMessage(id, kind, head, body?.length ?? 0), ...(body === undefined ? [] : [body]));
      counts.sentBytes += body?.length ?? 0;
      await sender.room();
    };
    const paced = async (id: number, bytes: number): Promise<void> => {
      const patience = setInterval(() => void write(id, 'part', {}), options.patienceMs ?? usualPatienceMs);
      await throttle.take(bytes).finally(() => clearInterval(patience));
    };
    const answerRead = async (id: number, bytes: Uint8Array): Promise<void> => {
      for (let at = 0; ; at += partBytes) {
        const part = bytes.subarray(at, at + partBytes);
        await paced(id, part.length);
        const isLast = at + partBytes >= bytes.length;
        await write(id, isLast ? 'done' : 'part', {}, part);
        if (isLast) return;
      }
    };
    const answerList = async (id: number, { prefix }: DataHead<'list'>): Promise<void> => {
      let objects: object[] = [];
      for await (const object of session.list(prefix)) {
        objects.push(object);
        if (objects.length < namesAtOnce) continue;
        await write(id, 'part', { objects });
        objects = [];
      }
      await write(id, 'done', { objects });
    };
    const work = async (client: string, { id, kind, head, body }: Message): Promise<void> => {
      const schema = kind in dataAsks && kind !== 'hello' ? dataAsks[kind as DataAsk] : undefined;
      const parsed = schema?.safeParse(head);
      if (parsed?.success !== true) throw messageBroken({ why: `${kind} is not a request of this form` });
      if (kind === 'list') return await answerList(id, parsed.data as unknown as DataHead<'list'>);
      const answer = await session.perform(client, id, kind as DataAsk, parsed.data, body);
      if (kind === 'read') return await answerRead(id, answer.body!);
      // What is not acknowledged keeps the client's window shut.
      await paced(id, body.length);
      await write(id, 'done', answer.head);
    };
    const answer = async (client: string, message: Message, bytes: number): Promise<void> => {
      try {
        await work(client, message);
      } catch (error) {
        if (!isFailure(error)) log.error('a request over a data channel failed', { why: describe(error) });
        await write(message.id, 'failed', toWire(error)).catch(() => {});
      } finally {
        if (message.spare !== undefined) spares.give(message.spare);
        heldBytes -= bytes;
        if (heldBytes < windowBytes && socket.isPaused()) socket.resume();
      }
    };
    const take = (message: Message): void => {
      if (message.kind === 'beat') return;
      if (channel === undefined) {
        channel = greet(port, socket, message);
        clearTimeout(greeting);
        channels.set(channel.name, channel);
        watchAlone();
        sender.send(encodeMessage(message.id, 'done', {}));
        log.info('data channel open', { peer: address, port });
        return;
      }
      const { client } = channel;
      const bytes = costOf(message);
      heldBytes += bytes;
      counts.receivedBytes += message.body.length;
      if (heldBytes >= windowBytes) socket.pause();
      void answer(client, message, bytes);
    };
    const parser = openParser(take, () => (channel === undefined ? helloMost : bodyMost), spares);
    const greeting = setTimeout(() => socket.destroy(), greetingMs);
    const beats = setInterval(() => {
      if (channel !== undefined) sender.send(encodeMessage(0, 'beat', {}));
      if (!socket.isPaused() && clock.monotonicMs() - heardMs > silentMs) socket.destroy();
    }, beatMs);
    socket.on('data', (piece: Buffer) => {
      if (isRefused) return;
      heardMs = clock.monotonicMs();
      try {
        parser.push(piece);
      } catch (error) {
        refuse(error);
      }
    });
    socket.once('close', () => {
      clearTimeout(greeting);
      clearInterval(beats);
      if (channel === undefined || channels.get(channel.name) !== channel) return;
      channels.delete(channel.name);
      log.info('data channel lost', { peer: address, port });
      watchAlone();
    });
  };

  const serve = (server: Server, port: number): void => {
    server.on('secureConnection', (socket) => {
      sockets.add(socket);
      socket.once('close', () => sockets.delete(socket));
      socket.on('error', () => {});
      accept(port, socket);
    });
    server.maxConnections = connectionsMost;
    server.on('tlsClientError', (error, socket) => log.warn('data channel refused', { peer: socket.remoteAddress ?? 'unknown address', why: error.message }));
  };
  for (const { server, port } of bound) serve(server, port);
  if (singlePort !== null) serve(shared, singlePort);
  watchAlone();

  const end = async (why: 'stopped' | 'left alone'): Promise<void> => {
    ending ??= (async () => {
      clearTimeout(alone);
      const closed = Promise.all(bound.map(async ({ server }) => await closeServer(server)));
      await session.end();
      for (const socket of sockets) socket.destroy();
      await closed;
      ended.resolve(why);
    })();
    await ending;
  };

  return {
    ports: singlePort === null ? bound.map(({ port }) => port) : Array.from({ length: options.channels }, () => singlePort),
    counts,
    ended: ended.promise,
    adopt(socket, first) {
      if (singlePort === null || ending !== undefined) return void socket.destroy();
      socket.unshift(first);
      shared.emit('connection', socket);
    },
    renew: (identity) => [...bound, { server: shared }].forEach(({ server }) => server.setSecureContext(dataTlsOptions(identity))),
    close: async () => await end('stopped'),
  };
}

/** What a request holds in memory until it is answered. */
function costOf({ kind, head, body }: Message): number {
  const range = kind === 'read' ? (head as { range?: { bytes?: unknown } } | null)?.range : undefined;
  return body.length + (typeof range?.bytes === 'number' ? range.bytes : 4096);
}
