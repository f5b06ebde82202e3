/** Two backup servers on one PostgreSQL, as processes of their own, and a host that is a fake transport both of them dial. */
import { fork, type ChildProcess } from 'node:child_process';
import { copyFileSync, createWriteStream, mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { joinServer } from '../../src/agent/join.ts';
import { until, withDeadline } from '../../src/base/deadline.ts';
import { openFakeTransport, type FakeTransport } from './fake-transport.ts';
import { freePort } from './platform.ts';
import { openPostgres, type Postgres } from './postgres.ts';
import { scratch } from './scratch.ts';
import { target } from './server-platform.ts';

const program = new URL('./server-child.ts', import.meta.url).pathname;

export type OneServer = {
  readonly name: string;
  /** Its row in the catalog ends with it. */
  readonly data: string;
  readonly child: ChildProcess | undefined;
  start(): Promise<void>;
  /** SIGKILL, and it is gone when this resolves. */
  kill9(): Promise<void>;
  signal(name: 'SIGSTOP' | 'SIGCONT'): void;
  /** Resolves with the code it ended with, by itself. */
  ended(): Promise<number | null>;
  /** Fails where the server does not answer. */
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

/** Once the server has its link to the host. */
export async function connected(server: OneServer): Promise<void> {
  await until(`host h1 at server ${server.name}`, 30_000, async () => ((await server.ask('GET', '/api/v1/hosts')).hosts?.find(({ name }: { name: string }) => name === 'h1')?.link === 'connected' ? true : undefined), { everyMs: 30 });
}

function oneServer(name: string, data: string, [rest, enrolment, ...more]: string[]): OneServer {
  mkdirSync(data, { recursive: true, mode: 0o700 });
  let child: ChildProcess | undefined;
  let ready: { url: string; tokenFile: string; caFile: string } | undefined;
  let gone: Promise<number | null> = Promise.resolve(null);
  return {
    name,
    data,
    get child() {
      return child;
    },
    async start() {
      const started = fork(program, [data, rest!, enrolment!, ...more], { stdio: ['ignore', 'ignore', 'pipe', 'ipc'] });
      child = started;
      const log = createWriteStream(join(data, 'log'), { flags: 'a' });
      started.stderr!.pipe(log);
      gone = new Promise((resolve) => started.once('close', resolve));
      ready = await withDeadline(`server ${name}`, 60_000, async () => await new Promise((resolve, reject) => {
        started.once('message', (message) => resolve(message as never));
        void gone.then((code) => reject(new Error(`server ${name} ended with ${code}: ${readFileSync(join(data, 'log'), 'utf8').slice(-2_000)}`)));
      }));
    },
    async kill9() {
      child?.kill('SIGKILL');
      await gone;
    },
    signal: (which) => void child?.kill(which),
    ended: async () => await gone,
    async ask(method, path, body) {
      const { url, tokenFile, caFile } = ready!;
      const [token, ca] = [readFileSync(tokenFile, 'utf8').trim(), readFileSync(caFile, 'utf8')];
      return await new Promise((resolve, reject) => {
        const sent = request(new URL(path, url), { method, ca, agent: false, timeout: 20_000, headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' } }, (response) => {
          let text = '';
          response.on('data', (part: Buffer) => (text += part.toString()));
          response.on('end', () => resolve(text === '' ? undefined : JSON.parse(text)));
          response.on('error', reject);
        });
        sent.on('timeout', () => sent.destroy(new Error('no answer')));
        sent.on('error', reject);
        sent.end(body === undefined ? undefined : JSON.stringify(body));
      });
    },
  };
}
