/**
 * A backup server in this process, whose wall clock a test turns on, with a real transport service beside it: policies come due when
 * the test says so. Only the wall clock leaps; what takes time takes it.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock, type Clock } from '../../src/base/clock.ts';
import { withDeadline } from '../../src/base/deadline.ts';
import { silentLog } from '../../src/base/log.ts';
import { openServer, type Server } from '../../src/server/server.ts';
import { openCommandLine, type CommandLine } from './command-line.ts';
import { freePort } from './free-port.ts';
import { scratch } from './scratch.ts';

const program = new URL('../../src/main/transport.ts', import.meta.url).pathname;

export type TurnedServer = AsyncDisposable & {
  /** Runs `tidemark …words --json` and fails the test with the command's own words unless it ends with 0. */
  ok(...words: string[]): Promise<any>;
  /** The same as text. */
  text(...words: string[]): Promise<string>;
  now(): number;
  /** Turns the wall clock on to a moment. Whoever waits for more than a second looks again. */
  turnTo(ms: number): void;
  /** Ends the server; `start` is another one on the same data. */
  stop(): Promise<void>;
  start(): Promise<void>;
};

export async function openTurnedServer(): Promise<TurnedServer> {
  await using stack = new AsyncDisposableStack();
  const data = mkdtempSync(join(scratch, 'tm-turned-'));
  stack.defer(() => rmSync(data, { recursive: true, force: true, maxRetries: 5 }));
  const [listen, port] = [await freePort(), await freePort()];
  const { clock, turnTo } = openLeapingClock();
  let server: Server | undefined;
  let line: CommandLine | undefined;
  const stop = async (): Promise<void> => {
    await line?.[Symbol.asyncDispose]();
    await server?.close();
    server = line = undefined;
  };
  const start = async (): Promise<void> => {
    server = await openServer({ dataDirectory: data, listen: { host: '127.0.0.1', port: listen }, transport: { host: '127.0.0.1', port }, enrolment: null, agents: null, dns: [], version: '9.9.9', log: silentLog, clock, timing: { tellEveryMs: 50, alarmEveryMs: 200, link: { shortestWaitMs: 20 } } });
    line = await openCommandLine({ url: server.url, token: readFileSync(server.tokenFile, 'utf8').trim(), ca: readFileSync(server.caFile, 'utf8') }, { clock, timeZone: 'UTC' });
  };
  await start();
  stack.defer(stop);
  const transport = fork(program, ['--identity', join(data, 'transport.json'), '--work', join(data, 'work'), '--listen', `127.0.0.1:${port}`], { stdio: ['ignore', 'ignore', process.env['TIDEMARK_TEST_VERBOSE'] === undefined ? 'ignore' : 'inherit', 'ipc'] });
  stack.defer(async () => await endOf(transport));
  const failure = await server!.repositoryReady;
  if (failure !== null) throw new Error(failure);
  const text = async (...words: string[]): Promise<string> => {
    const { code, stdout, stderr } = await line!.run(...words);
    if (code !== 0) throw new Error(`tidemark ${words.join(' ')} ended with ${code}: ${stderr}${stdout}`);
    return stdout;
  };
  const kept = stack.move();
  return { text, ok: async (...words) => JSON.parse(await text(...words, '--json')), now: clock.now, turnTo, stop, start, [Symbol.asyncDispose]: async () => await kept.disposeAsync() };
}

function openLeapingClock(): { clock: Clock; turnTo(ms: number): void } {
  let aheadMs = 0;
  let turned = new AbortController();
  const now = (): number => systemClock.now() + aheadMs;
  const wait: Clock['wait'] = async (ms, signal) => {
    if (ms <= 1_000) return await systemClock.wait(ms, signal);
    const leap = turned.signal;
    await systemClock.wait(ms, signal === undefined ? leap : AbortSignal.any([signal, leap])).catch((error: unknown) => {
      if (!leap.aborted || signal?.aborted === true) throw error;
    });
  };
  return {
    clock: { ...systemClock, now, wait },
    turnTo(ms) {
      aheadMs = Math.max(aheadMs, ms - systemClock.now());
      turned.abort(new Error('the clock was turned'));
      turned = new AbortController();
    },
  };
}

async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  await withDeadline('the transport to end', 30_000, async () => await ended).catch(() => child.kill('SIGKILL'));
}
