/**
 * OpenStack Swift with its s3api, a store that takes object lock and ignores it: a proxy and one server each for accounts, containers and objects, all
 * on the loopback address, in a folder of its own. Swift reads one file of a fixed path (/etc/swift/swift.conf); it gets its own in a
 * mount namespace.
 */
import { spawn, execFile, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CreateBucketCommand, S3Client } from '@aws-sdk/client-s3';
import { until } from '../../src/base/deadline.ts';
import type { S3Location } from '../../src/repository/storage/location.ts';
import { freePorts } from './free-port.ts';

const run = promisify(execFile);
const accessKeyId = 'test:tester';
const secret = 'testing';
const kinds = ['account', 'container', 'object'] as const;

export type SwiftStore = AsyncDisposable & { readonly secret: string; readonly client: S3Client; bucket(name: string): Promise<S3Location> };

export function whyNoSwift(): string | false {
  const missing = ['swift-proxy-server', 'swift-account-server', 'swift-container-server', 'swift-object-server', 'memcached'].filter((name) => !existsSync(`/usr/bin/${name}`));
  if (missing.length > 0) return `not on this machine: ${missing.join(', ')}`;
  return process.getuid?.() === 0 ? false : 'needs root, for a mount namespace';
}

export async function openSwiftStore(): Promise<SwiftStore> {
  const root = mkdtempSync(join(tmpdir(), 'tm-swift-'));
  for (const name of ['etc', 'node/d1', 'log']) mkdirSync(join(root, name), { recursive: true });
  const [proxy, cache, ...ports] = await freePorts(2 + kinds.length);
  const children: ChildProcess[] = [];
  const begin = (...words: string[]): void => {
    const log = openSync(join(root, 'log', 'out'), 'a');
    children.push(spawn('setpriv', ['--pdeathsig', 'KILL', '--', ...words], { stdio: ['ignore', log, log] }));
    closeSync(log);
  };
  const close = async (): Promise<void> => {
    for (const child of children) {
      const ended = child.exitCode !== null || child.signalCode !== null ? Promise.resolve() : new Promise((resolve) => child.once('exit', resolve));
      child.kill('SIGKILL');
      await ended;
    }
    rmSync(root, { recursive: true, force: true });
  };
  try {
    const etc = join(root, 'etc');
    writeFileSync(join(etc, 'swift.conf'), '[swift-hash]\nswift_hash_path_suffix = tidemark\nswift_hash_path_prefix = tidemark\n[storage-policy:0]\nname = one\ndefault = yes\n');
    for (const [at, kind] of kinds.entries()) {
      const builder = join(etc, `${kind}.builder`);
      await run('swift-ring-builder', [builder, 'create', '6', '1', '0']);
      await run('swift-ring-builder', [builder, 'add', `r1z1-127.0.0.1:${ports[at]}/d1`, '1']);
      // It warns with 1 that one device is no balance.
      await run('swift-ring-builder', [builder, 'rebalance']).catch(() => {});
      writeFileSync(join(etc, `${kind}.conf`), settings({ DEFAULT: [...common(root), `bind_port = ${ports[at]}`, `devices = ${root}/node`, 'mount_check = false', 'disable_fallocate = true'], 'pipeline:main': [`pipeline = ${kind}-server`], [`app:${kind}-server`]: [`use = egg:swift#${kind}`] }));
    }
    writeFileSync(join(etc, 'proxy.conf'), settings(proxySettings(root, proxy!, cache!)));
    begin('memcached', '-u', 'nobody', '-l', '127.0.0.1', '-p', String(cache), '-m', '32');
    for (const kind of [...kinds, 'proxy']) begin('unshare', '--mount', '--propagation', 'private', '--', 'sh', '-c', `mount --bind ${etc} /etc/swift && exec swift-${kind}-server ${etc}/${kind}.conf`);
    const endpoint = `http://127.0.0.1:${proxy}`;
    const client = new S3Client({ endpoint, region: 'us-east-1', forcePathStyle: true, credentials: { accessKeyId, secretAccessKey: secret }, maxAttempts: 1 });
    await until('the store to make a bucket', 90_000, async () => await client.send(new CreateBucketCommand({ Bucket: 'first' })).then(() => true, () => undefined), { everyMs: 250 }).catch((error: unknown) => {
      throw new Error(readFileSync(join(root, 'log', 'out'), 'utf8').slice(-3000), { cause: error });
    });
    return {
      secret,
      client,
      async bucket(name) {
        await client.send(new CreateBucketCommand({ Bucket: name }));
        return { kind: 's3', endpoint, bucket: name, prefix: '', region: 'us-east-1', style: 'path', accessKeyId, caPem: null, sse: null };
      },
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

function common(root: string): string[] {
  return ['bind_ip = 127.0.0.1', 'workers = 0', 'user = root', `swift_dir = ${root}/etc`];
}

function proxySettings(root: string, port: number, cache: number): Record<string, string[]> {
  const filter = (name: string, ...more: string[]): [string, string[]] => [`filter:${name}`, [`use = egg:swift#${name.replace('-', '_')}`, ...more]];
  return {
    DEFAULT: [...common(root), `bind_port = ${port}`],
    'pipeline:main': ['pipeline = catch_errors cache s3api bulk tempauth copy slo dlo versioned_writes symlink proxy-server'],
    'app:proxy-server': ['use = egg:swift#proxy', 'account_autocreate = true', 'allow_account_management = true'],
    ...Object.fromEntries([
      filter('catch_errors'),
      ['filter:cache', ['use = egg:swift#memcache', `memcache_servers = 127.0.0.1:${cache}`]],
      filter('s3api', 's3_acl = false', 'location = us-east-1'),
      filter('tempauth', 'user_test_tester = testing .admin'),
      ...['bulk', 'symlink', 'copy', 'slo', 'dlo'].map((name) => filter(name)),
      filter('versioned_writes', 'allow_object_versioning = true', 'allow_versioned_writes = true'),
    ]),
  };
}

function settings(sections: Readonly<Record<string, readonly string[]>>): string {
  return Object.entries(sections).map(([section, lines]) => `[${section}]\n${lines.join('\n')}\n`).join('');
}
