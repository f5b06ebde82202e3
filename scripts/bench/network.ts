/**
 * The first full of a set to a repository on another host, against the same files into the same store on one host.
 *
 * Two network namespaces joined by a veth pair are the two hosts. The files are those of a real member under a lock. In
 * each round the same program stores them into a fresh store, once by its path and once over data channels that the
 * serving task offers in the other namespace; the page cache is empty before each, and the order turns. restic stores
 * the same files over SFTP into the other namespace where sshd and restic are at hand. Everything shares this machine's
 * processors, so the network's share of the work (encryption on one end, decryption on the other) is paid here twice.
 */
import { spawn, type ChildProcess } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { requireProgram } from '../../src/base/child-process.ts';
import { until, withDeadline } from '../../src/base/deadline.ts';
import type { FromMover } from '../../src/agent/task-runner.ts';
import type { LinkIdentity } from '../../src/contract/link/trust.ts';
import type { ArchiveAccess } from '../../src/contract/values.ts';
import { makeArchive } from '../../src/repository/repository.ts';
import { openDirectory } from '../../src/repository/storage/directory.ts';
import { openAuthority, type Issued } from '../../src/server/authority.ts';
import { openReplicaSet } from '../../test/kit/replica-set.ts';
import { costOf, median, round, timed, type Cost } from './accounting.ts';
import { loadDataSet, sizeOfDataSet } from './data-set.ts';
import { openTwoNamespaces, type TwoNamespaces } from './namespaces.ts';
import type { NodeDone, NodeJob } from './network-node.ts';
import { findProgram } from './peers.ts';
import { copyQuiesced } from './quiesced.ts';
import { folder, type Measured, type Run } from './run.ts';
import { bytesBelow, forgetPageCache, openVolume } from './volume.ts';

const ROUNDS = 3;
const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;
const SET_ID = 'a'.repeat(24);

type Bed = { run: Run; hosts: TwoNamespaces; files: NodeJob['files']; identities: { node: LinkIdentity; repository: LinkIdentity; repositoryFile: string } };
type Stored = NodeDone & { readonly serving?: { cpuSeconds: number; peakRssMiB: number } };

export async function benchNetwork(run: Run): Promise<Measured> {
  const { stack, say } = run;
  if (process.getuid?.() !== 0) throw new Error('network namespaces need root');
  const hosts = stack.use(await openTwoNamespaces());
  const { copy, dataSet } = await quiescedFiles(run);
  const names = readdirSync(copy, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile());
  const files = names.map((entry) => join(entry.parentPath, entry.name)).map((from) => ({ path: relative(copy, from), from, bytes: statSync(from).size }));
  const bed: Bed = { run, hosts, files, identities: await issue(run) };
  const bytes = bytesBelow(copy);
  say(`${files.length} files, ${round(bytes / 1e9)} GB`);

  const local: Stored[] = [];
  const network: Stored[] = [];
  const restic: Cost[] = [];
  const peer = await openResticOverSftp(run, hosts);
  for (let k = 0; k < ROUNDS; k++) {
    const turns = [
      async () => void local.push(await storeLocally(bed)),
      async () => void network.push(await storeOverNetwork(bed)),
      ...(peer === undefined ? [] : [async () => void restic.push(await peer.store(copy, k))]),
    ];
    for (const turn of k % 2 === 0 ? turns : turns.toReversed()) {
      await forgetPageCache();
      await turn();
    }
    say(`round ${k + 1}: local ${round(local[k]!.seconds)} s, network ${round(network[k]!.seconds)} s${restic[k] === undefined ? '' : `, restic ${restic[k]!.seconds} s`}`);
  }
  const rate = (seconds: readonly number[]): number => round(bytes / 1e6 / median(seconds), 1);
  const rates = { local: rate(local.map(({ seconds }) => seconds)), network: rate(network.map(({ seconds }) => seconds)), restic: restic.length === 0 ? null : rate(restic.map(({ seconds }) => seconds)) };
  const cpu = (of: readonly Stored[]): number => median(of.map(({ cpuSeconds, serving }) => cpuSeconds + (serving?.cpuSeconds ?? 0)));
  return {
    ratios: {
      network_vs_local: round(rates.network / rates.local, 3),
      network_cpu_vs_local: round(cpu(network) / cpu(local), 3),
      ...(rates.restic === null ? {} : { network_vs_restic_sftp: round(rates.network / rates.restic, 3) }),
    },
    figures: { scale: run.scale, bytes, dataSet, mbPerSecond: rates, transportIdleRssMiB: await idleTransport(bed), local, network, restic },
  };
}

