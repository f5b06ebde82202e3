/** A real server with its catalog, link and REST API, on a fake transport: whole sessions in milliseconds. */
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { joinServer } from '../../src/agent/join.ts';
import { openLog, type Log } from '../../src/base/log.ts';
import { until } from '../../src/base/deadline.ts';
import { fillPath, routes, type RouteAnswer, type RouteAsked, type RouteName } from '../../src/contract/routes.ts';
import { endStates, type Session, type SessionEvent } from '../../src/contract/sessions.ts';
import { openServer, type Server, type ServerOptions } from '../../src/server/server.ts';
import { openFakeTransport, type FakeTransport } from './fake-transport.ts';
import { freePort } from './free-port.ts';
import { scratch } from './scratch.ts';

export type RawAnswer = { readonly status: number; readonly headers: Record<string, unknown>; readonly text: string; readonly json: any };

export type ServerPlatform = {
  readonly data: string;
  readonly fake: FakeTransport;
  readonly server: Server;
  readonly logged: string[];
  raw(method: string, path: string, options?: { body?: unknown; token?: string | null; headers?: Record<string, string>; /** In place of the one that keeps this platform's connections. */ agent?: Agent }): Promise<RawAnswer>;
  /** Fails the test unless the route answers with its own status and schema. */
  ask<N extends RouteName>(name: N, asked: RouteAsked<N>): Promise<RouteAnswer<N>>;
  /** The failure a route answers with. */
  refused<N extends RouteName>(name: N, asked: RouteAsked<N>): Promise<{ status: number; code: string; message: string; hint: string; details: any }>;
  ended(session: string): Promise<Session>;
  events(session: string, after?: number): Promise<SessionEvent[]>;
  addSet(): Promise<void>;
  /** Another host, enrolled with a kit and connected, that answers as the first one does. */
  addHost(name: string): Promise<FakeTransport>;
  /** Ends the server as a crash would, without a word to the host, and starts a new one on the same data. */
  restartServer(): Promise<void>;
  /** Ends the server for good and starts one on another data directory, on the same ports. */
  moveServer(to: string): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

export const target = { hosts: [{ host: '127.0.0.1', port: 27017 }], credential: { kind: 'scram' as const, user: 'tide', password: 'very-secret-password', authSource: 'admin' } };


export async function openServerPlatform(timing: ServerOptions['timing'] = {}, { hostVersion, ...more }: Pick<ServerOptions, 'contact' | 'windowsInstaller' | 'clock' | 'distribution' | 'dns' | 'people'> & { /** Of the host's services. */ hostVersion?: string } = {}): Promise<ServerPlatform> {
  const data = await mkdtemp(join(scratch, 'tm-server-'));
  // The same after a restart: a kit that is under way names it.
  const [port, enrolmentPort] = [await freePort(), await freePort()];
  const logged: string[] = [];
  const log: Log = openLog((line) => logged.push(line));
  let dataDirectory = data;
  const start = async (): Promise<Server> =>
    await openServer({ dataDirectory, listen: { host: '127.0.0.1', port: 0 }, transport: { host: '127.0.0.1', port }, enrolment: { host: '127.0.0.1', port: enrolmentPort }, agents: { host: '127.0.0.1', port: 0 }, announce: '127.0.0.1', dns: [], version: '9.9.9', log, timing: { alarmEveryMs: 200, link: { shortestWaitMs: 20 }, ...timing }, ...more });
  let server = await start();
  // A new connection for each question is half of what a question costs.
  const agent = new Agent({ keepAlive: true });
  const fake = await openFakeTransport({ identityFile: join(data, 'transport.json'), port, ...(hostVersion !== undefined && { version: hostVersion }) });
  const failure = await server.repositoryReady;
  if (failure !== null) throw new Error(failure);
  const others: FakeTransport[] = [];
  const readToken = async (): Promise<string> => (await readFile(server.tokenFile, 'utf8')).trim();

  const raw: ServerPlatform['raw'] = async (method, path, options = {}) => {
    const token = options.token === undefined ? await readToken() : options.token;
    const ca = await readFile(server.caFile, 'utf8');
    const body = options.body === undefined ? undefined : JSON.stringify(options.body);
    const headers = { ...(token === null ? {} : { authorization: `Bearer ${token}` }), ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...options.headers };
    return await new Promise((resolve, reject) => {
      const sent = request(new URL(path, server.url), { method, headers, ca, agent: options.agent ?? agent, timeout: 20_000 }, (response) => {
        let text = '';
        response.setEncoding('utf8').on('data', (part: string) => (text += part));
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers, text, json: text.startsWith('{') ? JSON.parse(text) : undefined }));
        response.on('error', reject);
      });
      sent.on('timeout', () => sent.destroy(new Error(`no answer to ${method} ${path}`)));
      sent.on('error', reject);
      sent.end(body);
    });
  };
  const send = async (name: RouteName, asked: { params?: Record<string, string>; query?: Record<string, unknown>; body?: unknown }): Promise<RawAnswer> => {
    const query = Object.entries(asked.query ?? {}).map(([key, value]): [string, string] => [key, String(value)]);
    return await raw(routes[name].method, fillPath(routes[name].path, asked.params) + (query.length > 0 ? `?${new URLSearchParams(query).toString()}` : ''), { body: asked.body });
  };

  const platform: ServerPlatform = {
    data,
    fake,
    get server() {
      return server;
    },
    logged,
    raw,
    async ask(name, asked) {
      const answer = await send(name, asked as object);
      if (answer.status !== routes[name].status) throw new Error(`${name} answered ${answer.status}: ${answer.text}\n${logged.slice(-5).join('')}`);
      return routes[name].answer.parse(answer.json) as never;
    },
    async refused(name, asked) {
      const answer = await send(name, asked as object);
      if (answer.status < 400) throw new Error(`${name} was not refused: ${answer.text}`);
      return { status: answer.status, ...answer.json };
    },
    ended: async (id) =>
      await until(`session ${id} to end`, 20_000, async () => {
        const found = await platform.ask('session.show', { params: { session: id } });
        return endStates.has(found.state) ? found : undefined;
      }, { everyMs: 20 }),
    async events(id, after = 0) {
      const { text } = await raw('GET', `/api/v1/sessions/${id}/events?after=${after}`);
      return [...text.matchAll(/^data: (.*)$/gm)].map((match) => JSON.parse(match[1]!) as SessionEvent);
    },
    async addSet() {
      await platform.ask('set.add', { body: { target } });
      await until('the oplog to be followed', 10_000, async () => ((await platform.ask('set.show', { params: { set: 'rs0' } })).oplog.state === 'following' ? true : undefined), { everyMs: 20 });
    },
    async addHost(name) {
      const controlPort = await freePort();
      const { kit } = await platform.ask('host.add', { body: { name, address: '127.0.0.1', controlPort } });
      const identityFile = join(data, `${name}.json`);
      await joinServer(kit, 'transport', identityFile, 'test');
      const host = await openFakeTransport({ identityFile, port: controlPort });
      others.push(host);
      await until(`host ${name} to be connected`, 20_000, async () => ((await platform.ask('host.list', { query: {} })).hosts.find((one) => one.name === name)?.link === 'connected' ? true : undefined), { everyMs: 20 });
      return host;
    },
    async restartServer() {
      await server.close();
      server = await start();
      await server.repositoryReady;
    },
    async moveServer(to) {
      await server.close();
      dataDirectory = to;
      server = await start();
      await server.repositoryReady;
    },
    async [Symbol.asyncDispose]() {
      agent.destroy();
      await server.close();
      await Promise.all([fake, ...others].map(async (one) => await one.close()));
      await rm(data, { recursive: true, force: true });
    },
  };
  return platform;
}

