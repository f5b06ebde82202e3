/**
 * The REST API over HTTPS. Routes, questions and answers are those of contract/routes.ts; an answer that does not keep
 * the contract is held back. Nothing is answered to anybody without a valid token, not even that a route is not there; the
 * one route that signs in is the exception. An answer to what changes something leaves after its row of the audit.
 */
import type { AddressInfo } from 'node:net';
import fastify, { type FastifyError, type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { describe, isFailure, toWire, type Failure } from '../../base/failure.ts';
import type { Log } from '../../base/log.ts';
import type { LinkIdentity } from '../../contract/link/trust.ts';
import type { Route } from '../../contract/route.ts';
import { routes, type RouteAnswer, type RouteName, type RouteQuestion } from '../../contract/routes.ts';
import { answerBroken, noSuchRoute, questionNotUnderstood } from '../failures.ts';
import type { Audit } from '../people/audit.ts';
import { demandPermission, type Reach, type SignIn } from '../people/reach.ts';
import type { Knock } from '../people/sign-ins.ts';
import type { Gate } from '../sign-in.ts';
import { entryOf, isAudited } from './audit-entry.ts';
import { httpStatusOf } from './http-status.ts';

export type StreamName = { [N in RouteName]: (typeof routes)[N] extends { readonly stream: true } ? N : never }[RouteName];

export type Handlers = {
  /** `signIn` is there for every route but the one that signs in. */
  readonly [N in Exclude<RouteName, StreamName>]: (question: RouteQuestion<N>, signIn: SignIn, call: Call) => Promise<RouteAnswer<N>>;
};
export type Call = {
  /** The address of the asker. */
  readonly from: string;
  /** The attempt that it is; there for the route that signs in. */
  readonly knock?: Knock;
  /** Who it is about, where that is not who asks. */
  readonly isAbout: (who: string) => void;
};
/**
 * A stream sends its own answer and resolves when it is over. Failures before its first byte are answered as usual. A request is
 * let in once, a stream goes on: `demandAgain` fails when whoever asked would no longer be let in.
 */
export type Streams = { readonly [N in StreamName]: (question: RouteQuestion<N>, request: FastifyRequest, reply: FastifyReply, demandAgain: () => Promise<void>) => Promise<void> };

export type RestOptions = { identity: LinkIdentity; gate: Gate; reach: Reach; knock: (from: string) => Knock; audit: Audit; handlers: Handlers; streams: Streams; log: Log };

declare module 'fastify' {
  interface FastifyRequest {
    signIn?: SignIn;
    /** In place of a sign-in, where none is needed. */
    knock?: Knock;
    /** Who it is about, in place of who asks. */
    about?: string;
    /** Code of the failure that is answered. */
    failed?: string;
  }
  interface FastifyContextConfig {
    name?: RouteName;
    route?: Route;
  }
}

export type Rest = {
  readonly app: FastifyInstance;
  listen(host: string, port: number): Promise<AddressInfo>;
  renew(identity: LinkIdentity): void;
  close(): Promise<void>;
};

const secure = (identity: LinkIdentity) => ({ key: identity.keyPem, cert: identity.certificatePem, minVersion: 'TLSv1.3' as const });

export function openRest(options: RestOptions): Rest {
  const { gate, reach, knock, audit, log } = options;
  const app = fastify({
    https: secure(options.identity),
    bodyLimit: 4 << 20,
    routerOptions: { maxParamLength: 500 },
    forceCloseConnections: true,
    return503OnClosing: false,
    requestTimeout: 60_000,
  }) as unknown as FastifyInstance;
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);

  app.addHook('onRequest', async (request, reply) => {
    reply.header('cache-control', 'no-store').header('x-content-type-options', 'nosniff');
    const { route } = request.routeOptions.config;
    if (route?.permission === 'anyone') return void (request.knock = knock(request.ip));
    request.signIn = await gate.admit(request.headers.authorization, request.ip);
    if (route !== undefined) demandPermission(request.signIn, route.permission);
  });
  app.addHook('preHandler', async (request) => {
    const { name, route } = request.routeOptions.config;
    if (name !== undefined && route !== undefined && request.signIn !== undefined) await reach.demand(request.signIn, name, route, questionOf(request));
  });
  app.addHook('onSend', async (request, reply, payload) => {
    if (!isAudited(request)) return payload;
    try {
      await audit.record(entryOf(request));
      return payload;
    } catch (error) {
      reply.code(500).type('application/json');
      return JSON.stringify(toWire(toFailure(error)));
    }
  });
  app.setNotFoundHandler((request) => {
    throw noSuchRoute({ route: `${request.method} ${request.url.split('?', 1)[0]!.slice(0, 200)}` });
  });
  app.setErrorHandler(async (error: FastifyError, request, reply) => {
    const failure = failureOf(error, request, log);
    request.failed = failure.code;
    await reply.code(httpStatusOf(failure)).type('application/json').serializer(JSON.stringify).send(toWire(failure));
  });
  for (const [name, route] of Object.entries(routes) as [RouteName, Route][]) addRoute(app, name, route, options);

  return {
    app,
    async listen(host, port) {
      await app.listen({ host, port });
      return app.server.address() as AddressInfo;
    },
    renew: (identity) => (app.server as unknown as { setSecureContext(context: object): void }).setSecureContext(secure(identity)),
    close: async () => await app.close(),
  };
}

