/** The whole product on this machine, as an operator runs it: `tidemark up` in a directory of its own, and the CLI. */
import { spawn, execFile, type ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { keptCompiled } from '../../src/base/compile-cache.ts';
import { withDeadline } from '../../src/base/deadline.ts';
import { openClient } from '../../src/cli/client.ts';
import { freePort } from './free-port.ts';
import { openKeptCommands, type KeptCommands } from './kept-commands.ts';

const environment = { ...process.env, ...keptCompiled(new URL('../../node_modules/.cache/', import.meta.url).pathname) };
const program = new URL('../../src/main/tidemark.ts', import.meta.url).pathname;

export type CliResult = { readonly code: number; readonly json: any; readonly stdout: string; readonly stderr: string };

export type Platform = {
  readonly url: string;
  readonly dataDir: string;
  /** Where the transport listens. */
  readonly transportPort: number;
  /** Runs `tidemark …args --json` against this platform. */
  tidemark(...args: string[]): Promise<CliResult>;
  /** The same, and fails the test with the command's own words unless it ends with 0. */
  ok(...args: string[]): Promise<any>;
  /** The names of a session's steps as they are heard, until they are enough or the session has ended. */
  steps(session: string, isEnough: (names: readonly string[]) => boolean): Promise<readonly string[]>;
  /** Process ids below `up` whose command line contains `part`: 'server', 'transport', 'mover', 'mount', 'guardian'. */
  pids(part: string): number[];
  /** SIGKILL to `up` and everything below it, as a power cut would. */
  kill9(): Promise<void>;
  /** Starts `up` again on the same data directory. */
  start(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
};

export type PlatformOptions = {
  dataDir?: string;
  args?: readonly string[];
  /** How to start the command line; that of this checkout when left out. */
  command?: readonly [string, ...string[]];
  /** What starts Node for one process that runs every command; left out, each command starts a process, as an operator does. */
  keptIn?: readonly [string, ...string[]];
};

export async function openPlatform(options: PlatformOptions = {}): Promise<Platform> {
  const [node, ...first] = options.command ?? [process.execPath, program];
  const own = options.dataDir === undefined;
  const dataDir = options.dataDir ?? (await mkdtemp(join(tmpdir(), 'tm-platform-')));
  shareCompiled(dataDir);
  const [rest, link] = [await freePort(), await freePort()];
  let up: ChildProcess | undefined;
  let ready: { url: string; tokenFile: string } | undefined;
  let kept: KeptCommands | undefined;

  async function start(): Promise<void> {
    const child = spawn(node, [...first, 'up', '--data', dataDir, '--listen', `127.0.0.1:${rest}`, '--transport-listen', `127.0.0.1:${link}`, ...(options.args ?? []), '--json'], {
      stdio: ['ignore', 'pipe', process.env['TIDEMARK_TEST_VERBOSE'] === undefined ? 'ignore' : 'inherit'],
      env: environment,
    });
    up = child;
    ready = await withDeadline(
      '"tidemark up" to be ready',
      60_000,
      () =>
        new Promise((resolve, reject) => {
          child.once('close', (code) => reject(new Error(`tidemark up ended with ${code} before it was ready`)));
          createInterface({ input: child.stdout! }).once('line', (line) => resolve(JSON.parse(line)));
        }),
    );
  }

  async function tidemark(...args: string[]): Promise<CliResult> {
    const words = [...args, '--json', '--server', ready!.url, '--token-file', ready!.tokenFile];
    if (options.keptIn !== undefined) return await (kept ??= openKeptCommands(options.keptIn, environment)).run(words);
    return await new Promise((resolve) => {
      const child = execFile(node, [...first, ...words], { timeout: 600_000, maxBuffer: 256 << 20, env: environment }, (error, stdout, stderr) => {
        let json: unknown = undefined;
        try {
          json = JSON.parse(stdout);
        } catch {
          // Commands that fail print their failure as text.
        }
        resolve({ code: child.exitCode ?? (error === null ? 0 : -1), json, stdout, stderr });
      });
    });
  }

  const ended = async (child: ChildProcess): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    await new Promise((resolve) => child.once('close', resolve));
  };

  await start();
  return {
    url: ready!.url,
    dataDir,
    transportPort: link,
    tidemark,
    async ok(...args) {
      const result = await tidemark(...args);
      if (result.code !== 0) throw new Error(`tidemark ${args.join(' ')} ended with ${result.code}: ${result.stderr}${result.stdout}`);
      return result.json;
    },
    async steps(session, isEnough) {
      const { url: server, tokenFile } = ready!;
      const client = openClient({ server, token: readFileSync(tokenFile, 'utf8').trim(), ca: readFileSync(join(dirname(tokenFile), 'ca.pem'), 'utf8') });
      const names: string[] = [];
      return await withDeadline(`the steps of session ${session}`, 120_000, async (signal) => {
        for await (const { event } of client.events(session, 0, signal)) {
          if (event.kind !== 'step') continue;
          names.push(event.step);
          if (isEnough(names)) break;
        }
        return names;
      });
    },
    pids: (part) => descendants(up!.pid!).filter((pid) => commandLine(pid).some((word) => word.endsWith(`/${part}.ts`) || word.endsWith(`/${part}.js`))),
    async kill9() {
      for (const pid of [up!.pid!, ...descendants(up!.pid!)]) kill(pid);
      await withDeadline('killed processes to end', 30_000, async () => await ended(up!));
    },
    start,
    async [Symbol.asyncDispose]() {
      kept?.close();
      if (up !== undefined && up.exitCode === null && up.signalCode === null) {
        up.kill('SIGTERM');
        await withDeadline('"tidemark up" to end', 60_000, async () => await ended(up!)).catch(async () => {
          for (const pid of [up!.pid!, ...descendants(up!.pid!)]) kill(pid);
        });
      }
      if (own) await rm(dataDir, { recursive: true, force: true, maxRetries: 5 });
    },
  };
}

/** Each installation keeps its compiled code for itself; those of tests are all of one code, and a first start costs twice a later one. */
function shareCompiled(dataDir: string): void {
  mkdirSync(environment.NODE_COMPILE_CACHE, { recursive: true });
  for (const directory of [dataDir, join(dataDir, 'work')]) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    if (!existsSync(join(directory, 'compiled'))) symlinkSync(environment.NODE_COMPILE_CACHE, join(directory, 'compiled'));
  }
  // A directory with something in it is taken by this name only.
  writeFileSync(join(dataDir, 'up.lock'), '', { flag: 'a', mode: 0o600 });
}

function kill(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It has just ended by itself.
  }
}

/** All processes below one, from /proc. */
export function descendants(root: number): number[] {
  const children = new Map<number, number[]>();
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    try {
      const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
      const parent = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
      children.set(parent, [...(children.get(parent) ?? []), Number(name)]);
    } catch {
      // It ended while we looked.
    }
  }
  const found: number[] = [];
  const walk = (pid: number): void => {
    for (const child of children.get(pid) ?? []) {
      found.push(child);
      walk(child);
    }
  };
  walk(root);
  return found;
}

function commandLine(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0');
  } catch {
    return [];
  }
}
