/**
 * Ports of the data range: one for each connection of a job.
 *
 * The kernel is the referee between all sessions of a host: a port is ours when it could be bound. A session takes as
 * many as it wants or as are free, but never fewer than `least`: below that it gives back what it has and waits, so
 * that two sessions never hold each other up.
 */
import type { Server } from 'node:net';
import type { Clock } from '../base/clock.ts';
import { portsUsedUp } from './failures.ts';

export type PortRange = { readonly from: number; readonly to: number };

export type BindOptions<S extends Server> = {
  readonly host: string;
  readonly range: PortRange;
  readonly wanted: number;
  readonly least: number;
  readonly waitMs: number;
  readonly clock: Clock;
  readonly open: () => S;
  /** Called once, when the first try found too few. */
  readonly onWait?: () => void;
  readonly signal?: AbortSignal;
};

const lookEveryMs = 200;

export async function bindPorts<S extends Server>(options: BindOptions<S>): Promise<{ port: number; server: S }[]> {
  const { range, wanted, least, clock } = options;
  const endMs = clock.monotonicMs() + options.waitMs;
  for (let tries = 1; ; tries++) {
    const bound = await bindFree(options);
    if (bound.length >= Math.min(least, wanted)) return bound;
    await Promise.all(bound.map(async ({ server }) => await closeServer(server)));
    if (clock.monotonicMs() >= endMs) throw portsUsedUp({ ...range, wanted: least, seconds: Math.round(options.waitMs / 1000) });
    if (tries === 1) options.onWait?.();
    await clock.wait(Math.min(lookEveryMs, Math.max(1, endMs - clock.monotonicMs())), options.signal);
  }
}

async function bindFree<S extends Server>({ host, range, wanted, open, signal }: BindOptions<S>): Promise<{ port: number; server: S }[]> {
  const bound: { port: number; server: S }[] = [];
  try {
    for (let port = range.from; port <= range.to && bound.length < wanted; port++) {
      signal?.throwIfAborted();
      const server = open();
      if (await listens(server, host, port)) bound.push({ port, server });
    }
    return bound;
  } catch (error) {
    await Promise.all(bound.map(async ({ server }) => await closeServer(server)));
    throw error;
  }
}

/** False when somebody else has the port. */
async function listens(server: Server, host: string, port: number): Promise<boolean> {
  return await new Promise((resolve, reject) => {
    const failed = (error: NodeJS.ErrnoException): void => (error.code === 'EADDRINUSE' || error.code === 'EACCES' ? resolve(false) : reject(error));
    server.once('error', failed);
    server.listen({ host, port, exclusive: true }, () => {
      server.off('error', failed);
      resolve(true);
    });
  });
}

export async function closeServer(server: Server): Promise<void> {
  await new Promise<void>((resolve) => server.close(() => resolve()));
}
