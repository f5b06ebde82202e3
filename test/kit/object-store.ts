/** A real S3 store for tests: Ceph's gateway on a monitor and one OSD in memory, all on the loopback address, in a folder of its own. */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, openSync, closeSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { until } from '../../src/base/deadline.ts';
import type { S3Location } from '../../src/repository/storage/location.ts';
import { freePorts } from './free-port.ts';
import type { TestMachine } from './namespaces.ts';

const run = promisify(execFile);

export type ObjectStore = AsyncDisposable & {
  readonly port: number;
  readonly secret: string;
  /** A client of its own, for what storage does not offer. */
  readonly client: S3Client;
  /** Makes a bucket and answers where it is; `port`: of a proxy in front of the store. */
  bucket(name: string, more?: Partial<S3Location> & { port?: number }): Promise<S3Location>;
  /** Makes one with object lock. */
  lockedBucket(name: string): Promise<S3Location>;
  at(bucket: string, more?: Partial<S3Location> & { port?: number }): S3Location;
  /** Of the gateway: what it keeps is in the OSD. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** The gateway's own counters since it was started. */
  counters(): Promise<Record<string, number>>;
  admin(...words: string[]): Promise<string>;
};

export function whyNoObjectStore(): string | undefined {
  const missing = ['radosgw', 'ceph-mon', 'ceph-osd', 'ceph'].filter((name) => !existsSync(`/usr/bin/${name}`));
  return missing.length === 0 ? undefined : `not on this machine: ${missing.join(', ')}`;
}

export const storeName = 's3.tidemark.test';
/** A key of the gateway's own key service. */
export const kmsKey = 'tidemark-key';
const accessKeyId = 'AKTIDEMARK';
const secret = 'a-secret-of-the-tests';

