/**
 * A stand-in for a Windows host on an address of its own of this machine (windows-host.py), with the ports that Windows has: 445, 135
 * and one for service control. What runs there are programs of this machine; `msiexec`, `icacls` and `netsh` are scripts that write down what
 * they were asked. With a lab they are Windows' own, under Wine, and services are those of its service control manager.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bundle } from '../../scripts/package/bundle.ts';
import { until } from '../../src/base/deadline.ts';
import { scratch } from './scratch.ts';
import type { WineLab } from './wine-lab.ts';

const python = '/usr/bin/python3';
const checkout = join(import.meta.dirname, '../..');

/** false, or why there can be no such host here. */
export function whyNoWindowsHost(): string | false {
  if (process.getuid?.() !== 0) return 'ports 135 and 445 need root';
  if (!existsSync('/usr/bin/smbclient') || !existsSync('/usr/bin/net')) return 'there are no smbclient and net on this machine';
  return spawnSync(python, ['-c', 'import impacket'], { timeout: 20_000 }).status === 0 ? false : 'there is no python3-impacket on this machine';
}

export type Done = { readonly did: string; readonly name?: string; readonly command?: string; readonly code: number };

export type WindowsHost = AsyncDisposable & {
  readonly address: string;
  /** C: there. */
  readonly root: string;
  readonly account: { readonly user: string; readonly domain: string; readonly password: string };
  /** What service control was asked, in its order. */
  readonly done: readonly Done[];
  /** What its programs said. */
  said(): string;
  /** Each call of msiexec, and the bytes that it was given. */
  installed(): { words: string; bytes: Buffer } | undefined;
};

export type WindowsHostOptions = { /** 135 and service control's own port are closed. */ readonly withoutRpc?: boolean; /** The number of a call that is answered with a wrong signature. */ readonly forges?: number; /** What msiexec ends with. */ readonly msiexec?: number; /** Its drive and its services are these. */ readonly lab?: WineLab };

let hosts = 0;

export async function openWindowsHost(options: WindowsHostOptions = {}): Promise<WindowsHost> {
  const own = mkdtempSync(join(scratch, 'tidemark-windows-'));
  const root = options.lab?.path('C:\\').replace(/\/$/, '') ?? own;
  const address = `127.${100 + (process.pid % 100)}.${Math.floor(process.pid / 100) % 250}.${++hosts}`;
  const account = { user: 'Administrator', domain: '', password: 'Wïn d0ws %"40' };
  const system = join(root, 'Windows/System32');
  if (options.lab === undefined) writeSystem(root, system, options.msiexec ?? 0);
  const log = join(own, 'log');
  const ports = { smb: 445, ...(options.withoutRpc !== true && { mapper: 135, control: 49_700 }) };
  const child: ChildProcess = spawn('setpriv', ['--pdeathsig', 'KILL', '--', python, join(import.meta.dirname, 'windows-host.py')], { stdio: ['pipe', 'pipe', 'pipe'] });
  child.stdin!.write(`${JSON.stringify({ address, ports, root, log, ...account, forges: options.forges ?? null, wine: options.lab?.wine ?? null })}\n`);
  let lines = '';
  let errors = '';
  child.stdout!.setEncoding('utf8').on('data', (text: string) => (lines += text));
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (errors += text));
  await until('the Windows host to be there', 20_000, () => {
    if (child.exitCode !== null) throw new Error(`the Windows host did not start: ${errors}`);
    return lines.includes('ready\n') ? true : undefined;
  }, { everyMs: 20 });
  return {
    address,
    root,
    account,
    get done() {
      return lines.split('\n').filter((line) => line.startsWith('{')).map((line) => JSON.parse(line) as Done);
    },
    said: () => (existsSync(log) ? readFileSync(log, 'utf8') : '') + errors,
    installed: () => (existsSync(join(root, 'msi')) ? { words: readFileSync(join(root, 'msiexec'), 'utf8').trim(), bytes: readFileSync(join(root, 'msi')) } : undefined),
    async [Symbol.asyncDispose]() {
      const ended = new Promise((resolve) => child.once('close', resolve));
      child.stdin!.end();
      await ended;
      rmSync(own, { recursive: true, force: true });
    },
  };
}

function writeSystem(root: string, system: string, code: number): void {
  for (const folder of [system, join(root, 'Windows/Temp'), join(root, 'ProgramData')]) mkdirSync(folder, { recursive: true });
  writeFileSync(join(system, 'msiexec.exe'), `#!/bin/sh\necho "$@" >> ${root}/msiexec\ncp "$2" ${root}/msi\nexit ${code}\n`, { mode: 0o755 });
  writeFileSync(join(system, 'icacls.exe'), `#!/bin/sh\necho "$@" >> ${root}/icacls\n`, { mode: 0o755 });
  writeFileSync(join(system, 'netsh.exe'), `#!/bin/sh\necho "$@" >> ${root}/netsh\n`, { mode: 0o755 });
}

/** What is put on a host: the bundled installer, and this machine's Node under the name of that of Windows. */
export async function makeInstallerDirectory(directory: string): Promise<void> {
  await bundle(checkout, directory, ['installer']);
  writeFileSync(join(directory, 'package.json'), '{"type":"module"}\n');
  writeFileSync(join(directory, 'node.exe'), `#!/bin/sh\nexec ${process.execPath} "$@"\n`);
  chmodSync(join(directory, 'node.exe'), 0o755);
  for (const file of ['package.json', 'index.js', 'src/koffi/index.js', 'src/koffi/src/static.js']) cpSync(join(checkout, 'node_modules/koffi', file), join(directory, 'node_modules/koffi', file));
  const halves = `node_modules/@koromix/koffi-linux-${process.arch}`;
  cpSync(join(checkout, halves), join(directory, halves), { recursive: true });
}
