/**
 * The listening end of order links. TLS is ended here by hand so that a peer is judged before HTTP reads its first
 * byte: whoever is not admitted gets no answer at all, not even a status line.
 */
import { createServer as createHttpServer, type IncomingMessage } from 'node:http';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { createServer as createTlsServer, type TLSSocket } from 'node:tls';
import { WebSocketServer } from 'ws';
import { describe } from '../../base/failure.ts';
import type { Log } from '../../base/log.ts';
import { sayPortOwner } from '../../base/port-owner.ts';
import { listenPortInUse } from '../failures.ts';
import { answerOrders, type SomeHandlers } from './answerer.ts';
import { peekClientHello } from './client-hello.ts';
import { openChannel, type Channel, type ChannelOptions } from './channel.ts';
import { frameBytes, linkPath, type Role } from './frames.ts';
import { admitPart, judge, tlsOptions, type Admit, type LinkIdentity, type Peer } from './trust.ts';

export type LinkListener = {
  readonly port: number;
  readonly address: string;
  /** Shows a new certificate to those who connect from now on. */
  renew(identity: LinkIdentity): void;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

export type ListenOptions = {
  /** Without one, all addresses of the machine. */
  host?: string;
  port: number;
  identity: LinkIdentity;
  admit: Admit;
  role: Role;
  version: string;
  log: Log;
  onChannel: (channel: Channel) => void;
  /** Takes connections of another protocol off this port: `first` is what was read of them, and they are paused. */
  other?: { protocol: string; onConnection: (serverName: string, socket: Socket, first: Buffer) => void };
  timing?: Pick<ChannelOptions, 'pingMs' | 'deadMs' | 'greetingMs'>;
};

/** Takes orders on a port: what a transport service does. */
export async function openOrderServer(options: { host?: string; port: number; identity: LinkIdentity; handlers: SomeHandlers; version: string; log: Log; admit?: Admit; other?: ListenOptions['other']; timing?: ListenOptions['timing'] }): Promise<LinkListener> {
  const { handlers, log, admit = admitPart('server'), ...rest } = options;
  return await listenForLinks({ ...rest, admit, log, role: 'answerer', onChannel: (channel) => answerOrders(channel, handlers, log) });
}

export async function listenForLinks(options: ListenOptions): Promise<LinkListener> {
  const { log } = options;
  const sockets = new Set<Socket>();
  const peers = new WeakMap<Socket, Peer>();
  const upgrades = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: frameBytes });
  const http = createHttpServer((_request, response) => response.writeHead(404).end());
  http.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    const peer = peers.get(socket);
    if (peer === undefined || request.url !== linkPath) return void socket.destroy();
    upgrades.handleUpgrade(request, socket, head, (ws) => {
      const address = `${peer.part} ${peer.name} (${request.socket.remoteAddress ?? 'unknown address'})`;
      openChannel(ws, { role: options.role, version: options.version, address, peer, ...options.timing }).then(
        (channel) => {
          log.info('link open', { peer: address, contract: channel.contract, version: channel.hello.version });
          void channel.closed.then((why) => log.info('link closed', { peer: address, why: why.message }));
          options.onChannel(channel);
        },
        (error: unknown) => log.warn('link refused', { peer: address, why: describe(error) }),
      );
    });
  });

  const tls = createTlsServer({ ...tlsOptions(options.identity), requestCert: true, handshakeTimeout: 10_000 }, (socket: TLSSocket) => {
    const judged = judge(socket, options.admit);
    if (judged.kind === 'refused') {
      log.warn('link refused', { peer: socket.remoteAddress ?? 'unknown address', why: judged.why });
      return void socket.destroy();
    }
    peers.set(socket, judged.peer);
    http.emit('connection', socket);
  });
  tls.on('tlsClientError', (error, socket) => log.warn('link refused', { peer: socket.remoteAddress ?? 'unknown address', why: error.message }));
  const { other } = options;
  const takeAway: NonNullable<ListenOptions['other']>['onConnection'] = (serverName, socket, first) => {
    sockets.delete(socket);
    other!.onConnection(serverName, socket, first);
  };
  const front = other === undefined ? tls : openFront(tls, { protocol: other.protocol, onConnection: takeAway });
  front.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await listenOn(front, options);
  const { port, address } = front.address() as AddressInfo;
  const close = async (): Promise<void> => {
    // The server's own word for its end waits for connections that other processes were given, too.
    const gone = [...sockets].map(async (socket) => await new Promise((resolve) => socket.once('close', resolve)));
    front.close();
    for (const socket of sockets) socket.destroy();
    await Promise.all(gone);
  };
  return {
    port,
    address,
    renew: (identity) => tls.setSecureContext(tlsOptions(identity)),
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** Listens in the place of `tls`, and gives it every connection that is not of the other protocol. */
function openFront(tls: Server, other: NonNullable<ListenOptions['other']>): Server {
  return createServer((socket) =>
    peekClientHello(socket, (hello, first) => {
      if (hello !== 'other' && hello.serverName !== undefined && hello.protocols.includes(other.protocol)) return other.onConnection(hello.serverName, socket, first);
      socket.unshift(first);
      tls.emit('connection', socket);
    }),
  );
}

/** A port that somebody has is named with its holder; never is another one taken silently. */
export async function listenOn(server: Server, { host, port }: { host?: string; port: number }): Promise<void> {
  try {
    await new Promise<void>((resolve, reject) => {
      server.once('error', reject);
      server.listen(port, host, () => resolve());
    });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    throw listenPortInUse({ port, by: await sayPortOwner(port) }, error);
  }
}

/** Fails as `listenOn` would, and listens on nothing. */
export async function requireFreePort(where: { host?: string; port: number }): Promise<void> {
  const probe = createServer();
  await listenOn(probe, where);
  await new Promise((resolve) => probe.close(resolve));
}
