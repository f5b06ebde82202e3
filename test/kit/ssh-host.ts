/**
 * A real sshd on loopback, in a host of its own: own mounts, process table and name, with the machine's files below an
 * overlay that is in memory. Its users, passwords and sudo rules are its own, and all of it is gone when its first
 * process is: also after a test that was killed, because the kernel then kills that process.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { requireProgram, runProgram, type Finished } from '../../src/base/child-process.ts';
import { until } from '../../src/base/deadline.ts';
import { freePort } from './free-port.ts';

export type SshUser = {
  readonly name: string;
  /** None: no password opens the account. */
  readonly password?: string;
  readonly shell?: string;
  /** A public key that may sign in. */
  readonly publicKey?: string;
  /** What its shell reads when sshd starts it. */
  readonly bashrc?: string;
};

export type SshHostWish = {
  readonly users?: readonly SshUser[];
  readonly rootPassword?: string;
  readonly sudoers?: readonly string[];
  /** Lines that are added to sshd's configuration: an sshd for each list. */
  readonly sshds?: readonly (readonly string[])[];
  /** systemd as process 1, with its own journal and units; sshd is one of them. */
  readonly systemd?: true;
  /** Runs as root inside before sshd starts. */
  readonly setup?: string;
};

export type SshHost = AsyncDisposable & {
  /** One for each sshd that was asked for. */
  readonly ports: readonly number[];
  readonly port: number;
  /** A directory on this machine with the keys of the host. */
  readonly keys: string;
  /** Runs a script as root inside. */
  inside(script: string): Promise<Finished>;
  /** What its sshds have logged. */
  log(): Promise<string>;
};

/** false, or why no such host can be made here. */
export function whyNoSshHost(): string | false {
  if (process.getuid?.() !== 0) return 'needs root to make namespaces';
  const missing = ['sshd', 'sudo', 'unshare', 'setpriv', 'nsenter'].filter((name) => !['/usr/sbin', '/usr/bin', '/sbin', '/bin'].some((folder) => existsSync(join(folder, name))));
  return missing.length === 0 ? false : `needs ${missing.join(', ')}`;
}

const path = 'PATH=/usr/sbin:/usr/bin:/sbin:/bin; export PATH';

export async function openSshHost(wish: SshHostWish): Promise<SshHost> {
  const folder = mkdtempSync(join(tmpdir(), 'tm-ssh-'));
  const sshds = wish.sshds ?? [[]];
  const ports: number[] = [];
  for (let n = 0; n < sshds.length; n++) ports.push(await freePort());
  for (const type of ['ed25519', 'rsa']) await requireProgram('ssh-keygen', ['-q', '-t', type, '-N', '', '-f', join(folder, `host_${type}`)], { deadlineMs: 30_000 });
  writeFileSync(join(folder, 'start.sh'), startScript(folder, wish, sshds, ports));
  const cgroup = basename(folder);
  const enter = wish.systemd === true ? `for c in ${cgroupRoots.join(' ')}; do if test -f $c/cgroup.procs; then mkdir $c/${cgroup}; echo $$ > $c/${cgroup}/cgroup.procs; fi; done; ` : '';
  const unshare = `exec unshare --mount --uts --ipc --pid ${wish.systemd === true ? '--cgroup ' : ''}--fork --kill-child --propagation private bash ${join(folder, 'start.sh')}`;
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'bash', '-c', enter + unshare], { stdio: ['ignore', 'pipe', 'pipe'] });
  let printed = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (part: Buffer) => (printed += part.toString()));
  const stop = async (): Promise<void> => {
    await ended(child);
    if (wish.systemd === true) await removeCgroups(cgroup);
    rmSync(folder, { recursive: true, force: true });
  };
  try {
    for (const port of ports) {
      await until(`sshd on port ${port}`, 20_000, async () => {
        if (child.exitCode !== null) throw new Error(`the host ended: ${printed}`);
        return await greets(port);
      });
    }
  } catch (error) {
    await stop();
    throw error;
  }
  const inside = async (script: string): Promise<Finished> =>
    await runProgram('nsenter', ['-t', String(await firstProcess(child.pid!)), '-m', '-u', '-i', '-p', '--root', '--wd=/', '/bin/sh', '-c', `${path}; ${script}`], { deadlineMs: 60_000 });
  return { ports, port: ports[0]!, keys: folder, inside, log: async () => (await inside('cat /tmp/sshd.log')).stdout, [Symbol.asyncDispose]: stop };
}

