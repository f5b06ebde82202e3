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
import { createServer, type Server, type Socket } from 'node:net';
import { systemClock, type Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import { dataAlpn } from '../contract/data-channel.ts';
import { peekClientHello } from '../contract/link/client-hello.ts';
import { bindPorts, closeServer, type PortRange } from './port-range.ts';
import { openPairs } from './relay-pairs.ts';
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

const leastPorts = 2;
/** Both ends send a sign of life every 5 s and give a channel up after 20 s without one. */
const usualQuietMs = 30_000;
/** At a port, those that have not said what they want included. */
const connectionsMost = 32;

export async function relayChannels(options: RelayOptions): Promise<Relay> {
  const { to, log, clock = systemClock, singlePort = null, quietMs = usualQuietMs } = options;
  const ended = Promise.withResolvers<'stopped' | 'left alone'>();
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
    if (pairs.count === 0 && ending === undefined) alone = setTimeout(() => void end('left alone'), options.keepMs ?? sessionKeptMs);
  };
  const pairs = openPairs({ to, quietMs, clock, log, onChange: watchAlone });

  const accept = (server: Server, onward: number): void => {
    server.maxConnections = connectionsMost;
    server.on('connection', (socket) => {
      pairs.keep(socket);
      peekClientHello(socket, (hello, first) => {
        if (hello === 'other' || hello.serverName !== options.asked || !hello.protocols.includes(dataAlpn)) return void socket.destroy();
        pairs.pass(socket, onward, first);
      });
    });
  };
  for (const [at, { server }] of bound.entries()) accept(server, to.ports[at]!);
  watchAlone();

  const end = async (why: 'stopped' | 'left alone'): Promise<void> => {
    ending ??= (async () => {
      clearTimeout(alone);
      const closed = Promise.all(bound.map(async ({ server }) => await closeServer(server)));
      pairs.close();
      await closed;
      ended.resolve(why);
    })();
    await ending;
  };

  return {
    ports: singlePort === null ? bound.map(({ port }) => port) : to.ports.map(() => singlePort),
    get relayedBytes() {
      return pairs.bytes;
    },
    ended: ended.promise,
    adopt(socket, first) {
      if (singlePort === null || ending !== undefined || pairs.count >= to.ports.length + connectionsMost) return void socket.destroy();
      pairs.keep(socket);
      socket.setNoDelay(true);
      pairs.pass(socket, pairs.freest(), first);
    },
    close: async () => await end('stopped'),
  };
}
