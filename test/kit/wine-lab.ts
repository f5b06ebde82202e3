/**
 * A Windows host, as far as Wine is one: Windows' programs, services and C: drive in mounts and processes of their own, on this
 * machine's network. Its drive is an overlay of the prefix in the cache (wine-made.ts), so it is there at once, and nothing that is
 * written reaches another test. Everything in it ends with the process that opened it.
 *
 * Z: is the root of the folder that Wine runs in; the checkout is Z:\w\checkout there, with the Windows halves of its packages.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { windowsNode, windowsParts } from '../../scripts/package/windows-parts.ts';
import { until } from '../../src/base/deadline.ts';
import { makeWine, whyNoWine, wineFolder } from './wine-made.ts';

export type WineRun = { readonly code: number; readonly said: string };

export type WineLab = AsyncDisposable & {
  /** A folder of this machine that is Z:\w\lab inside. */
  readonly directory: string;
  /** Node for Windows, by its path there. */
  readonly node: string;
  /** What a program of Windows is started with from outside. */
  readonly wine: readonly string[];
  /** Where this process finds `C:\…` or `Z:\…`. */
  path(windows: string): string;
  /** Runs a program of Windows to its end. What it says comes through a file: Wine gives no pipes. */
  run(program: string, args?: readonly string[], options?: { deadlineMs?: number; env?: Record<string, string> }): Promise<WineRun>;
  ok(program: string, args?: readonly string[], options?: { deadlineMs?: number; env?: Record<string, string> }): Promise<string>;
  /** Links `\\server\share` to a folder of the C: drive. */
  share(server: string, share: string, windows: string): void;
  /** Asks the service control manager; `RUNNING`, `STOPPED`, or undefined for a service that is not there. */
  serviceState(name: string): Promise<string | undefined>;
  awaitService(name: string, state: string | undefined, ms?: number): Promise<void>;
  /** All of Windows is ended at once and started again. */
  restart(): Promise<void>;
};

const checkout = join(import.meta.dirname, '../..');

export { whyNoWine };