/** `machine`: all of it runs there, and the gateway answers on its address. */
export async function openObjectStore(options: { memoryBytes?: number; machine?: Pick<TestMachine, 'namespace' | 'address'>; /** It answers to `storeName` and to bucket names in front of it, and takes any other name for a bucket's own. */ isNamed?: boolean } = {}): Promise<ObjectStore> {
  const address = options.machine?.address ?? '127.0.0.1';
  const there = options.machine === undefined ? [] : ['ip', 'netns', 'exec', options.machine.namespace];
  const root = mkdtempSync(join(tmpdir(), 'tm-ceph-'));
  const [v2, v1, port] = await freePorts(3);
  for (const name of ['mon', 'osd', 'rgw', 'run', 'log']) mkdirSync(join(root, name));
  const conf = join(root, 'ceph.conf');
  const fsid = randomUUID();
  const monitor = `[v2:127.0.0.1:${v2},v1:127.0.0.1:${v1}]`;
  writeFileSync(conf, configuration(root, fsid, monitor, `${address}:${port}`, options.memoryBytes ?? 4 * 2 ** 30, options.isNamed === true));
  const children = new Set<ChildProcess>();
  const stop = async (child: ChildProcess): Promise<void> => {
    children.delete(child);
    if (child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGKILL');
    await ended;
  };
  const close = async (): Promise<void> => {
    await Promise.all([...children].map(stop));
    rmSync(root, { recursive: true, force: true });
  };
  const begin = (program: string, ...words: string[]): ChildProcess => {
    const log = openSync(join(root, 'log', `${program}.out`), 'a');
    const child = spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...there, `/usr/bin/${program}`, '-c', conf, '-f', ...words], { stdio: ['ignore', log, log] });
    closeSync(log);
    children.add(child);
    return child;
  };
  const ask = async (program: string, ...words: string[]): Promise<string> => (await run(there[0] ?? program, [...there.slice(1), ...(there.length > 0 ? [program] : []), ...words], { env: { ...process.env, CEPH_CONF: conf }, timeout: 60_000 })).stdout;

  try {
    await startCluster({ root, fsid, monitor, begin, ask });
    let gateway = begin('radosgw', '-n', 'client.rgw', '--rgw-zone=default');
    const answers = async (): Promise<void> => {
      await until('the object store', 120_000, async () => {
        if (gateway.exitCode !== null || gateway.signalCode !== null) throw new Error(`radosgw ended with ${gateway.exitCode ?? gateway.signalCode}: ${readFileSync(join(root, 'log', 'radosgw.out'), 'utf8').slice(-2000)}`);
        return await fetch(`http://${address}:${port}/`).then((answer) => answer.status, () => undefined);
      });
    };
    await Promise.all([answers(), ask('radosgw-admin', 'user', 'create', '--uid=test', '--display-name=test', `--access-key=${accessKeyId}`, `--secret-key=${secret}`)]);
    const at: ObjectStore['at'] = (bucket, { port: through, ...more } = {}) => ({ kind: 's3', endpoint: `http://${through === undefined ? address : '127.0.0.1'}:${through ?? port}`, bucket, prefix: '', region: 'us-east-1', style: 'path', accessKeyId, caPem: null, sse: null, ...more });
    const client = new S3Client({ endpoint: `http://${address}:${port}`, region: 'us-east-1', forcePathStyle: true, credentials: { accessKeyId, secretAccessKey: secret } });
    return {
      port: port!,
      secret,
      client,
      at,
      async bucket(name, more) {
        await client.send(new CreateBucketCommand({ Bucket: name }));
        return at(name, more);
      },
      async lockedBucket(name) {
        await client.send(new CreateBucketCommand({ Bucket: name, ObjectLockEnabledForBucket: true }));
        return at(name);
      },
      kill: async () => await stop(gateway),
      async start() {
        gateway = begin('radosgw', '-n', 'client.rgw', '--rgw-zone=default');
        await answers();
      },
      async counters() {
        const said = JSON.parse(await ask('ceph', '--admin-daemon', join(root, 'run', 'client.rgw.asok'), 'perf', 'dump')) as { rgw?: Record<string, number> };
        return said.rgw ?? {};
      },
      admin: async (...words) => await ask('radosgw-admin', ...words),
      async [Symbol.asyncDispose]() {
        client.destroy();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

type Cluster = { readonly root: string; readonly fsid: string; readonly monitor: string; begin(program: string, ...words: string[]): ChildProcess; ask(program: string, ...words: string[]): Promise<string> };

async function startCluster({ root, fsid, monitor, begin, ask }: Cluster): Promise<void> {
  const keyring = join(root, 'keyring');
  await ask('ceph-authtool', '-C', keyring, '--gen-key', '-n', 'mon.', '--cap', 'mon', 'allow *');
  await ask('ceph-authtool', keyring, '--gen-key', '-n', 'client.admin', '--cap', 'mon', 'allow *', '--cap', 'osd', 'allow *', '--cap', 'mgr', 'allow *');
  await ask('ceph-authtool', keyring, '--gen-key', '-n', 'client.rgw', '--cap', 'mon', 'allow rwx', '--cap', 'osd', 'allow rwx');
  await ask('monmaptool', '--create', '--addv', 'a', monitor, '--fsid', fsid, join(root, 'monmap'));
  await ask('ceph-mon', '--mkfs', '-i', 'a', '--monmap', join(root, 'monmap'), '--keyring', keyring);
  begin('ceph-mon', '-i', 'a');
  const osd = randomUUID();
  await until('the monitor', 60_000, async () => await ask('ceph', '--connect-timeout', '10', 'osd', 'new', osd).then(() => true, () => undefined));
  await ask('ceph', 'auth', 'get-or-create', 'osd.0', 'mon', 'allow profile osd', 'mgr', 'allow profile osd', 'osd', 'allow *', '-o', join(root, 'osd/keyring'));
  await ask('ceph-osd', '-i', '0', '--mkfs', '--osd-uuid', osd);
  const store = begin('ceph-osd', '-i', '0');
  await until('the OSD', 60_000, async () => {
    if (store.exitCode !== null || store.signalCode !== null) throw new Error(`ceph-osd ended with ${store.exitCode ?? store.signalCode}: ${readFileSync(join(root, 'log', 'ceph-osd.out'), 'utf8').slice(-2000)}`);
    return (await ask('ceph', 'osd', 'stat')).includes('1 up') ? true : undefined;
  });
}

function configuration(root: string, fsid: string, monitor: string, endpoint: string, memoryBytes: number, isNamed: boolean): string {
  const lines: Record<string, string[]> = {
    global: [
      `fsid = ${fsid}`,
      `mon host = ${monitor}`,
      'public addr = 127.0.0.1',
      'cluster addr = 127.0.0.1',
      'auth cluster required = cephx',
      'auth service required = cephx',
      'auth client required = cephx',
      `keyring = ${root}/keyring`,
      `run dir = ${root}/run`,
      `log file = ${root}/log/$name.log`,
      `admin socket = ${root}/run/$name.asok`,
      `crash dir = ${root}/run`,
      'osd pool default size = 1',
      'osd pool default min size = 1',
      'osd pool default pg num = 1',
      'osd pool default pg autoscale mode = off',
      'mon allow pool size one = true',
      'osd crush chooseleaf type = 0',
      'mon max pg per osd = 1000',
      'ms bind ipv6 = false',
      'mon data avail warn = 1',
      'mon data avail crit = 1',
    ],
    mon: [`mon data = ${root}/mon`, 'mon warn on insecure global id reclaim allowed = false'],
    osd: [`osd data = ${root}/osd`, `keyring = ${root}/osd/keyring`, 'osd objectstore = memstore', `memstore device bytes = ${memoryBytes}`, 'osd max object name len = 256', 'osd max object namespace len = 64'],
    client: [`rgw frontends = beast endpoint=${endpoint}`, ...(isNamed ? [`rgw dns name = ${storeName}`] : []), `rgw data = ${root}/rgw`, 'rgw enable usage log = false', 'rgw lc debug interval = 10', 'rgw crypt require ssl = false', 'rgw crypt s3 kms backend = testing', `rgw crypt s3 kms encryption keys = ${kmsKey}=${randomBytes(32).toString('base64')}`, 'rgw bucket quota ttl = 0'],
  };
  return Object.entries(lines).map(([section, settings]) => `[${section}]\n${settings.join('\n')}\n`).join('');
}