function startScript(folder: string, wish: SshHostWish, sshds: readonly (readonly string[])[], ports: readonly number[]): string {
  const root = join(folder, 'root');
  // What a test adds stands last: it may be a Match block, which reaches to the end.
  const configs = sshds.map((lines, at) => [
    `Port ${ports[at]}`, 'ListenAddress 127.0.0.1', 'HostKey /etc/ssh/tm_ed25519', 'HostKey /etc/ssh/tm_rsa', 'PidFile none', 'UsePAM yes', 'LogLevel VERBOSE',
    ...(lines.includes('# no sftp') ? [] : ['Subsystem sftp internal-sftp']),
    ...lines,
  ]);
  const setup = [
    'set -e', path, ': > /etc/sudoers.d/tm', 'chmod 440 /etc/sudoers.d/tm', 'rm -f /run/nologin /etc/nologin',
    ...(wish.users ?? []).flatMap(userLines),
    ...(wish.rootPassword === undefined ? [] : [`echo ${quoted(`root:${wish.rootPassword}`)} | chpasswd`]),
    ...(wish.sudoers ?? []).map((line) => `echo ${quoted(line)} >> /etc/sudoers.d/tm`),
    ...configs.map((lines, at) => `printf '%s\\n' ${lines.map(quoted).join(' ')} > /etc/ssh/tm_${at}`),
    wish.setup ?? ':',
    ...(wish.systemd === true ? systemdLines(configs.length) : [
      ...configs.slice(1).map((_, at) => `$(command -v sshd) -f /etc/ssh/tm_${at + 1} -E /tmp/sshd.log`),
      'exec $(command -v sshd) -D -f /etc/ssh/tm_0 -E /tmp/sshd.log',
    ]),
  ].join('\n');
  return `set -e
${path}
mkdir ${folder}/top
mount -t tmpfs -o size=1g tmpfs ${folder}/top
mkdir ${folder}/top/up ${folder}/top/work ${root}
mount -t overlay overlay -o lowerdir=/,upperdir=${folder}/top/up,workdir=${folder}/top/work ${root}
cd ${root}
mount -t proc proc proc
mount -t sysfs sysfs sys || true
for d in run tmp home; do mount -t tmpfs -o mode=1777 tmpfs $d; done
mkdir -p -m 755 run/sshd
mount -t tmpfs -o mode=755 tmpfs dev
for d in null zero full random urandom tty; do touch dev/$d; mount --bind /dev/$d dev/$d; done
mkdir dev/shm dev/pts
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
ln -s /proc/self/fd dev/fd
${wish.systemd === true ? cgroupMounts : ''}hostname tm-ssh
echo 127.0.0.1 localhost tm-ssh > etc/hosts
for type in ed25519 rsa; do cp ${folder}/host_$type etc/ssh/tm_$type; chmod 600 etc/ssh/tm_$type; done
cat > tmp/setup.sh <<'END-OF-SETUP'
${setup}
END-OF-SETUP
mkdir .old
pivot_root . .old
cd /
umount -l /.old
exec env -i PATH=$PATH chroot . /bin/sh /tmp/setup.sh
`;
}

