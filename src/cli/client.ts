/**
 * The client of the REST API: one function for all routes, typed from the contract. The server is trusted by the
 * certificate authority given, and by nothing else; every call has a deadline.
 */
import { request as openRequest, type RequestOptions } from 'node:https';
import type { IncomingMessage } from 'node:http';
import { fromWire } from '../base/failure.ts';
import type { Route } from '../contract/route.ts';
import { failureAnswer, fillPath, routes, type RouteAnswer, type RouteAsked, type RouteName } from '../contract/routes.ts';
import type { SessionEvent } from '../contract/sessions.ts';
import { answerNotUnderstood, serverNotTrusted, serverUnreachable } from './failures.ts';
import { readEvents } from './server-sent-events.ts';

export type Client = {
  readonly server: string;
  call<N extends RouteName>(name: N, ...asked: Record<never, never> extends RouteAsked<N> ? [asked?: RouteAsked<N>] : [asked: RouteAsked<N>]): Promise<RouteAnswer<N>>;
  /** The events of a session from number `after` on, until the stream ends or breaks; a break is `cli.server-unreachable`. */
  events(session: string, after: number, signal: AbortSignal): AsyncIterable<SessionEvent>;
};

type Asked = { params?: Record<string, string>; query?: Record<string, unknown>; body?: unknown };

/** The server itself waits up to a minute for a host. */
const answerDeadlineMs = 90_000;
/** The server says something at least every 15 s on a stream; longer silence is a lost server. */
const silenceMs = 60_000;

export function openClient(options: { server: string; token: string; ca: string }): Client {
  const base = new URL(options.server);
  const ask = async (route: Route, asked: Asked, extra: RequestOptions = {}): Promise<IncomingMessage> => {
    const body = asked.body === undefined ? undefined : JSON.stringify(asked.body);
    const url = new URL(fillPath(route.path, asked.params) + queryOf(asked.query), base);
    const headers: Record<string, string> = { authorization: `Bearer ${options.token}`, accept: route.stream === true ? 'text/event-stream' : 'application/json' };
    if (body !== undefined) headers['content-type'] = 'application/json';
    return await new Promise((resolve, reject) => {
      const request = openRequest(url, { method: route.method, headers, ca: options.ca, agent: false, ...extra }, resolve);
      request.on('error', (error: NodeJS.ErrnoException) => reject(notReached(base.href, error)));
      request.setTimeout(route.stream === true ? silenceMs : answerDeadlineMs, () => request.destroy(new Error('it did not answer in time')));
      request.end(body);
    });
  };
  return {
    server: base.origin,
    async call(name, ...[asked]) {
      const route: Route = routes[name];
      const response = await ask(route, (asked ?? {}) as Asked);
      const document = await readDocument(response, base.origin, name);
      if (response.statusCode !== undefined && response.statusCode >= 400) throw failureOf(document, base.origin, name, response.statusCode);
      const answer = route.answer.safeParse(document);
      if (answer.success) return answer.data as never;
      const issue = answer.error.issues[0];
      throw answerNotUnderstood({ server: base.origin, route: name, why: `${issue?.path.join('.')}: ${issue?.message}` });
    },
    async *events(session, after, signal) {
      const route = routes['session.events'];
      const response = await ask(route, { params: { session }, query: { after } }, { signal });
      if (response.statusCode !== 200) throw failureOf(await readDocument(response, base.origin, 'session.events'), base.origin, 'session.events', response.statusCode ?? 0);
      try {
        for await (const data of readEvents(response)) yield route.answer.parse(JSON.parse(data));
      } catch (error) {
        if (signal.aborted) return;
        throw notReached(base.origin, error as NodeJS.ErrnoException);
      } finally {
        response.destroy();
      }
    },
  };
}

function queryOf(query: Record<string, unknown> | undefined): string {
  const given = Object.entries(query ?? {}).filter(([, value]) => value !== undefined);
  return given.length === 0 ? '' : `?${new URLSearchParams(Object.fromEntries(given.map(([name, value]) => [name, String(value)]))).toString()}`;
}

async function readDocument(response: IncomingMessage, server: string, route: string): Promise<unknown> {
  const parts: Buffer[] = [];
  try {
    for await (const part of response) parts.push(part as Buffer);
  } catch (error) {
    throw notReached(server, error as NodeJS.ErrnoException);
  }
  const text = Buffer.concat(parts).toString('utf8');
  try {
    return JSON.parse(text);
  } catch {
    throw answerNotUnderstood({ server, route, why: `status ${response.statusCode}, and no JSON: ${text.slice(0, 80)}` });
  }
}

function failureOf(document: unknown, server: string, route: string, status: number): Error {
  const failure = failureAnswer.safeParse(document);
  return failure.success ? fromWire(failure.data) : answerNotUnderstood({ server, route, why: `status ${status} without a failure` });
}

const trustCodes = /^(ERR_TLS|DEPTH_ZERO|SELF_SIGNED|UNABLE_TO|CERT_|ERR_OSSL|ERR_SSL|EPROTO)/;

function notReached(server: string, error: NodeJS.ErrnoException): Error {
  const code = error.code ?? '';
  if (trustCodes.test(code)) return serverNotTrusted({ server, why: error.message }, error);
  const why = code === 'ECONNREFUSED' ? 'nothing listens there' : code === 'ENOTFOUND' ? 'the name is not known' : error.message;
  return serverUnreachable({ server, why }, error);
}
