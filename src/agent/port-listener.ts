/**
 * A listener for the moment of a check: data ports have nobody behind them unless a job runs. It shows this host's
 * certificate and ends every connection after the handshake; it lives as long as the order that asked for it.
 */
import type { AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { createServer, type Server } from 'node:tls';
import { tlsOptions, type LinkIdentity } from '../contract/link/trust.ts';
import type { OrderInput } from '../contract/orders.ts';
import { portRangeUsedUp } from './failures.ts';

type Wanted = OrderInput<'ports.listen'>;

export async function listenForProbes({ address, range, count }: Wanted, identity: LinkIdentity, onListening: (ports: number[]) => Promise<void>, signal: AbortSignal): Promise<void> {
  const host = isOwn(address) ? address : undefined;
  const servers: Server[] = [];
  const ended = new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true }));
  try {
    let why = 'each is in use';
    for (const candidates of spread(range, count)) {
      for (const port of candidates) {
        if (signal.aborted) return;
        const server = await tryListen(port, host, identity).catch((error: NodeJS.ErrnoException) => {
          if (error.code !== 'EADDRINUSE') why = error.message;
          return undefined;
        });
        if (server === undefined) continue;
        servers.push(server);
        break;
      }
    }
    if (servers.length === 0) throw portRangeUsedUp({ ...range, why });
    await onListening(servers.map((server) => (server.address() as AddressInfo).port));
    await ended;
  } finally {
    for (const server of servers) server.close();
  }
}

/** Whether the address is one of this machine's: behind a translation of addresses it need not be. */
function isOwn(address: string): boolean {
  return Object.values(networkInterfaces()).some((list) => list?.some((each) => each.address === address));
}

/**
 * The range in `count` parts, each to be searched for one free port: the first from its low end, the last from its high
 * end. A firewall that opens only a part of the range shows at an end.
 */
function spread({ from, to }: Wanted['range'], count: number): number[][] {
  const size = to - from + 1;
  const parts = Math.min(count, size);
  return Array.from({ length: parts }, (_, n) => {
    const [low, high] = [from + Math.floor((size * n) / parts), from + Math.floor((size * (n + 1)) / parts) - 1];
    const ports = Array.from({ length: high - low + 1 }, (_unused, k) => low + k);
    return n === parts - 1 && n > 0 ? ports.reverse() : ports;
  });
}

async function tryListen(port: number, host: string | undefined, identity: LinkIdentity): Promise<Server> {
  // Connections end by themselves: after the handshake, or when it takes too long.
  const server = createServer({ ...tlsOptions(identity), requestCert: true, handshakeTimeout: 5_000 }, (socket) => {
    socket.on('error', () => {});
    socket.end();
  });
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen({ port, host, exclusive: true }, resolve);
  });
  server.on('error', () => {});
  return server;
}
