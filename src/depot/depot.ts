/**
 * The distribution server: two services over one directory of packages.
 *
 *   9380    API, mutual TLS: server and hosts list packages, get manifests and bytes; the server makes install tokens and
 *           has packages sent to the deployers of hosts
 *   11731   installer, TLS: a host without a certificate redeems its token, once, for its kit and its package
 *
 * Nothing is answered on 9380 before the peer's certificate was judged. On 11731 nothing is answered without a token or a
 * ticket but that it was refused.
 */
import { createServer as createHttpServer, type Server as HttpServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { join } from 'node:path';
import { createServer as createTlsServer, type Server as TlsServer, type TLSSocket } from 'node:tls';
import fastify, { type FastifyError, type FastifyInstance, type FastifyRequest } from 'fastify';
import * as z from 'zod';
import { systemClock, type Clock } from '../base/clock.ts';
import { isFailure, toWire, type Failure } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import { installTokenQuestion, packageWanted, sendQuestion } from '../contract/depot.ts';
import { listenOn } from '../contract/link/listen.ts';
import { judge, tlsOptions, type LinkIdentity, type Peer } from '../contract/link/trust.ts';
import { packageName, packagePlatform, packageVersion } from '../contract/packages.ts';
import { depotQuestion, installTokenRefused, notForThisPart, packageUnknown } from './failures.ts';
import { openInstallTokens } from './install-tokens.ts';
import { openPackageStore } from './package-store.ts';
import { sendBytes } from './send-bytes.ts';
import { sendToDeployer } from './send-to-deployer.ts';
import { openSigningKey } from './signing-key.ts';

export type DepotOptions = {
  /** Holds `signing.key` and `packages/`. */
  directory: string;
  identity: LinkIdentity;
  api: { host?: string; port: number };
  installer: { host?: string; port: number };
  version: string;
  log: Log;
  clock?: Clock;
};

export type Depot = {
  readonly apiPort: number;
  readonly installerPort: number;
  renew(identity: LinkIdentity): void;
  close(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

const admitted: ReadonlySet<string> = new Set(['server', 'deployer', 'transport']);
const filter = z.object({ name: packageName.optional(), version: packageVersion.optional(), platform: packagePlatform.optional() });
const redeemQuestion = z.object({ token: z.string().max(200) });

function read<S extends z.ZodType>(schema: S, given: unknown): z.infer<S> {
  const found = schema.safeParse(given);
  if (!found.success) throw depotQuestion({ why: z.prettifyError(found.error).replaceAll('\n', ' ') });
  return found.data;
}

export async function openDepot(options: DepotOptions): Promise<Depot> {
  const { directory, log } = options;
  const key = await openSigningKey(join(directory, 'signing.key'));
  const store = await openPackageStore(join(directory, 'packages'), key.publicKeyPem);
  for (const { file, why } of await store.refused()) log.warn('a package is refused', { file, why });
  const tokens = openInstallTokens(options.clock ?? systemClock);
  const peers = new WeakMap<Socket, Peer>();
  let { identity } = options;
  const serverOnly = (request: FastifyRequest, what: string): void => {
    const peer = peers.get(request.raw.socket);
    if (peer?.part !== 'server') throw notForThisPart({ part: peer?.part ?? 'stranger', what });
  };

  const api = openApp(log);
  api.app.get('/key', async () => ({ publicKeyPem: key.publicKeyPem, version: options.version }));
  api.app.get('/packages', async (request) => ({ packages: (await store.list(read(filter, request.query))).map(({ manifest }) => manifest), refused: await store.refused() }));
  api.app.get('/packages/:name/:version/:platform', async (request) => (await store.find(read(packageWanted, request.params))).signed);
  api.app.get('/packages/:name/:version/:platform/bytes', async (request, reply) => await sendBytes(reply, await store.find(read(packageWanted, request.params)), request.headers.range));
  api.app.post('/packages/:name/:version/:platform/send', async (request) => {
    serverOnly(request, 'have packages sent');
    return await sendToDeployer(await store.find(read(packageWanted, request.params)), read(sendQuestion, request.body), { identity, version: options.version });
  });
  api.app.post('/install-tokens', async (request) => {
    serverOnly(request, 'make install tokens');
    const { host, kit, ...wanted } = read(installTokenQuestion, request.body);
    return tokens.make({ host, kit, package: await store.find(wanted) });
  });

  const installer = openApp(log);
  installer.app.post('/install', async (request) => {
    const { host, kit, package: stored, ticket } = tokens.redeem(read(redeemQuestion, request.body).token, addressOf(request));
    log.info('a host fetches its first package', { host, address: addressOf(request), package: stored.manifest.name, version: stored.manifest.version });
    return { host, kit, package: stored.signed, publicKeyPem: key.publicKeyPem, ticket };
  });
  installer.app.get('/install/bytes', async (request, reply) => {
    const ticket = /^Bearer (\S{1,200})$/.exec(request.headers.authorization ?? '')?.[1];
    if (ticket === undefined) throw installTokenRefused({ why: 'there is none' });
    await sendBytes(reply, tokens.archive(ticket, addressOf(request)), request.headers.range);
    return reply;
  });

  await Promise.all([api.app.ready(), installer.app.ready()]);
  const judged = createTlsServer({ ...tlsOptions(identity), requestCert: true, handshakeTimeout: 10_000 }, (socket: TLSSocket) => {
    const result = judge(socket, (peer) => (admitted.has(peer.part) ? undefined : `its certificate is for a ${peer.part}, which has no business here`));
    if (result.kind === 'refused') {
      log.warn('refused', { peer: socket.remoteAddress ?? 'unknown address', why: result.why });
      return void socket.destroy();
    }
    peers.set(socket, result.peer);
    api.http.emit('connection', socket);
  });
  const open = createTlsServer({ ...tlsOptions(identity), requestCert: false, handshakeTimeout: 10_000 }, (socket) => void installer.http.emit('connection', socket));
  const servers = [judged, open];
  const sockets = servers.map(keepSockets);
  await listenOn(judged, options.api);
  try {
    await listenOn(open, options.installer);
  } catch (error) {
    judged.close();
    throw error;
  }
  const close = async (): Promise<void> => {
    const closed = servers.map(async (server) => await new Promise<void>((resolve) => server.close(() => resolve())));
    for (const held of sockets) for (const socket of held) socket.destroy();
    await Promise.all([...closed, api.app.close(), installer.app.close()]);
  };
  return {
    apiPort: (judged.address() as AddressInfo).port,
    installerPort: (open.address() as AddressInfo).port,
    renew(renewed) {
      identity = renewed;
      for (const server of servers) server.setSecureContext(tlsOptions(renewed));
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** An application without a port: connections are handed to it once they are judged. */
function openApp(log: Log): { app: FastifyInstance; http: HttpServer } {
  const http = createHttpServer();
  const app = fastify({
    bodyLimit: 128 << 10,
    requestTimeout: 600_000,
    serverFactory: (handler) => {
      http.on('request', handler);
      return http;
    },
  });
  app.addHook('onRequest', async (_, reply) => void reply.header('cache-control', 'no-store'));
  app.setNotFoundHandler((request) => {
    throw packageUnknown({ what: `${request.method} ${request.url.split('?', 1)[0]!.slice(0, 100)}` });
  });
  app.setErrorHandler(async (error: FastifyError | Failure, _, reply) => {
    const isOurs = isFailure(error);
    if (!isOurs && (error.statusCode ?? 500) >= 500) log.error('unexpected error', { why: error.message, stack: error.stack });
    const answer = isOurs ? error : depotQuestion({ why: (error as FastifyError).statusCode === undefined ? 'an unexpected error, which the log has in full' : error.message });
    await reply.code(isOurs ? (statuses[error.code] ?? 500) : ((error as FastifyError).statusCode ?? 500)).send(toWire(answer));
  });
  return { app, http };
}

const statuses: Readonly<Record<string, number>> = {
  [packageUnknown.code]: 404,
  [installTokenRefused.code]: 401,
  [notForThisPart.code]: 403,
  [depotQuestion.code]: 400,
};

const addressOf = (request: FastifyRequest): string => request.raw.socket.remoteAddress ?? 'unknown address';

function keepSockets(server: TlsServer): Set<Socket> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  return sockets;
}
