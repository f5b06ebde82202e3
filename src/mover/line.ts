/**
 * One channel from the dialling end, kept up until it is closed.
 *
 *   dialling ── TLS, their certificate, our greeting answered ──▶ open ── error, silence, end ──▶ waiting ── back-off ──▶ dialling
 *      └─ refused for good (wrong host, wrong ticket) ─▶ ended          close ─▶ ended
 *
 * Whoever holds the line is told of each move. What was sent and not answered is the holder's to send again.
 */
import { connect, type TLSSocket } from 'node:tls';
import type { Clock } from '../base/clock.ts';
import { fromWire, isFailure, type Failure, type WireFailure } from '../base/failure.ts';
import { dataProtocol, dataSessionName, type DataHead } from '../contract/data-channel.ts';
import { admitHost, judge, type LinkIdentity } from '../contract/link/trust.ts';
import { beatMs, silentMs } from './beats.ts';
import { channelTaken, hostNotReached, hostNotTrusted } from './failures.ts';
import { openSender, type Sender } from './sender.ts';
import { dataTlsOptions } from './tls.ts';
import { encodeMessage, openParser, type Message } from './wire.ts';

export type LineOptions = {
  readonly host: string;
  readonly port: number;
  readonly name: string;
  readonly channel: number;
  readonly ticket: string;
  readonly client: string;
  readonly identity: () => Promise<LinkIdentity>;
  readonly clock: Clock;
  readonly onOpen: () => void;
  readonly onMessage: (message: Message) => void;
  readonly onLost: (why: Failure) => void;
  /** It will not be dialled again. */
  readonly onRefused: (why: Failure) => void;
};

export type Line = {
  readonly isOpen: boolean;
  send(message: Buffer): void;
  /** Gives the connection up and dials again. */
  drop(why: Failure): void;
  close(): void;
};

const dialMs = 10_000;
const firstBackOffMs = 50;
const mostBackOffMs = 5_000;

export function keepLine(options: LineOptions): Line {
  const { clock } = options;
  const address = `${options.host}:${options.port}`;
  const ends = new AbortController();
  let open: { readonly socket: TLSSocket; readonly sender: Sender } | undefined;
  let lose: (why: Failure) => void = () => {};

  const run = async (): Promise<void> => {
    for (let backOffMs = firstBackOffMs; !ends.signal.aborted; ) {
      const why = await connectOnce(() => (backOffMs = firstBackOffMs));
      if (ends.signal.aborted) return;
      if (isForGood(why)) return options.onRefused(why);
      options.onLost(why);
      await clock.wait(backOffMs, ends.signal).catch(() => {});
      backOffMs = Math.min(2 * backOffMs, mostBackOffMs);
    }
  };

  /** Resolves with the reason when the connection is over. */
  const connectOnce = async (onOpen: () => void): Promise<Failure> => {
    const identity = await options.identity().catch((cause: unknown) => (isFailure(cause) ? cause : hostNotReached({ host: address, why: 'the identity of this host cannot be read' }, cause)));
    if (isFailure(identity)) return identity;
    const socket = connect({ host: options.host, port: options.port, servername: dataSessionName(options.ticket), ...dataTlsOptions(identity), checkServerIdentity: () => undefined });
    let heardMs = clock.monotonicMs();
    const over = Promise.withResolvers<Failure>();
    lose = (why) => {
      over.resolve(why);
      socket.destroy();
    };
    const dialling = setTimeout(() => lose(hostNotReached({ host: address, why: `no channel within ${dialMs / 1000} s` })), dialMs);
    const beats = setInterval(() => {
      if (open?.socket === socket) open.sender.send(encodeMessage(0, 'beat', {}));
      if (clock.monotonicMs() - heardMs > silentMs) lose(hostNotReached({ host: address, why: `not a sign of life for ${silentMs / 1000} s` }));
    }, beatMs);
    const parser = openParser((message) => {
      if (open?.socket === socket) return message.kind === 'beat' ? undefined : options.onMessage(message);
      if (message.kind === 'failed') return lose(fromWire(message.head as WireFailure));
      clearTimeout(dialling);
      open = { socket, sender: openSender(socket) };
      onOpen();
      options.onOpen();
    });
    socket.setNoDelay(true);
    socket.on('data', (piece: Buffer) => {
      heardMs = clock.monotonicMs();
      try {
        parser.push(piece);
      } catch (error) {
        if (!isFailure(error)) throw error;
        lose(error);
      }
    });
    socket.once('secureConnect', () => {
      const judged = judge(socket, admitHost('transport', options.name));
      if (judged.kind === 'refused') return lose(hostNotTrusted({ host: address, why: judged.why }));
      const hello: DataHead<'hello'> = { protocol: dataProtocol, ticket: options.ticket, channel: options.channel, client: options.client };
      socket.write(encodeMessage(0, 'hello', hello));
    });
    socket.on('error', (error) => lose(hostNotReached({ host: address, why: error.message }, error)));
    socket.once('close', () => lose(hostNotReached({ host: address, why: open?.socket === socket ? 'it closed the channel' : 'it closed before it greeted' })));
    const why = await over.promise;
    open = undefined;
    clearTimeout(dialling);
    clearInterval(beats);
    return why;
  };

  void run();
  return {
    get isOpen() {
      return open !== undefined;
    },
    send: (message) => open?.sender.send(message),
    drop: (why) => lose(why),
    close() {
      ends.abort(new Error('closed'));
      lose(hostNotReached({ host: address, why: 'this side closed it' }));
    },
  };
}

/** Another process of the task lets go of its channel in a moment; everything else that was answered stays as it is. */
function isForGood(why: Failure): boolean {
  return why.code.startsWith('mover.') && why.code !== hostNotReached.code && why.code !== channelTaken.code;
}