const cgroupMounts = `mount -t tmpfs -o mode=755 tmpfs sys/fs/cgroup
if grep -q ' - cgroup ' /proc/self/mountinfo; then
  mkdir sys/fs/cgroup/systemd sys/fs/cgroup/unified
  mount -t cgroup -o none,name=systemd,xattr cgroup sys/fs/cgroup/systemd || true
  mount -t cgroup2 cgroup2 sys/fs/cgroup/unified || true
else
  umount sys/fs/cgroup
  mount -t cgroup2 cgroup2 sys/fs/cgroup || true
fi
`;

/** Units that a host in a namespace cannot run are masked. */
function systemdLines(sshds: number): string[] {
  const masked = ['systemd-networkd.service', 'systemd-resolved.service', 'systemd-timesyncd.service', 'systemd-udevd.service', 'systemd-udev-trigger.service', 'systemd-logind.service', 'getty@tty1.service', 'console-getty.service', 'apt-daily.timer', 'ssh.service', 'ssh.socket'];
  return [
    'mkdir -p /etc/systemd/system; cd /etc/systemd/system',
    ...masked.map((unit) => `ln -sf /dev/null ${unit}`),
    `printf '%s\\n' '[Unit]' 'Requires=basic.target' 'After=basic.target' 'Wants=systemd-user-sessions.service ${Array.from({ length: sshds }, (_, at) => `tm-sshd@${at}.service`).join(' ')}' > tm.target`,
    `printf '%s\\n' '[Unit]' 'After=systemd-user-sessions.service' '[Service]' 'RuntimeDirectory=sshd' 'RuntimeDirectoryPreserve=yes' 'ExecStart=/usr/sbin/sshd -D -f /etc/ssh/tm_%i -E /tmp/sshd.log' > tm-sshd@.service`,
    ': > /etc/machine-id',
    'exec env -i container=lxc PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --system --unit=tm.target --log-target=journal --show-status=no',
  ];
}

function userLines({ name, password, shell = '/bin/bash', publicKey, bashrc }: SshUser): string[] {
  const home = `/home/${name}`;
  return [
    `useradd -m -s ${shell} ${name}`,
    ...(password === undefined ? [] : [`echo ${quoted(`${name}:${password}`)} | chpasswd`]),
    ...(publicKey === undefined ? [] : [`mkdir -m 700 ${home}/.ssh`, `echo ${quoted(publicKey)} > ${home}/.ssh/authorized_keys`, `chown -R ${name}: ${home}/.ssh`]),
    ...(bashrc === undefined ? [] : [`echo ${quoted(bashrc)} > ${home}/.bashrc`]),
  ];
}

export const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`;


async function greets(port: number): Promise<true | undefined> {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1');
    const end = (answer: true | undefined): void => {
      socket.destroy();
      resolve(answer);
    };
    socket.once('data', (bytes: Buffer) => end(bytes.toString('latin1').startsWith('SSH-') ? true : undefined));
    socket.once('error', () => end(undefined));
    socket.setTimeout(2_000, () => end(undefined));
  });
}

/** The child of unshare: process 1 inside. */
async function firstProcess(unshare: number): Promise<number> {
  const { stdout } = await runProgram('pgrep', ['-P', String(unshare)], { deadlineMs: 5_000 });
  return Number(stdout.trim().split('\n')[0]);
}

/** systemd as process 1 needs a cgroup of its own: two of them in one would take each other's units for theirs. */
const cgroupRoots = ['/sys/fs/cgroup/systemd', '/sys/fs/cgroup/unified', '/sys/fs/cgroup'];

/** A cgroup is empty only when the kernel has buried its last process. */
async function removeCgroups(name: string): Promise<void> {
  const there = cgroupRoots.map((root) => join(root, name)).filter((path) => existsSync(path));
  await until(`the cgroups of ${name} to go`, 10_000, async () => {
    for (const path of there) if (existsSync(path)) await runProgram('find', [path, '-depth', '-type', 'd', '-exec', 'rmdir', '{}', ';'], { deadlineMs: 10_000 });
    return there.some((path) => existsSync(path)) ? undefined : true;
  });
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGKILL');
  await gone;
}
