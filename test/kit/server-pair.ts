/** Two backup servers on one PostgreSQL, as processes of their own, and a host that is a fake transport both of them dial. */
import { fork, type ChildProcess } from 'node:child_process';
import { copyFileSync, createWriteStream, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { joinServer } from '../../src/agent/join.ts';
import { until, withDeadline } from '../../src/base/deadline.ts';
import { openFakeTransport, type FakeTransport } from './fake-transport.ts';
import { freePort } from './free-port.ts';
import { openPostgres, type Postgres } from './postgres.ts';
import { scratch } from './scratch.ts';
import { target } from './server-platform.ts';

const program = new URL('./server-child.ts', import.meta.url).pathname;

export type OneServer = {
  readonly name: string;
  readonly data: string;
  /** With which it has ended by itself, one after the other. */
  readonly codes: readonly (number | null)[];
  start(isAwaited?: boolean): Promise<void>;
  /** SIGKILL, and it is gone when this resolves. */
  kill9(): Promise<void>;
  signal(name: 'SIGSTOP' | 'SIGCONT'): void;
  /** Waits for one that is just starting again. */
  ask(method: string, path: string, body?: unknown): Promise<any>;
};

export type ServerPair = AsyncDisposable & { readonly postgres: Postgres; readonly servers: readonly [OneServer, OneServer]; readonly fake: FakeTransport; readonly leaseMs: number };

export async function openServerPair(leaseMs: number): Promise<ServerPair> {
  await using stack = new AsyncDisposableStack();
  const folder = mkdtempSync(join(scratch, 'tm-pair-'));
  stack.defer(() => rmSync(folder, { recursive: true, force: true }));
  const postgres = stack.use(await openPostgres());
  const place = postgres.create('shared');
  const open = async (name: string): Promise<OneServer> => {
    const server = oneServer(name, join(folder, name), [String(await freePort()), String(await freePort()), place.url, place.passwordFile!, String(leaseMs)]);
    stack.defer(async () => await server.kill9());
    return server;
  };
  const [a, b] = [await open('a'), await open('b')];
  await a.start();
  // The two secrets that are not in the catalog.
  mkdirSync(join(b.data, 'server'), { recursive: true });
  for (const secret of ['master.key', 'server/ca.json']) copyFileSync(join(a.data, secret), join(b.data, secret));
  await b.start();

  const port = await freePort();
  const { kit } = await a.ask('POST', '/api/v1/hosts', { name: 'h1', address: '127.0.0.1', controlPort: port });
  const identityFile = join(folder, 'h1.json');
  await joinServer(kit, 'transport', identityFile, 'test');
  const fake = await openFakeTransport({ identityFile, port });
  stack.defer(async () => await fake.close());
  for (const server of [a, b]) await connected(server);
  const repository = await a.ask('POST', '/api/v1/repositories', { name: 'vault', host: 'h1', location: { kind: 'directory', path: '/srv/vault' }, passphrase: 'a passphrase of some length' });
  if (repository.name !== 'vault') throw new Error(JSON.stringify(repository));
  const set = await a.ask('POST', '/api/v1/sets', { target, repository: 'vault' });
  if (set.name !== 'rs0') throw new Error(JSON.stringify(set));
  const kept = stack.move();
  return { postgres, servers: [a, b], fake, leaseMs, [Symbol.asyncDispose]: async () => await kept.disposeAsync() };
}

/** Another host, which opens its links itself, to the first server as its kit says. */
export async function openDiallingHost({ servers: [first] }: ServerPair, name: string): Promise<FakeTransport> {
  const port = await freePort();
  const { kit } = await first.ask('POST', '/api/v1/hosts', { name, address: '127.0.0.1', controlPort: port, dials: 'host' });
  const identityFile = join(first.data, `${name}.json`);
  await joinServer(kit, 'transport', identityFile, 'test');
  return await openFakeTransport({ identityFile, port, dial: { host: kit.server.address, port: kit.server.controlPort } });
}

/** Once the server has its link to the host. */
export async function connected(server: OneServer, host = 'h1'): Promise<void> {
  await until(`host ${host} at server ${server.name}`, 120_000, async () => ((await server.ask('GET', '/api/v1/hosts')).hosts?.find(({ name }: { name: string }) => name === host)?.link === 'connected' ? true : undefined), { everyMs: 30 });
}

type Ready = { url: string; tokenFile: string; caFile: string };

/** Started again when it ends by itself, as its supervisor would. */
function oneServer(name: string, data: string, [rest, enrolment, ...more]: string[]): OneServer {
  mkdirSync(data, { recursive: true, mode: 0o700 });
  const codes: (number | null)[] = [];
  let child: ChildProcess | undefined;
  let isWanted = false;
  let ready = Promise.withResolvers<Ready>();
  let gone: Promise<void> = Promise.resolve();

  function spawn(): void {
    const started = fork(program, [data, rest!, enrolment!, ...more], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
    child = started;
    started.stderr!.pipe(createWriteStream(join(data, 'log'), { flags: 'a' }));
    started.once('message', (message) => ready.resolve(message as Ready));
    gone = new Promise((resolve) => started.once('close', (code) => {
      resolve();
      if (!isWanted) return;
      codes.push(code);
      ready = Promise.withResolvers();
      spawn();
    }));
  }

  async function once(method: string, path: string, body: unknown): Promise<any> {
    const { url, tokenFile, caFile } = await withDeadline(`server ${name}`, 90_000, async () => await ready.promise);
    const [token, ca] = [readFileSync(tokenFile, 'utf8').trim(), readFileSync(caFile, 'utf8')];
    return await new Promise((resolve, reject) => {
      const sent = request(new URL(path, url), { method, ca, agent: false, timeout: 30_000, headers: { authorization: `Bearer ${token}`, ...(body === undefined ? {} : { 'content-type': 'application/json' }) } }, (response) => {
        let text = '';
        response.on('data', (part: Buffer) => (text += part.toString()));
        response.on('end', () => resolve(text === '' ? undefined : JSON.parse(text)));
        response.on('error', reject);
      });
      sent.on('timeout', () => sent.destroy(new Error('no answer')));
      sent.on('error', reject);
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }

  return {
    name,
    data,
    codes,
    async start(isAwaited = true) {
      isWanted = true;
      ready = Promise.withResolvers();
      spawn();
      if (isAwaited) await withDeadline(`server ${name}`, 90_000, async () => await ready.promise);
    },
    async kill9() {
      isWanted = false;
      child?.kill('SIGKILL');
      await gone;
    },
    signal: (which) => void child?.kill(which),
    async ask(method, path, body) {
      return await until(`an answer of server ${name} to ${method} ${path}`, 120_000, async () => {
        try {
          return { answer: await once(method, path, body) };
        } catch (error) {
          // Whoever is just starting again has not heard a question that was refused.
          if ((error as { code?: unknown }).code === 'ECONNREFUSED' || method === 'GET') return undefined;
          throw error;
        }
      }, { everyMs: 100 }).then(({ answer }) => answer);
    },
  };
}
