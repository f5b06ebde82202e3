/**
 * The connections that a relay passes on, in pairs: the near one that came, and the far one that was made for it. What is
 * closed at one end is closed at the other; a pair without a byte for too long is given up.
 */
import { connect, type Socket } from 'node:net';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';

type Pair = { readonly port: number; readonly near: Socket; readonly far: Socket; seenBytes: number; heardMs: number };

export type Pairs = {
  readonly count: number;
  /** In both directions, of all that ever were. */
  readonly bytes: number;
  /** A connection that goes with the relay, whether it is passed on or not. */
  keep(socket: Socket): void;
  /** `first` is what was read of the near end. */
  pass(near: Socket, port: number, first: Buffer): void;
  /** The onward port that is free, else the one whose channel is closing, else the one that was quiet longest. */
  freest(): number;
  close(): void;
};

export type PairsOptions = { readonly to: { readonly host: string; readonly ports: readonly number[] }; readonly quietMs: number; readonly clock: Clock; readonly log: Log; readonly onChange: () => void };

const dialMs = 10_000;

export function openPairs({ to, quietMs, clock, log, onChange }: PairsOptions): Pairs {
  const sockets = new Set<Socket>();
  const pairs = new Set<Pair>();
  let pastBytes = 0;

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
    onChange();
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
      onChange();
    });
  };

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

  return {
    get count() {
      return pairs.size;
    },
    get bytes() {
      return [...pairs].reduce((sum, pair) => sum + bytesOf(pair), pastBytes);
    },
    keep,
    pass,
    freest() {
      const heard = (port: number): number => [...pairs].filter((pair) => pair.port === port && !pair.near.destroyed).reduce((latest, { heardMs }) => Math.max(latest, heardMs), -Infinity);
      return to.ports.reduce((best, port) => (heard(port) < heard(best) ? port : best));
    },
    close() {
      clearInterval(look);
      for (const socket of sockets) socket.destroy();
    },
  };
}

function bytesOf({ near, far }: Pair): number {
  return near.bytesRead + far.bytesRead;
}
