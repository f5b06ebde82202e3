/**
 * A mongod of our own: started for a moment on files of our own, reached by nobody else.
 *
 * It listens on a socket in a directory of mode 700 (or on a port, for what is published), writes its log to a file, and
 * dies with the thread that started it: the kernel kills it (setpriv --pdeathsig). Should that fail, a marker file tells
 * a later start which process it was (mongod-marker.ts).
 *
 *   starting ─ answers hello ─→ ready ─ stop(): shutdown command → SIGTERM → SIGKILL ─→ ended
 *      └─ exits, or is silent past the deadline ─→ failure with the last errors of its log
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, closeSync, existsSync, mkdirSync, openSync, readSync, fstatSync, rmSync } from 'node:fs';
import { connect as connectSocket } from 'node:net';
import { join } from 'node:path';
import type { MongoClient } from 'mongodb';
import { until, withDeadline } from '../base/deadline.ts';
import { isFailure } from '../base/failure.ts';
import { deadlinePassed } from '../base/failures.ts';
import { openClient, type ClientOptions, type MongoAddress } from './connect.ts';
import { mongodDied, mongodSilent, socketPathTooLong } from './failures.ts';
import { markMongod } from './mongod-marker.ts';

export type MongodOptions = {
  readonly binary: string;
  readonly dbPath: string;
  /** Holds the socket and the marker; made with mode 700. */
  readonly socketDir: string;
  /** Listen on this port as well, on `bindIp` (default 127.0.0.1). */
  readonly port?: number;
  readonly bindIp?: string;
  readonly args?: readonly string[];
  /** A command that starts it, such as nsenter into the namespace that sees its files. */
  readonly wrap?: readonly string[];
  readonly logPath: string;
  readonly env?: NodeJS.ProcessEnv;
  /** How to sign in, where the arguments turn access control on. */
  readonly address?: MongoAddress;
  readonly readyMs?: number;
  /** Keeps running when this process ends: for members that were restored to stay. */
  readonly survives?: boolean;
  readonly signal?: AbortSignal;
};

export type Ended = { readonly code: number | null; readonly signal: NodeJS.Signals | null };

export type Mongod = AsyncDisposable & {
  readonly pid: number;
  readonly address: MongoAddress;
  /** A new client each time; `stop` does not wait for it to be closed. */
  client(options?: ClientOptions): Promise<MongoClient>;
  /** Clean end: shutdown command, then SIGTERM, then SIGKILL. Answers how it ended. */
  stop(deadlines?: { commandMs?: number; termMs?: number }): Promise<Ended>;
  /** SIGKILL. */
  kill(): Promise<Ended>;
  readonly exited: Promise<Ended>;
};

const READY_MS = 120_000;

export async function startMongod(options: MongodOptions): Promise<Mongod> {
  options.signal?.throwIfAborted();
  mkdirSync(options.socketDir, { recursive: true, mode: 0o700 });
  chmodSync(options.socketDir, 0o700);
  const socket = join(options.socketDir, 'mongod.sock');
  if (Buffer.byteLength(socket) > 100) throw socketPathTooLong({ path: socket });
  rmSync(socket, { force: true });
  const logStart = existsSync(options.logPath) ? sizeOf(options.logPath) : 0;
  const child = launch(options, socket);
  const exited = new Promise<Ended>((resolve) => {
    child.once('error', () => resolve({ code: 127, signal: null }));
    child.once('exit', (code, signal) => resolve({ code, signal }));
  });
  if (child.pid === undefined) throw mongodDied({ dbPath: options.dbPath, status: 'no start', says: `cannot run ${options.binary}` });
  // What stays on purpose is nobody's leftover.
  if (options.survives !== true) void exited.then(markMongod(options.socketDir, { pid: child.pid, dbPath: options.dbPath }));
  const mongod = handle(child, child.pid, exited, options.address ?? { socket });
  try {
    await ready(mongod, socket, options, logStart);
    return mongod;
  } catch (error) {
    await mongod.kill();
    throw error;
  }
}

function launch(options: MongodOptions, socket: string): ChildProcess {
  const listen = options.port === undefined ? socket : `${options.bindIp ?? '127.0.0.1'},${socket}`;
  const args = ['--dbpath', options.dbPath, '--bind_ip', listen, '--port', String(options.port ?? 27017)];
  args.push('--unixSocketPrefix', options.socketDir, '--filePermissions', '0700');
  args.push('--logpath', options.logPath, '--logappend', ...(options.args ?? []));
  const setpriv = options.survives === true ? undefined : ['/usr/bin/setpriv', '/bin/setpriv'].find((path) => existsSync(path));
  const bound = setpriv === undefined ? [options.binary] : [setpriv, '--pdeathsig', 'KILL', '--', options.binary];
  const [program, ...before] = [...(options.wrap ?? []), ...bound];
  const child = spawn(program!, [...before, ...args], {
    stdio: 'ignore',
    detached: options.survives === true,
    env: options.env,
    cwd: '/',
  });
  if (options.survives === true) child.unref();
  return child;
}