export async function openWineLab(): Promise<WineLab> {
  makeWine();
  const parts = windowsParts(checkout);
  const directory = mkdtempSync(join(tmpdir(), 'tidemark-wine-'));
  const lab = join(directory, 'lab');
  const layers = join(directory, 'layers');
  for (const folder of ['lab', 'layers', 'root']) mkdirSync(join(directory, folder));
  const root = join(directory, 'root');
  const mount = (lower: string, at: string): string => `mkdir -p ${layers}/${at}/up ${layers}/${at}/wk; mount -t overlay overlay -o lowerdir=${lower},upperdir=${layers}/${at}/up,workdir=${layers}/${at}/wk`;
  const script = `set -e
mount --make-rprivate /
mount -t tmpfs -o size=3000m tmpfs ${layers}
${mount(`${wineFolder}/prefix:${wineFolder}/root`, 'host')} ${root}
mount -t proc proc ${root}/proc
mount --bind /dev ${root}/dev
mkdir -p ${root}/w/lab ${root}/w/checkout
mount --bind ${lab} ${root}/w/lab
${mount(checkout, 'checkout')} ${root}/w/checkout
cp -r ${parts}/node_modules/. ${root}/w/checkout/node_modules/
echo ready > ${directory}/ready
exec sleep infinity`;
  let holder: ChildProcess | undefined;
  let first = 0;
  const start = async (): Promise<void> => {
    rmSync(join(directory, 'ready'), { force: true });
    const said: string[] = [];
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', 'unshare', '--mount', '--pid', '--fork', '--kill-child', 'bash', '-c', script], { stdio: ['ignore', 'ignore', 'pipe'] });
    child.stderr.setEncoding('utf8').on('data', (text: string) => said.push(text));
    holder = child;
    await until('the Windows host to be there', 20_000, () => {
      if (child.exitCode !== null) throw new Error(`the Windows host did not start: ${said.join('')}`);
      return existsSync(join(directory, 'ready')) ? true : undefined;
    }, { everyMs: 20 });
    first = Number(readFileSync(`/proc/${child.pid}/task/${child.pid}/children`, 'utf8').trim().split(' ')[0]);
    // It keeps the services running between two commands.
    await inside(['wineserver', '-p']);
  };
  const end = async (): Promise<void> => {
    const child = holder;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGKILL');
    await ended;
    await until('the processes of Windows to end', 10_000, () => (existsSync(`/proc/${first}`) ? undefined : true), { everyMs: 20 });
  };
  const enter = (env: Record<string, string>): string[] => ['-t', String(first), '--mount', '--pid', '--root', '--wd=/', '--', 'chroot', root, 'env', '-i', 'HOME=/root', 'PATH=/usr/bin:/bin', 'XDG_RUNTIME_DIR=/tmp', 'WINEPREFIX=/pfx', 'WINEDEBUG=-all', ...Object.entries(env).map(([name, value]) => `${name}=${value}`)];
  /** Nothing of ours is open in what it leaves running. */
  const inside = async (words: string[]): Promise<void> => void (await once(spawn('nsenter', [...enter({}), ...words], { stdio: 'ignore', timeout: 30_000 }), 'exit'));

  const run: WineLab['run'] = async (program, args = [], { deadlineMs = 60_000, env = {} } = {}) => {
    const file = join(directory, `said-${Math.round(performance.now() * 1000)}`);
    const fd = openSync(file, 'w');
    const child = spawn('nsenter', [...enter(env), 'wine', program, ...args], { stdio: ['ignore', fd, fd], timeout: deadlineMs, killSignal: 'SIGKILL' });
    closeSync(fd);
    const code = await new Promise<number>((resolve, reject) => {
      child.once('error', reject);
      child.once('exit', (ended, signal) => (ended === null ? reject(new Error(`${program} ${args.join(' ')} was ended by ${signal}: ${readFileSync(file, 'utf8').slice(-2000)}`)) : resolve(ended)));
    });
    const said = readFileSync(file, 'utf8').replaceAll('\r', '');
    rmSync(file);
    return { code, said };
  };
  const path: WineLab['path'] = (windows) => {
    const [drive, rest] = [windows[0]!.toUpperCase(), windows.slice(3).replaceAll('\\', '/')];
    return join(`/proc/${first}/root`, root, drive === 'C' ? 'pfx/drive_c' : '', rest);
  };
  const serviceState: WineLab['serviceState'] = async (name) => /STATE\s*:\s*\d+\s+(\w+)/.exec((await run('sc', ['query', name])).said)?.[1];
  await start();
  return {
    directory: lab,
    node: `Z:\\w\\checkout\\${windowsNode.replaceAll('/', '\\')}`,
    get wine() {
      return ['nsenter', ...enter({}), 'wine'];
    },
    path,
    run,
    async ok(program, args = [], options = {}) {
      const { code, said } = await run(program, args, options);
      if (code !== 0) throw new Error(`${program} ${args.join(' ')} ended with ${code}: ${said.slice(-4000)}`);
      return said;
    },
    share(server, share, windows) {
      mkdirSync(path(windows), { recursive: true });
      const folder = path(`Z:\\pfx\\dosdevices\\unc\\${server}`);
      mkdirSync(folder, { recursive: true });
      symlinkSync(`../../../drive_c/${windows.slice(3).replaceAll('\\', '/')}`, join(folder, share));
    },
    serviceState,
    awaitService: async (name, state, ms = 30_000) => void (await until(`the service ${name} to be ${state ?? 'gone'}`, ms, async () => ((await serviceState(name)) === state ? true : undefined), { everyMs: 150 })),
    async restart() {
      await end();
      await start();
      // Services that start by themselves are started by the first program.
      await run('cmd', ['/c', 'exit']);
    },
    async [Symbol.asyncDispose]() {
      await end();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