const questionOf = (request: FastifyRequest) => ({ params: request.params, query: request.query, body: request.body });

/** Of what anybody may send. */
const openBodyBytes = 16 << 10;

function addRoute(app: FastifyInstance, name: RouteName, route: Route, { handlers, streams, reach, gate }: RestOptions): void {
  const { params, query: querystring, body } = route;
  const schema = { ...(params && { params }), ...(querystring && { querystring }), ...(body && { body }), ...(route.stream !== true && route.text === undefined && { response: { [route.status]: route.answer } }) };
  const common = { method: route.method, url: route.path, schema, config: { name, route }, ...(route.permission === 'anyone' && { bodyLimit: openBodyBytes }) };
  if (route.stream === true) {
    const stream = streams[name as StreamName] as (asked: unknown, request: FastifyRequest, reply: FastifyReply, demandAgain: () => Promise<void>) => Promise<void>;
    const demandAgain = async (request: FastifyRequest): Promise<void> => {
      const signIn = await gate.admit(request.headers.authorization, request.ip);
      demandPermission(signIn, route.permission);
      await reach.demand(signIn, name, route, questionOf(request));
    };
    return void app.route({ ...common, handler: async (request, reply) => await stream(questionOf(request), request, reply, async () => await demandAgain(request)) });
  }
  const handler = handlers[name as keyof Handlers] as (asked: unknown, signIn: SignIn | undefined, call: Call) => Promise<unknown>;
  app.route({
    ...common,
    handler: async (request, reply) => {
      reply.code(route.status);
      if (route.text !== undefined) reply.type(route.text);
      const answer = await handler(questionOf(request), request.signIn, { from: request.ip, ...(request.knock !== undefined && { knock: request.knock }), isAbout: (who) => void (request.about = who) });
      return request.signIn === undefined ? answer : await reach.narrow(request.signIn, name, route, answer);
    },
  });
}

function failureOf(error: FastifyError, request: FastifyRequest, log: Log): Failure {
  if (isFailure(error)) return error;
  if (error.validation !== undefined) {
    const why = error.validation.map(({ instancePath, message }) => `${instancePath.replace(/^\//, '').replaceAll('/', '.') || 'it'}: ${message ?? 'not valid'}`).join('; ');
    return questionNotUnderstood({ where: error.validationContext ?? 'question', why });
  }
  const route = `${request.method} ${request.routeOptions.url ?? ''}`.trim();
  if (error.code === 'FST_ERR_RESPONSE_SERIALIZATION') {
    log.error('an answer does not keep the contract', { route, why: describe(error.cause ?? error) });
    return answerBroken({ route });
  }
  if (error.statusCode !== undefined && error.statusCode >= 400 && error.statusCode < 500) return questionNotUnderstood({ where: 'body', why: error.message });
  log.error('unexpected error in a route', { route, why: describe(error), stack: error.stack });
  return toFailure(error);
}

function toFailure(error: unknown): Failure {
  return Object.assign(new Error('an unexpected error, which the log of the server has in full'), { ...toWire(error), message: 'an unexpected error, which the log of the server has in full', name: 'Failure' }) as unknown as Failure;
}
