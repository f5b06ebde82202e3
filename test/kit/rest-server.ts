/** A small HTTPS server made from the contract's routes: what a test says is what it answers, checked against the schemas. */
import 'reflect-metadata';
import { createServer, type Server } from 'node:https';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { webcrypto } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { PemConverter, SubjectAlternativeNameExtension, X509CertificateGenerator, BasicConstraintsExtension } from '@peculiar/x509';
import { isFailure, toWire } from '../../src/base/failure.ts';
import type { Route } from '../../src/contract/route.ts';
import { routes, type RouteAnswer, type RouteName, type RouteQuestion } from '../../src/contract/routes.ts';
import type { SessionEvent } from '../../src/contract/sessions.ts';

export type Answers = {
  [N in RouteName]?: (question: RouteQuestion<N>) => N extends 'session.events' ? AsyncIterable<SessionEvent> : RouteAnswer<N> | Promise<RouteAnswer<N>>;
};

export type RestServer = {
  readonly url: string;
  readonly ca: string;
  readonly token: string;
  /** `session.stop 7`, in the order in which they came. */
  readonly asked: string[];
  answers: Answers;
  /** Said as it is, whatever the contract says. */
  lies: Partial<Record<RouteName, unknown>>;
  /** Drops every connection, and refuses new ones until `listen`. */
  away(): Promise<void>;
  listen(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

export async function openRestServer(answers: Answers): Promise<RestServer> {
  const identity = await makeIdentity();
  const token = 'a-token-for-tests';
  const asked: string[] = [];
  let server: Server | undefined;
  let port = 0;
  const rest: RestServer = {
    get url() {
      return `https://127.0.0.1:${port}`;
    },
    ca: identity.cert,
    token,
    asked,
    answers,
    lies: {},
    async listen() {
      server = createServer(identity, (request, response) => void answer(rest, request, response));
      await new Promise<void>((resolve) => server!.listen(port, '127.0.0.1', resolve));
      port = (server.address() as AddressInfo).port;
    },
    async away() {
      const closed = new Promise((resolve) => server!.close(resolve));
      server!.closeAllConnections();
      await closed;
    },
    async [Symbol.asyncDispose]() {
      if (server?.listening === true) await rest.away();
    },
  };
  await rest.listen();
  return rest;
}

async function answer(rest: RestServer, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const url = new URL(request.url!, 'https://x');
  const reply = (status: number, document: unknown): void => void response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(document));
  try {
    const found = findRoute(request.method!, url.pathname);
    if (found === undefined) return reply(404, toWire(new Error(`no route ${url.pathname}`)));
    if (found.route.permission !== 'anyone' && request.headers.authorization !== `Bearer ${rest.token}`) return reply(401, { ...toWire(new Error('not signed in')), code: 'server.not-signed-in' });
    const body = await bodyOf(request);
    rest.asked.push([found.name, ...Object.values(found.params)].join(' '));
    const question = {
      params: found.route.params?.parse(found.params),
      query: found.route.query?.parse(Object.fromEntries(url.searchParams)),
      body: found.route.body?.parse(body),
    };
    if (found.name in rest.lies) return reply(200, rest.lies[found.name]);
    const act = rest.answers[found.name] as ((question: unknown) => unknown) | undefined;
    if (act === undefined) throw new Error(`the test gave no answer for ${found.name}`);
    const said = act(question);
    if (found.route.stream !== true) return reply(found.route.status, found.route.answer.parse(await said));
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(': hello\n\n');
    for await (const event of said as AsyncIterable<unknown>) response.write(`data: ${JSON.stringify(event)}\n\n`);
    response.end();
  } catch (error) {
    if (response.headersSent) response.destroy();
    else reply(isFailure(error) ? 409 : 500, toWire(error));
  }
}

function findRoute(method: string, path: string): { name: RouteName; route: Route; params: Record<string, string> } | undefined {
  for (const [name, route] of Object.entries(routes) as [RouteName, Route][]) {
    const pattern = new RegExp(`^${route.path.replace(/:([a-z]+)/g, '(?<$1>[^/]+)')}$`);
    const match = route.method === method ? pattern.exec(path) : null;
    if (match === null) continue;
    const params = Object.fromEntries(Object.entries(match.groups ?? {}).map(([key, value]) => [key, decodeURIComponent(value)]));
    return { name, route, params };
  }
  return undefined;
}

async function bodyOf(request: IncomingMessage): Promise<unknown> {
  const parts: Buffer[] = [];
  for await (const part of request) parts.push(part as Buffer);
  return parts.length === 0 ? undefined : JSON.parse(Buffer.concat(parts).toString());
}

async function makeIdentity(): Promise<{ key: string; cert: string }> {
  const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' };
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify']);
  const certificate = await X509CertificateGenerator.createSelfSigned({
    name: 'CN=a server for tests',
    keys,
    signingAlgorithm: algorithm,
    notBefore: new Date(Date.now() - 86_400_000),
    notAfter: new Date(Date.now() + 86_400_000),
    extensions: [new BasicConstraintsExtension(true), new SubjectAlternativeNameExtension([{ type: 'ip', value: '127.0.0.1' }])],
  });
  const key = await webcrypto.subtle.exportKey('pkcs8', keys.privateKey);
  return { key: PemConverter.encode(key, 'PRIVATE KEY'), cert: certificate.toString('pem') };
}
