/**
 * The gateway between two hosts that cannot reach each other: connections in, the same connections out.
 *
 *   a connection: reading ── a TLS greeting that asks for this session ──▶ dialling ── there ──▶ passing ── either end closes ──▶ over
 *                    └─ anything else, or nothing in 10 s ─▶ hung up on      └─ 10 s ─▶ over          └─ 30 s without a byte ─▶ over
 *   a session:    open ── its last connection over, none back within `keepMs` ──▶ left alone
 *                   └──── close ──▶ stopped
 *
 * TLS begins and ends on the two hosts: a gateway has neither the ticket nor a key, reads the greeting's clear part, and passes
 * on what it does not understand. Nobody is dialled for a peer that does not know the session's name.
 */
import { connect, createServer, type Server, type Socket } from 'node:net';
import { systemClock, type Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { dataAlpn } from '../contract/data-channel.ts';
import { peekClientHello } from '../contract/link/client-hello.ts';
import { bindPorts, closeServer, type PortRange } from './port-range.ts';
import { sessionKeptMs } from './serve-archive.ts';

export type RelayOptions = {
  /** The name by which connections ask for the session. */
  readonly asked: string;
  readonly host: string;
  readonly range: PortRange;
  /** Where the session is served; for each of its ports one is taken here, as far as there are free ones. */
  readonly to: { readonly host: string; readonly ports: readonly number[] };
  /** All connections come over this port, which is somebody else's: they are given to `adopt`. */
  readonly singlePort?: number | null;
  readonly portWaitMs: number;
  readonly keepMs?: number;
  readonly quietMs?: number;
  readonly log: Log;
  readonly clock?: Clock;
  readonly signal?: AbortSignal;
  readonly onWaitForPorts?: () => void;
};

export type Relay = {
  readonly ports: readonly number[];
  /** In both directions. */
  readonly relayedBytes: number;
  readonly ended: Promise<'stopped' | 'left alone'>;
  /** A paused connection to the shared port, with what was read of it. */
  adopt(socket: Socket, first: Buffer): void;
  close(): Promise<void>;
};

type Pair = { readonly port: number; readonly near: Socket; readonly far: Socket; seenBytes: number; heardMs: number };

const dialMs = 10_000;
const leastPorts = 2;
/** Both ends send a sign of life every 5 s and give a channel up after 20 s without one. */
const usualQuietMs = 30_000;
/** At a port, those that have not said what they want included. */
const connectionsMost = 32;

export async function relayChannels(options: RelayOptions): Promise<Relay> {
  const { to, log, clock = systemClock, singlePort = null, quietMs = usualQuietMs } = options;
  const sockets = new Set<Socket>();
  const pairs = new Set<Pair>();
  const ended = Promise.withResolvers<'stopped' | 'left alone'>();
  let pastBytes = 0;
  let alone: NodeJS.Timeout | undefined;
  let ending: Promise<void> | undefined;
  const bound = singlePort !== null ? [] : await bindPorts({
    host: options.host,
    range: options.range,
    wanted: to.ports.length,
    least: leastPorts,
    waitMs: options.portWaitMs,
    clock,
    open: () => createServer({ noDelay: true }),
    onWait: options.onWaitForPorts,
    signal: options.signal,
  });

  const watchAlone = (): void => {
    clearTimeout(alone);
    if (pairs.size === 0 && ending === undefined) alone = setTimeout(() => void end('left alone'), options.keepMs ?? sessionKeptMs);
  };

  const keep = (socket: Socket): void => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
    socket.on('error', () => socket.destroy());
  };

  const pass = (near: Socket, port: number, first: Buffer): void => {
    const far = connect({ host: to.host, port, noDelay: true });
    keep(far);
    const dialling = setTimeout(() => far.destroy(), dialMs);
    const pair: Pair = { port, near, far, seenBytes: 0, heardMs: clock.monotonicMs() };
    pairs.add(pair);
    clearTimeout(alone);
    far.once('connect', () => {
      clearTimeout(dialling);
      far.write(first);
      near.pipe(far);
      far.pipe(near);
      log.info('a data channel passes', { peer: near.remoteAddress, to: `${to.host}:${port}` });
    });
    // What has come is still handed on to an end that is there.
    near.once('close', () => far.destroySoon());
    far.once('close', () => {
      clearTimeout(dialling);
      near.destroySoon();
      near.setTimeout(quietMs, () => near.destroy());
      pairs.delete(pair);
      pastBytes += bytesOf(pair);
      watchAlone();
    });
  };

  /** Of a port that many channels share, the onward port that is free, else the one that was quiet longest. */
  const freest = (): number => {
    const heard = (port: number): number => [...pairs].filter((pair) => pair.port === port).reduce((latest, { heardMs }) => Math.max(latest, heardMs), -Infinity);
    return to.ports.reduce((best, port) => (heard(port) < heard(best) ? port : best));
  };

  const accept = (server: Server, onward: number): void => {
    server.maxConnections = connectionsMost;
    server.on('connection', (socket) => {
      keep(socket);
      peekClientHello(socket, (hello, first) => {
        if (hello === 'other' || hello.serverName !== options.asked || !hello.protocols.includes(dataAlpn)) return void socket.destroy();
        pass(socket, onward, first);
      });
    });
  };
  for (const [at, { server }] of bound.entries()) accept(server, to.ports[at]!);
  watchAlone();

  const look = setInterval(() => {
    const now = clock.monotonicMs();
    for (const pair of pairs) {
      const bytes = bytesOf(pair);
      if (bytes !== pair.seenBytes) pair.heardMs = now;
      pair.seenBytes = bytes;
      if (now - pair.heardMs <= quietMs) continue;
      pair.near.destroy();
      pair.far.destroy();
    }
  }, Math.min(1_000, quietMs / 4));

  const end = async (why: 'stopped' | 'left alone'): Promise<void> => {
    ending ??= (async () => {
      clearTimeout(alone);
      clearInterval(look);
      const closed = Promise.all(bound.map(async ({ server }) => await closeServer(server)));
      for (const socket of sockets) socket.destroy();
      await closed;
      ended.resolve(why);
    })();
    await ending;
  };

  return {
    ports: singlePort === null ? bound.map(({ port }) => port) : to.ports.map(() => singlePort),
    get relayedBytes() {
      return [...pairs].reduce((sum, pair) => sum + bytesOf(pair), pastBytes);
    },
    ended: ended.promise,
    adopt(socket, first) {
      if (singlePort === null || ending !== undefined) return void socket.destroy();
      keep(socket);
      socket.setNoDelay(true);
      pass(socket, freest(), first);
    },
    close: async () => await end('stopped'),
  };
}

function bytesOf({ near, far }: Pair): number {
  return near.bytesRead + far.bytesRead;
}
