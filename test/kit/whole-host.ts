/**
 * Whole hosts on this machine: each has its own address, root file system, processes, users and systemd as PID 1.
 *
 * A host is a network namespace on a bridge and an overlay of this machine's root on a tmpfs; nothing written inside
 * reaches the machine. The checkout is hidden from it and `node` is deleted in it: what runs there was brought there.
 * What a killed test left behind is cleared by the next one. Needs root, systemd, iproute2 and util-linux.
 */
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { chmodSync, cpSync, existsSync, globSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { runProgram, type Finished } from '../../src/base/child-process.ts';
import { until, withDeadline } from '../../src/base/deadline.ts';
import { makeMachine, type TestMachine } from './namespaces.ts';

export type WholeHost = {
  readonly name: string;
  readonly address: string;
  /** On the same network. */
  readonly address6: string;
  readonly namespace: string;
  /** PID 1 of the host, as this machine numbers it. */
  pid(): number;
  /** Runs a program inside, as root and with no environment of ours. */
  run(program: string, args?: readonly string[], options?: { deadlineMs?: number; input?: string }): Promise<Finished>;
  /** The same, and fails with the program's own words unless it ends with 0. Answers what it printed. */
  ok(program: string, args?: readonly string[], options?: { deadlineMs?: number; input?: string }): Promise<string>;
  /** A path inside, as this process can open it. Changes when the host is started again. */
  path(inside: string): string;
  copyIn(from: string, inside: string): void;
  write(inside: string, text: string, mode?: number): void;
  read(inside: string): string;
  /** PID 1 is killed as a power cut would, and started again with the same files. */
  reboot(): Promise<void>;
  stop(): Promise<void>;
};

export type WholeHosts = {
  readonly hosts: readonly WholeHost[];
  /** On the same network: an address and a firewall of their own, and this machine's files. */
  readonly beside: readonly TestMachine[];
  /** This machine's address on the hosts' network. */
  readonly gateway: string;
  [Symbol.asyncDispose](): Promise<void>;
};

export type WholeHostOptions = {
  /** Units that run besides systemd's basic ones: `ssh.service`. */
  units?: readonly string[];
  /** Directories of this machine that the hosts must not see; the checkout is always one. */
  hide?: readonly string[];
  /** Machines that nothing of ours runs on. */
  beside?: readonly string[];
  /** Of each host's tmpfs. */
  sizeMb?: number;
};

const checkout = join(import.meta.dirname, '../..');
const quiet = { stdio: ['ignore', 'ignore', 'pipe'] as ('ignore' | 'pipe')[], timeout: 20_000 };
const ip = (...words: string[]): void => void execFileSync('ip', words, quiet);

/** Why this machine cannot have whole hosts, or undefined. */
export function whyNoWholeHosts(): string | undefined {
  if (process.getuid?.() !== 0) return 'whole hosts need root';
  const programs = ['ip', 'unshare', 'nsenter', 'setpriv', 'mount'];
  const missing = programs.filter((name) => !['/usr/bin', '/usr/sbin', '/bin', '/sbin'].some((directory) => existsSync(join(directory, name))));
  if (missing.length > 0) return `not on this machine: ${missing.join(', ')}`;
  return existsSync('/lib/systemd/systemd') ? undefined : 'systemd is not on this machine';
}

export async function openWholeHosts(count: number, options: WholeHostOptions = {}): Promise<WholeHosts> {
  clearLeftovers();
  const network = openNetwork();
  const hosts: WholeHost[] = [];
  const children: ChildProcess[] = [];
  const beside: TestMachine[] = [];
  const close = async (): Promise<void> => {
    await Promise.allSettled([...hosts.map(async (host) => await host.stop()), ...children.map(endOf)]);
    network.close();
  };
  try {
    for (const [at, name] of (options.beside ?? []).entries()) beside.push(openBeside(network, name, at, children));
    const opened = await Promise.allSettled(Array.from({ length: count }, async (_, at) => hosts.push(await openHost(network, at + 1, options))));
    for (const result of opened) if (result.status === 'rejected') throw result.reason as Error;
    hosts.sort((a, b) => a.name.localeCompare(b.name));
  } catch (error) {
    await close();
    throw error;
  }
  return { hosts, beside, gateway: network.gateway, [Symbol.asyncDispose]: close };
}

type Network = { readonly id: string; readonly bridge: string; readonly prefix: string; readonly prefix6: string; readonly gateway: string; readonly directory: string; close(): void };

function openNetwork(): Network {
  const used = execFileSync('ip', ['-4', '-o', 'addr'], { encoding: 'utf8' });
  const nth = Array.from({ length: 250 }, (_, at) => `10.77.${(process.pid + at) % 250}`).find((prefix) => !used.includes(` ${prefix}.`));
  if (nth === undefined) throw new Error('no free network 10.77.x.0/24');
  const id = `tmh${process.pid}`;
  const directory = `/tmp/${id}`;
  mkdirSync(directory, { recursive: true });
  ip('link', 'add', id, 'type', 'bridge');
  ip('addr', 'add', `${nth}.1/24`, 'dev', id);
  const prefix6 = `fd77:${nth.split('.')[2]}:`;
  ip('-6', 'addr', 'add', `${prefix6}:1/64`, 'dev', id, 'nodad');
  ip('link', 'set', id, 'up');
  return { id, bridge: id, prefix: nth, prefix6, gateway: `${nth}.1`, directory, close: () => clear(id) };
}

async function endOf(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await ended;
}

function plug(network: Network, space: string, outer: string, addresses: readonly string[]): void {
  ip('netns', 'add', space);
  ip('link', 'add', outer, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', space);
  ip('link', 'set', outer, 'master', network.bridge, 'up');
  for (const address of addresses) ip('-n', space, 'addr', 'add', address, 'dev', 'eth0', ...(address.includes(':') ? ['nodad'] : []));
  for (const words of [['link', 'set', 'lo', 'up'], ['link', 'set', 'eth0', 'up'], ['route', 'add', 'default', 'via', network.gateway]]) ip('-n', space, ...words);
}

function openBeside(network: Network, name: string, at: number, children: ChildProcess[]): TestMachine {
  const space = `${network.id}-${name}`;
  const address = `${network.prefix}.${100 + at}`;
  plug(network, space, `tw${process.pid}-${at}`, [`${address}/24`]);
  return makeMachine(name, space, address, address, children);
}

async function openHost(network: Network, number: number, options: WholeHostOptions): Promise<WholeHost> {
  const name = `host${number}`;
  const space = `${network.id}-${number}`;
  const address = `${network.prefix}.${10 + number}`;
  const address6 = `${network.prefix6}:${10 + number}`;
  const root = join(network.directory, name);
  plug(network, space, `tv${process.pid}-${number}`, [`${address}/24`, `${address6}/64`]);
  mkdirSync(root);
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${options.sizeMb ?? 1500}m`, 'tmpfs', root], quiet);
  for (const part of ['up', 'wk', 'root']) mkdirSync(join(root, part));
  const script = join(root, 'start.sh');
  writeFileSync(script, startScript({ root, name, address, id: space, units: options.units ?? [], hide: [checkout, ...(options.hide ?? [])] }));

  let outer: ChildProcess | undefined;
  let first = 0;
  const start = async (): Promise<void> => {
    const said: string[] = [];
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', '/bin/bash', script], { stdio: ['ignore', 'pipe', 'pipe'] });
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => said.push(text) > 200 && said.shift());
    outer = child;
    first = await until(`systemd of ${name}`, 20_000, () => {
      if (child.exitCode !== null) throw new Error(`${name} did not start: ${said.join('')}`);
      return systemdBelow(child.pid!);
    });
    await until(`${name} to be up`, 40_000, async () => (/running|degraded/.test((await run('systemctl', ['is-system-running'])).stdout) ? true : undefined), { everyMs: 100 });
  };
  const run: WholeHost['run'] = async (program, args = [], more = {}) =>
    await runProgram('nsenter', ['-t', String(first), '-a', '--root', '--', 'env', '-i', '-C', '/', 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'HOME=/root', 'LANG=C.UTF-8', program, ...args], { deadlineMs: more.deadlineMs ?? 30_000, input: more.input });
  const end = async (): Promise<void> => {
    const child = outer;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('close', resolve));
    child.kill('SIGKILL');
    await withDeadline(`${name} to end`, 10_000, async () => await ended);
    await until(`the processes of ${name} to end`, 10_000, () => (existsSync(`/proc/${first}`) && !isZombie(first) ? undefined : true));
  };
  const inside = (path: string): string => join(`/proc/${first}/root`, path);
  await start().catch(async (error: unknown) => {
    await end();
    throw error;
  });
  return {
    name,
    address,
    address6,
    namespace: space,
    pid: () => first,
    run,
    async ok(program, args = [], more = {}) {
      const { code, stdout, stderr } = await run(program, args, more);
      if (code !== 0) throw new Error(`${name}: ${program} ${args.join(' ')} ended with ${code}: ${stderr}${stdout}`);
      return stdout;
    },
    path: inside,
    copyIn(from, to) {
      mkdirSync(dirname(inside(to)), { recursive: true });
      cpSync(from, inside(to), { recursive: true });
    },
    write(to, text, mode = 0o644) {
      mkdirSync(dirname(inside(to)), { recursive: true });
      writeFileSync(inside(to), text);
      chmodSync(inside(to), mode);
    },
    read: (from) => readFileSync(inside(from), 'utf8'),
    async reboot() {
      await end();
      await start();
    },
    stop: end,
  };
}

function systemdBelow(pid: number): number | undefined {
  const children = (of: number): number[] => {
    try {
      return readFileSync(`/proc/${of}/task/${of}/children`, 'utf8').trim().split(' ').filter((word) => word !== '').map(Number);
    } catch {
      return [];
    }
  };
  const name = (of: number): string => {
    try {
      return readFileSync(`/proc/${of}/comm`, 'utf8').trim();
    } catch {
      // It has just ended.
      return '';
    }
  };
  return [pid, ...children(pid)].flatMap(children).find((child) => name(child) === 'systemd');
}

function isZombie(pid: number): boolean {
  try {
    return /^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return true;
  }
}

const noUnits = ['systemd-networkd', 'systemd-resolved', 'systemd-timesyncd', 'systemd-udevd', 'systemd-udev-trigger', 'systemd-logind', 'getty@tty1', 'console-getty', 'systemd-networkd-wait-online'].map((unit) => `${unit}.service`).concat('apt-daily.timer', 'apt-daily-upgrade.timer', 'man-db.timer');

/** Each host gets a control group of its own before systemd starts, so that two hosts never share a unit's processes. */
function startScript(host: { root: string; name: string; address: string; id: string; units: readonly string[]; hide: readonly string[] }): string {
  const hybrid = existsSync('/sys/fs/cgroup/unified');
  const groups = hybrid ? ['/sys/fs/cgroup/systemd', '/sys/fs/cgroup/unified'] : ['/sys/fs/cgroup'];
  const mounts = hybrid
    ? 'mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup; mkdir -p sys/fs/cgroup/systemd sys/fs/cgroup/unified; mount -t cgroup -o none,name=systemd,xattr cgroup sys/fs/cgroup/systemd; mount -t cgroup2 cgroup2 sys/fs/cgroup/unified'
    : 'mount -t cgroup2 cgroup2 sys/fs/cgroup';
  const { root, name, address } = host;
  return `set -e
for group in ${groups.join(' ')}; do mkdir -p $group/${host.id}; echo $$ > $group/${host.id}/cgroup.procs; done
exec ip netns exec ${host.id} unshare --mount --uts --ipc --pid --cgroup --fork --kill-child --propagation private /bin/bash -c '
set -e
mount -t overlay overlay -o lowerdir=/,upperdir=${root}/up,workdir=${root}/wk ${root}/root
cd ${root}/root
mount -t proc proc proc; mount -t sysfs sysfs sys || true
mount -t tmpfs tmpfs run; mount -t tmpfs tmpfs tmp; chmod 1777 tmp
mount -t tmpfs -o mode=755 tmpfs dev
for d in null zero full random urandom tty; do if [ -e /dev/$d ]; then touch dev/$d; mount --bind /dev/$d dev/$d; fi; done
if [ -e /dev/fuse ]; then mknod -m 666 dev/fuse c 10 229; fi # as udev makes it
mkdir dev/shm dev/pts; mount -t tmpfs tmpfs dev/shm; mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts; ln -s pts/ptmx dev/ptmx; ln -s /proc/self/fd dev/fd
${mounts}
for d in ${host.hide.map((path) => `.${path}`).join(' ')}; do mkdir -p $d; mount -t tmpfs -o size=1m tmpfs $d; done
for node in $(find usr/local/bin usr/bin root/.nvm opt -maxdepth 5 -name node -not -type d 2>/dev/null | grep -v ^opt/tidemark); do rm -f $node; done
hostname ${name}; echo ${name} > etc/hostname; : > etc/machine-id
printf "127.0.0.1 localhost\\n${address} ${name}.tide.test ${name}\\n" > etc/hosts
mkdir -p etc/systemd/system
printf "[Unit]\\nRequires=basic.target\\nAfter=basic.target\\nWants=multi-user.target systemd-user-sessions.service ${host.units.join(' ')}\\n" > etc/systemd/system/whole-host.target
for unit in etc/systemd/system/multi-user.target.wants/* lib/systemd/system/multi-user.target.wants/*; do case $unit in *tidemark*|*user-sessions*) ;; *) rm -f $unit ;; esac; done
for unit in ${noUnits.join(' ')}; do ln -sf /dev/null etc/systemd/system/$unit; done
exec env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin chroot ${root}/root /lib/systemd/systemd --system --unit=whole-host.target --log-target=console --show-status=no
'
`;
}

/** What tests that were killed left: their hosts ended with them, their namespaces, mounts and links did not. */
function clearLeftovers(): void {
  for (const path of globSync('/tmp/tmh[0-9]*')) {
    const id = path.slice('/tmp/'.length);
    if (!existsSync(`/proc/${id.slice(3)}`)) clear(id);
  }
}

function clear(id: string): void {
  const attempt = (program: string, ...args: string[]): void => {
    try {
      execFileSync(program, args, quiet);
    } catch {
      // Gone already, or never made.
    }
  };
  for (const mounted of readFileSync('/proc/mounts', 'utf8').split('\n').map((line) => line.split(' ')[1] ?? '').filter((path) => path.startsWith(`/tmp/${id}/`)).toReversed()) attempt('umount', '-l', mounted);
  for (const space of readdirSync('/run/netns').filter((name) => name.startsWith(`${id}-`))) attempt('ip', 'netns', 'del', space);
  attempt('ip', 'link', 'del', id);
  for (const group of globSync([`/sys/fs/cgroup/${id}-*`, `/sys/fs/cgroup/{systemd,unified}/${id}-*`])) attempt('find', group, '-depth', '-type', 'd', '-exec', 'rmdir', '{}', ';');
  for (const names of globSync(`/etc/netns/${id}-*`)) rmSync(names, { recursive: true, force: true });
  rmSync(`/tmp/${id}`, { recursive: true, force: true });
}
