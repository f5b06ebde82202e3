/** A host of its own, as far as one machine can have several: a transport service with its own identity, ports and directories. */
import { spawn, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { existsSync, openSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { keptCompiled } from '../../src/base/compile-cache.ts';
import { until, withDeadline } from '../../src/base/deadline.ts';
import { freePort } from './free-port.ts';
import type { Platform } from './platform.ts';

const program = new URL('../../src/main/transport.ts', import.meta.url).pathname;

export type TransportHost = AsyncDisposable & {
  readonly name: string;
  readonly directory: string;
  readonly identityFile: string;
  readonly logged: () => Promise<string>;
  kill9(): Promise<void>;
  start(): void;
  /** Until the server says so of this host. */
  connected(): Promise<void>;
};

/** Adds the host to the platform and starts its transport with the kit. */
export async function openTransportHost(platform: Platform, options: { name: string; enrolmentPort: number; agentPort: number; dialsIn?: boolean; dataPorts?: string }): Promise<TransportHost> {
  const { name } = options;
  const directory = await mkdtemp(join(tmpdir(), `tm-host-${name}-`));
  const kit = join(directory, 'kit');
  const identityFile = join(directory, 'identity.json');
  const logFile = join(directory, 'log');
  const port = await freePort();
  const more = [...(options.dialsIn === true ? ['--dials-in'] : []), ...(options.dataPorts === undefined ? [] : ['--data-ports', options.dataPorts])];
  await platform.ok('node', 'add', name, '127.0.0.1', '--kit', kit, '--control-port', String(port), ...more);
  let child: ChildProcess | undefined;
  const start = (): void => {
    const args = [program, '--kit', kit, '--identity', identityFile, '--work', join(directory, 'work'), '--listen', `127.0.0.1:${port}`, '--server', `127.0.0.1:${options.enrolmentPort}`];
    const log = openSync(logFile, 'a');
    child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', process.execPath, ...args], { stdio: ['ignore', 'ignore', log], env: { ...process.env, ...keptCompiled(new URL('../../node_modules/.cache/', import.meta.url).pathname) } });
  };
  const ended = async (signal: NodeJS.Signals): Promise<void> => {
    const ending = child;
    if (ending === undefined || ending.exitCode !== null || ending.signalCode !== null) return;
    const exit = new Promise((resolve) => ending.once('exit', resolve));
    ending.kill(signal);
    await withDeadline(`the transport of ${name} to end`, 60_000, async () => await exit).catch(() => ending.kill('SIGKILL'));
  };
  start();
  return {
    name,
    directory,
    identityFile,
    logged: async () => (existsSync(logFile) ? await readFile(logFile, 'utf8') : ''),
    start,
    kill9: async () => await ended('SIGKILL'),
    connected: async () => {
      await until(`host ${name} to be connected`, 60_000, async () => {
        const { hosts } = (await platform.ok('node', 'list')) as { hosts: { name: string; link: string }[] };
        return hosts.find((host) => host.name === name)?.link === 'connected' ? true : undefined;
      }, { everyMs: 300 });
    },
    async [Symbol.asyncDispose]() {
      await ended('SIGTERM');
      await rm(directory, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}
