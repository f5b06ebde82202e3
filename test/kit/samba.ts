/**
 * A real file server: smbd on loopback, with a disk, accounts and a configuration of its own. It is killed as a power cut
 * would, all its processes at once, and started again on the same port.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { chmodSync, chownSync, existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { until } from '../../src/base/deadline.ts';
import type { SmbLocation } from '../../src/repository/storage/location.ts';
import { freePorts } from './free-port.ts';
import type { TestMachine } from './namespaces.ts';
import { scratch } from './scratch.ts';

/** Accounts that every Debian has. */
export const shareUser = 'backup';
const user = shareUser;
export const sharePassword = 'Sm6-päss %40"x';

const smbd = '/usr/sbin/smbd';
const libraries = ['/usr/lib/x86_64-linux-gnu', '/usr/lib/aarch64-linux-gnu', '/usr/lib64'];

/** false, or why there can be no file server here. */
export function whyNoSamba(): string | false {
  if (process.getuid?.() !== 0) return 'smbd needs root, to become the user that signs in';
  if (!existsSync(smbd) || !existsSync('/usr/bin/smbpasswd')) return 'there is no smbd on this machine';
  return libraries.some((folder) => existsSync(join(folder, 'libsmbclient.so.0'))) ? false : 'there is no libsmbclient on this machine';
}

export type Samba = {
  readonly port: number;
  /** What the shares `plain` and `sealed` (encrypted or not at all) show. */
  readonly folder: string;
  location(more?: Partial<SmbLocation>): SmbLocation;
  /** SIGKILL to all of it. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** What of the library's talk the server wrote down: `log level` is 3 or more for requests. */
  readonly logFolder: string;
};

/** `machine`: it runs there, and not on loopback. */
export type SambaOptions = { readonly machine?: Pick<TestMachine, 'namespace' | 'address'>; readonly port?: number; readonly global?: readonly string[]; readonly folder?: string; readonly share?: readonly string[] };

/** A test, or the whole file. */
type Ends = { after(work: () => unknown): void };

export async function openSamba(t: Ends, options: SambaOptions = {}): Promise<Samba> {
  const home = mkdtempSync(join(scratch, 'tidemark-smb-'));
  // The user who signs in goes through it.
  chmodSync(home, 0o755);
  t.after(() => rmSync(home, { recursive: true, force: true }));
  const folder = options.folder ?? join(home, 'share');
  for (const name of ['private', 'lock', 'state', 'cache', 'pid', 'ncalrpc', 'log']) mkdirSync(join(home, name), { mode: 0o755 });
  if (options.folder === undefined) mkdirSync(folder);
  const [uid, gid] = idsOf(user);
  chownSync(folder, uid, gid);
  const port = options.port ?? (await freePorts(1))[0]!;
  const address = options.machine?.address ?? '127.0.0.1';
  const there = options.machine === undefined ? [] : ['ip', 'netns', 'exec', options.machine.namespace];
  const file = join(home, 'smb.conf');
  writeFileSync(file, configuration(home, folder, port, options));
  run('/usr/bin/smbpasswd', ['-c', file, '-s', '-a', user], `${sharePassword}\n${sharePassword}\n`);

  let running: ChildProcess | undefined;
  const kill = async (): Promise<void> => {
    const child = running;
    if (child?.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    running = undefined;
    // Its own process group: the process of each client, too.
    process.kill(-child.pid, 'SIGKILL');
    await ended;
  };
  const start = async (): Promise<void> => {
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...there, smbd, '--foreground', '--no-process-group', '-s', file, '-l', join(home, 'log')], { stdio: 'ignore', detached: true });
    running = child;
    await until('smbd', 20_000, async () => {
      if (child.exitCode !== null) throw new Error(`smbd ended with ${child.exitCode}`);
      return await answers(address, port);
    });
  };
  t.after(kill);
  await start();
  return {
    port,
    folder,
    logFolder: join(home, 'log'),
    location: (more = {}) => ({ kind: 'smb', server: address, port, share: 'plain', path: 'backups/tidemark', user, domain: '', encryption: 'if-offered', netbios: false, ...more }),
    kill,
    start,
  };
}

function configuration(home: string, folder: string, port: number, { machine, global = [], share = [] }: SambaOptions): string {
  const common = [`path = ${folder}`, 'read only = no', `valid users = ${user}`, ...share];
  return [
    '[global]',
    'netbios name = TIDETEST',
    'workgroup = TIDEGROUP',
    'server role = standalone server',
    'map to guest = never',
    `smb ports = ${port}`,
    'bind interfaces only = yes',
    `interfaces = ${machine === undefined ? 'lo' : 'eth0'}`,
    `private dir = ${home}/private`,
    `passdb backend = tdbsam:${home}/private/passdb.tdb`,
    `lock directory = ${home}/lock`,
    `state directory = ${home}/state`,
    `cache directory = ${home}/cache`,
    `pid directory = ${home}/pid`,
    `ncalrpc dir = ${home}/ncalrpc`,
    `log file = ${home}/log/smbd.log`,
    'disable spoolss = yes',
    'load printers = no',
    ...global,
    '[plain]',
    ...common,
    '[sealed]',
    ...common,
    'smb encrypt = required',
    '',
  ].join('\n');
}

function idsOf(name: string): [number, number] {
  const [, , uid, gid] = run('/usr/bin/getent', ['passwd', name]).split(':');
  return [Number(uid), Number(gid)];
}

function run(program: string, args: readonly string[], input = ''): string {
  const { status, stdout, stderr } = spawnSync(program, args, { input, encoding: 'utf8', timeout: 30_000 });
  if (status !== 0) throw new Error(`${program} ended with ${status}: ${stderr}`);
  return stdout;
}

async function answers(address: string, port: number): Promise<true | undefined> {
  return await new Promise((resolve) => {
    const socket = connect(port, address);
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(undefined));
  });
}