function handle(child: ChildProcess, pid: number, exited: Promise<Ended>, address: MongoAddress): Mongod {
  const client = async (more: ClientOptions = {}): Promise<MongoClient> => await openClient(address, { silenceMs: null, ...more });
  const ended = async (ms: number): Promise<Ended | undefined> =>
    await withDeadline('the end of mongod', ms, () => exited).catch(() => undefined);
  const kill = async (): Promise<Ended> => {
    child.kill('SIGKILL');
    return await exited;
  };
  const stop = async (deadlines: { commandMs?: number; termMs?: number } = {}): Promise<Ended> => {
    if (child.exitCode !== null || child.signalCode !== null) return await exited;
    const asked = await askToShutDown(client);
    const byCommand = asked ? await ended(deadlines.commandMs ?? 60_000) : undefined;
    if (byCommand !== undefined) return byCommand;
    child.kill('SIGTERM');
    return (await ended(deadlines.termMs ?? 30_000)) ?? (await kill());
  };
  return { pid, address, client, stop, kill, exited, [Symbol.asyncDispose]: async () => void (await stop()) };
}

/** False when mongod did not take the command, so that a signal must follow. */
async function askToShutDown(client: (options: ClientOptions) => Promise<MongoClient>): Promise<boolean> {
  try {
    await using open = await client({ deadlineMs: 5_000, silenceMs: 90_000 });
    await open.db('admin').command({ shutdown: 1, force: true, timeoutSecs: 5 });
    return true;
  } catch (error) {
    // Mongod answers a shutdown by closing the connection.
    return !isFailure(error) && /closed|ECONNRESET|shut/i.test(String((error as Error).message));
  }
}

async function ready(mongod: Mongod, socket: string, options: MongodOptions, logStart: number): Promise<void> {
  const ms = options.readyMs ?? READY_MS;
  const over = new AbortController();
  const died = mongod.exited.then((end) => {
    const status = end.code === null ? `signal ${end.signal}` : `exit code ${end.code}`;
    throw mongodDied({ dbPath: options.dbPath, status, says: lastErrors(options.logPath, logStart) });
  });
  const answers = until(
    'mongod to answer',
    ms,
    async () => {
      if (!(await accepts(socket))) return undefined;
      await using client = await mongod.client({ deadlineMs: ms });
      return (await client.db('admin').command({ hello: 1 })).ok === 1 ? true : undefined;
    },
    { everyMs: 25, signal: options.signal === undefined ? over.signal : AbortSignal.any([options.signal, over.signal]) },
  );
  answers.catch(() => {});
  died.catch(() => {});
  try {
    await Promise.race([answers, died]);
  } catch (error) {
    if (!isFailure(error, deadlinePassed)) throw error;
    throw mongodSilent({ dbPath: options.dbPath, ms, says: lastErrors(options.logPath, logStart) }, error);
  } finally {
    over.abort();
  }
}

async function accepts(socket: string): Promise<boolean> {
  if (!existsSync(socket)) return false;
  return await new Promise((resolve) => {
    const probe = connectSocket(socket);
    probe.once('connect', () => {
      probe.destroy();
      resolve(true);
    });
    probe.once('error', () => resolve(false));
  });
}

function sizeOf(path: string): number {
  const fd = openSync(path, 'r');
  try {
    return fstatSync(fd).size;
  } finally {
    closeSync(fd);
  }
}

type LogLine = { s?: string; id?: number; msg?: string; attr?: Record<string, unknown> };

/** The last errors that mongod wrote, or its last line when it wrote none. */
export function lastErrors(logPath: string, from = 0): string {
  const lines = tailOf(logPath, from).split('\n').filter((line) => line.startsWith('{'));
  const parsed = lines.flatMap((line): LogLine[] => {
    try {
      return [JSON.parse(line) as LogLine];
    } catch {
      return [];
    }
  });
  const bad = parsed.filter((line) => line.s === 'E' || line.s === 'F').slice(-3);
  const said = bad.length > 0 ? bad : parsed.slice(-1);
  if (said.length === 0) return 'nothing in its log';
  return said.map((line) => `${line.msg ?? ''} ${JSON.stringify(line.attr ?? {}).slice(0, 400)} (${line.id ?? ''})`).join('; ');
}

function tailOf(path: string, from: number): string {
  if (!existsSync(path)) return '';
  const size = sizeOf(path);
  const start = Math.max(from, size - 262_144);
  const buffer = Buffer.alloc(Math.max(0, size - start));
  const fd = openSync(path, 'r');
  try {
    readSync(fd, buffer, 0, buffer.length, start);
  } finally {
    closeSync(fd);
  }
  return buffer.toString('utf8');
}
