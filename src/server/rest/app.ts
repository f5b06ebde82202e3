/**
 * The REST API over HTTPS. Routes, questions and answers are those of contract/routes.ts; an answer that does not keep
 * the contract is held back. Nothing is answered to anybody without a valid token, not even that a route is not there.
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
import type { Gate, SignIn } from '../sign-in.ts';
import { httpStatusOf } from './http-status.ts';

export type StreamName = { [N in RouteName]: (typeof routes)[N] extends { readonly stream: true } ? N : never }[RouteName];

export type Handlers = {
  readonly [N in Exclude<RouteName, StreamName>]: (question: RouteQuestion<N>, signIn: SignIn) => Promise<RouteAnswer<N>>;
};
/** A stream sends its own answer and resolves when it is over. Failures before its first byte are answered as usual. */
export type Streams = { readonly [N in StreamName]: (question: RouteQuestion<N>, request: FastifyRequest, reply: FastifyReply) => Promise<void> };

export type RestOptions = { identity: LinkIdentity; gate: Gate; handlers: Handlers; streams: Streams; log: Log };

declare module 'fastify' {
  interface FastifyRequest {
    signIn?: SignIn;
  }
  interface FastifyContextConfig {
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
  const { gate, log } = options;
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
    request.signIn = await gate.admit(request.headers.authorization, request.ip);
    const route = request.routeOptions.config.route;
    if (route !== undefined) gate.demand(request.signIn, route.permission);
  });
  app.setNotFoundHandler((request) => {
    throw noSuchRoute({ route: `${request.method} ${request.url.split('?', 1)[0]!.slice(0, 200)}` });
  });
  app.setErrorHandler(async (error: FastifyError, request, reply) => {
    const failure = failureOf(error, request, log);
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

function addRoute(app: FastifyInstance, name: RouteName, route: Route, { handlers, streams }: RestOptions): void {
  const { params, query: querystring, body } = route;
  const question = (request: FastifyRequest) => ({ params: request.params, query: request.query, body: request.body });
  const schema = { ...(params && { params }), ...(querystring && { querystring }), ...(body && { body }), ...(route.stream !== true && { response: { [route.status]: route.answer } }) };
  const common = { method: route.method, url: route.path, schema, config: { route } };
  if (route.stream === true) {
    const stream = streams[name as StreamName] as (asked: unknown, request: FastifyRequest, reply: FastifyReply) => Promise<void>;
    return void app.route({ ...common, handler: async (request, reply) => await stream(question(request), request, reply) });
  }
  const handler = handlers[name as keyof Handlers] as (asked: unknown, signIn: SignIn) => Promise<unknown>;
  app.route({
    ...common,
    handler: async (request, reply) => {
      reply.code(route.status);
      return await handler(question(request), request.signIn!);
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