/** The files of a real member with the data set, copied under a lock. */
export async function quiescedFiles(run: Run): Promise<{ copy: string; dataSet: object }> {
  const volume = run.stack.use(await openVolume(run.directory, 'volume', 20, run.say));
  await using set = await openReplicaSet({ members: 1, name: 'shop', directory: join(volume.directory, 'set'), oplogSizeMb: 2000, cacheGb: 1 });
  await using client = await set.client();
  run.say(`loads the data set at scale ${run.scale}`);
  const db = client.db('shop');
  await loadDataSet({ db, scale: run.scale, seed: run.seed });
  const copy = join(volume.directory, 'quiesced');
  await copyQuiesced(set.members[0]!, copy);
  return { copy, dataSet: await sizeOfDataSet(db) };
}

async function issue(run: Run): Promise<Bed['identities']> {
  const authority = await openAuthority(folder(run, 'authority'), systemClock, async () => {});
  const plain = ({ keyPem, certificatePem, caPem }: LinkIdentity & Issued): LinkIdentity => ({ keyPem, certificatePem, caPem });
  const node = plain(await authority.issue({ part: 'transport', name: 'node', hosts: [] }));
  const repository = plain(await authority.issue({ part: 'transport', name: 'repository', hosts: [] }));
  const repositoryFile = join(run.directory, 'repository.json');
  writeFileSync(repositoryFile, JSON.stringify(repository), { mode: 0o600 });
  return { node, repository, repositoryFile };
}

async function freshStore(run: Run): Promise<{ path: string; access: ArchiveAccess }> {
  const path = join(run.directory, 'store');
  rmSync(path, { recursive: true, force: true });
  const { key } = await makeArchive(await openDirectory(path, { create: true }), Buffer.alloc(32, 5), SET_ID, 'shop');
  return { path, access: { location: { kind: 'directory', path }, secret: null, setId: SET_ID, keyHex: Buffer.from(key).toString('hex') } };
}

async function storeLocally(bed: Bed): Promise<Stored> {
  const { access } = await freshStore(bed.run);
  return await storeFrom(bed, access);
}

async function storeOverNetwork(bed: Bed): Promise<Stored> {
  const { path, access } = await freshStore(bed.run);
  const ticket = randomBytes(32).toString('hex');
  const { address, enter } = bed.hosts.repository;
  // As a transport starts this task: agent/task-runner.ts.
  const child = start([...enter, process.execPath, '--max-semi-space-size=1', '--expose-gc', '--heap-growing-percent=300'], '../../src/main/mover.ts', { MALLOC_ARENA_MAX: '1', MALLOC_MMAP_THRESHOLD_: '131072', MALLOC_TRIM_THRESHOLD_: '131072' });
  try {
    const input = { location: { kind: 'directory', path }, setId: SET_ID, right: 'append', peer: 'node', ticket, listen: address };
    const place = folder(bed.run, 'serving');
    const ready = new Promise<number[]>((resolve, reject) => {
      child.on('message', (message: FromMover) => {
        if (message.kind === 'failed') reject(new Error(message.failure.message));
        if (message.kind === 'event' && message.event.kind === 'status') resolve((message.event.value as { ports: number[] }).ports);
      });
    });
    child.send({ kind: 'run', task: { taskId: 'serve', kind: 'serve-archive', input, directory: place, keepDirectory: place, programs: {}, identityFile: bed.identities.repositoryFile } });
    const ports = await withDeadline('the serving task', MINUTE_MS, async () => await ready);
    const done = await storeFrom(bed, { ...access, location: { kind: 'channel', host: address, name: 'repository', ports, ticket, limits: [] } });
    return { ...done, serving: costOfProcess(child.pid!) };
  } finally {
    child.kill('SIGKILL');
  }
}

async function storeFrom(bed: Bed, access: ArchiveAccess): Promise<NodeDone> {
  const child = start([...bed.hosts.node.enter, process.execPath], './network-node.ts');
  const job: NodeJob = { access, identity: bed.identities.node, files: bed.files };
  return await withDeadline('the node', HOUR_MS, async () => {
    const done = new Promise<NodeDone>((resolve, reject) => {
      child.once('message', (message) => resolve(message as NodeDone));
      child.once('close', (code) => reject(new Error(`the node ended with ${code}`)));
    });
    child.send(job);
    return await done;
  }).finally(() => child.kill('SIGKILL'));
}

function start(before: readonly string[], program: string, environment: NodeJS.ProcessEnv = {}): ChildProcess {
  const [command, ...args] = [...before, join(import.meta.dirname, program)];
  return spawn(command!, args, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'], env: { ...process.env, NODE_COMPILE_CACHE: '', ...environment } });
}

/** Of a process alone, so far. */
function costOfProcess(pid: number): { cpuSeconds: number; peakRssMiB: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return { cpuSeconds: round((Number(fields[11]) + Number(fields[12])) / 100), peakRssMiB: memoryOf(pid, 'VmHWM') };
}

function memoryOf(pid: number, what: 'VmHWM' | 'VmRSS'): number {
  return Math.round(Number(new RegExp(`${what}:\\s+(\\d+)`).exec(readFileSync(`/proc/${pid}/status`, 'latin1'))?.[1] ?? 0) / 1024);
}

/** Resident memory of a transport service that has nothing to do. */
async function idleTransport(bed: Bed): Promise<number> {
  const work = folder(bed.run, 'transport');
  const args = ['--identity', bed.identities.repositoryFile, '--work', work, '--listen', '127.0.0.1:0'];
  const child = spawn(process.execPath, [join(import.meta.dirname, '../../src/main/transport.ts'), ...args], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
  try {
    await withDeadline('the transport service', MINUTE_MS, async () => await new Promise((resolve) => child.once('message', resolve)));
    return memoryOf(child.pid!, 'VmRSS');
  } finally {
    child.kill('SIGTERM');
  }
}

/** restic in the one namespace, its repository behind an sshd in the other. */
async function openResticOverSftp(run: Run, hosts: TwoNamespaces): Promise<{ store(directory: string, k: number): Promise<Cost> } | undefined> {
  const [restic, sshd] = [findProgram('restic'), ['/usr/sbin/sshd', '/usr/bin/sshd'].find((path) => existsSync(path))];
  if (restic === undefined || sshd === undefined || findProgram('ssh') === undefined) {
    run.say('restic, ssh or sshd is not here: no comparison with restic over SFTP');
    return undefined;
  }
  const place = folder(run, 'ssh');
  for (const name of ['host', 'user']) await requireProgram('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', join(place, name)], { deadlineMs: MINUTE_MS });
  const config = join(place, 'sshd_config');
  const settings = [
    `ListenAddress ${hosts.repository.address}:2222`,
    `HostKey ${join(place, 'host')}`,
    `AuthorizedKeysFile ${join(place, 'user.pub')}`,
    `PidFile ${join(place, 'pid')}`,
    'PermitRootLogin prohibit-password',
    'StrictModes no',
    'UsePAM no',
    'Subsystem sftp internal-sftp',
  ];
  writeFileSync(config, `${settings.join('\n')}\n`);
  mkdirSync('/run/sshd', { recursive: true });
  const [command, ...args] = [...hosts.repository.enter, sshd, '-D', '-e', '-f', config];
  const server = spawn(command!, args, { stdio: 'ignore' });
  run.stack.defer(() => void server.kill('SIGTERM'));
  const ssh = `ssh -p 2222 -i ${join(place, 'user')} -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR root@${hosts.repository.address}`;
  await until('sshd', MINUTE_MS, async () => await requireProgram('sh', ['-c', `${hosts.node.enter.join(' ')} ${ssh} true`], { deadlineMs: 20_000 }).catch(() => undefined), { everyMs: 200 });
  return {
    async store(directory, k) {
      const repository = join(run.directory, `restic-${k}`);
      const options = ['--quiet', '--no-cache', '-r', `sftp:root@${hosts.repository.address}:${repository}`, '-o', `sftp.command=${ssh} -s sftp`];
      const [program, ...first] = [...hosts.node.enter, restic];
      const env = { RESTIC_PASSWORD: 'bench' };
      await timed(program!, [...first, ...options, 'init'], { env });
      const cost = costOf(await timed(program!, [...first, ...options, 'backup', '--host', 'bench', directory], { env }));
      rmSync(repository, { recursive: true, force: true });
      return cost;
    },
  };
}
