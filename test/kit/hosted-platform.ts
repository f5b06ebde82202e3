/**
 * The product over whole hosts: the server in the network of a host of its own (`tide`), the transport service from its
 * package on every other one, enrolled with a kit, and a replica set whose members run as units on the hosts that are named.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { MongoClient, type Document } from 'mongodb';
import { until } from '../../src/base/deadline.ts';
import { findMongod } from './mongod.ts';
import type { TestMachine } from './namespaces.ts';
import { openPackages } from './packages.ts';
import { openPlatform, type Platform } from './platform.ts';
import { openWholeHosts, whyNoWholeHosts, type WholeHost } from './whole-host.ts';

export { whyNoWholeHosts };

export type HostedSet = AsyncDisposable & { readonly client: MongoClient; readonly uri: string; readonly members: readonly string[] };

export type HostedPlatform = AsyncDisposable & {
  readonly platform: Platform;
  /** The machine of the server: a network of its own, and this machine's files. */
  readonly tide: WholeHost;
  /** Machines beside them that nothing of ours runs on. */
  readonly beside: Readonly<Record<string, TestMachine>>;
  /** By the names that the product knows them by. */
  readonly hosts: Readonly<Record<string, WholeHost>>;
  readonly directory: string;
  connected(name: string): Promise<void>;
  /** A set with a member on each of these hosts, on the usual port. `flags` go to each mongod. */
  startSet(names: readonly string[], options?: { flags?: readonly string[]; name?: string }): Promise<HostedSet>;
  /** A repository on the host, called as the host. */
  addRepository(name: string): Promise<void>;
};

export const mongodPort = 27017;
const state = '/var/lib/tidemark-transport';
export const repositoryOn = `${state}/repository`;

export type HostedOptions = {
  readonly sizeMb?: number;
  readonly restores?: readonly string[];
  /** The server gives up after seconds what is away. */
  readonly isHasty?: boolean;
  readonly beside?: readonly string[];
  /** Which of those beside answers for names; the hosts and the server ask it, and the hosts are known by theirs in this zone. It is there before they are. */
  readonly names?: { readonly server: string; readonly zone: string; serve(beside: Readonly<Record<string, TestMachine>>, addresses: Readonly<Record<string, string>>): Promise<void> };
};

export async function openHostedPlatform(names: readonly string[], options: HostedOptions = {}): Promise<HostedPlatform> {
  await using stack = new AsyncDisposableStack();
  const directory = mkdtempSync(join(tmpdir(), 'tm-hosted-'));
  stack.defer(() => rmSync(directory, { recursive: true, force: true }));
  const packages = stack.use(await openPackages());
  const deb = await packages.deb('tidemark-transport', '1.0.0');
  const whole = stack.use(await openWholeHosts(names.length + 1, { units: ['mongod.service'], sizeMb: options.sizeMb, beside: options.beside }));
  const [tide, ...others] = whole.hosts as [WholeHost, ...WholeHost[]];
  const hosts = Object.fromEntries(names.map((name, k) => [name, others[k]!]));
  const beside = Object.fromEntries(whole.beside.map((machine) => [machine.name, machine]));
  if (options.names !== undefined) await askFor(options.names, beside, { tide, ...hosts });
  // The second has the names of its namespace, and mounts of its own.
  const inside = options.names === undefined ? (['nsenter', '-t', String(tide.pid()), '--net'] as const) : (['ip', 'netns', 'exec', tide.namespace] as const);
  const node = [...inside, process.execPath] as const;
  const program = new URL(options.isHasty === true ? './hasty-tidemark.ts' : '../../src/main/tidemark.ts', import.meta.url).pathname;
  const platform = stack.use(await openPlatform({ command: [...node, program], keptIn: node, args: ['--hosts', tide.address, ...(options.names === undefined ? [] : ['--dns', beside[options.names.server]!.address])] }));
  const mongod = (await findMongod()).path;
  const connected = async (name: string): Promise<void> => {
    await until(`host ${name} to be connected`, 90_000, async () => {
      const { hosts: known } = (await platform.ok('node', 'list')) as { hosts: { name: string; link: string }[] };
      return known.find((host) => host.name === name)?.link === 'connected' ? true : undefined;
    }, { everyMs: 300 }).catch(async (error: Error) => {
      const { stdout } = await hosts[name]!.run('journalctl', ['-u', 'tidemark-transport', '-n', '8', '-o', 'cat']);
      throw new Error(`${error.message}; its service said: ${stdout}; ${JSON.stringify(await platform.ok('node', 'list'))}`, { cause: error });
    });
  };
  const enrol = async ([name, host]: [string, WholeHost]): Promise<void> => {
    host.copyIn(mongod, '/usr/bin/mongod');
    host.copyIn(deb, '/root/transport.deb');
    await host.ok('useradd', ['--system', '--no-create-home', 'mongod']);
    await host.ok('dpkg', ['-i', '/root/transport.deb'], { deadlineMs: 60_000 });
    if (options.restores?.includes(name) === true) await allowRestores(host);
    const kit = join(directory, `${name}.kit`);
    await platform.ok('node', 'add', name, options.names === undefined ? host.address : `${name}.${options.names.zone}`, '--kit', kit);
    // In one step: the service is there already and may take it at once.
    host.copyIn(kit, '/root/kit.json');
    await host.ok('chown', ['tidemark:tidemark', '/root/kit.json']);
    await host.ok('mv', ['/root/kit.json', `${state}/kit.json`]);
    await host.ok('systemctl', ['restart', 'tidemark-transport']);
    await connected(name);
  };
  await Promise.all(Object.entries(hosts).map(enrol));
  const owned = stack.move();
  return {
    platform,
    tide,
    beside,
    hosts,
    directory,
    connected,
    startSet: async (on, more) => await startSet(on.map((name) => hosts[name]!), more),
    async addRepository(name) {
      const passphrase = join(directory, 'passphrase');
      writeFileSync(passphrase, 'a passphrase for the vault\n', { mode: 0o600 });
      await platform.ok('repository', 'add', name, repositoryOn, '--node', name, '--passphrase-file', passphrase);
    },
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  };
}

async function askFor({ server, zone, serve }: NonNullable<HostedOptions['names']>, beside: Readonly<Record<string, TestMachine>>, hosts: Readonly<Record<string, WholeHost>>): Promise<void> {
  const machine = beside[server]!;
  await serve(beside, Object.fromEntries([...Object.entries(beside), ...Object.entries(hosts)].map(([name, { address }]) => [`${name}.${zone}`, address])));
  const asked = `nameserver ${machine.address}\nsearch ${zone}\noptions timeout:1 attempts:1\n`;
  for (const host of Object.values(hosts)) {
    // It may be a link to a file of this machine.
    await host.ok('rm', ['-f', '/etc/resolv.conf']);
    host.write('/etc/resolv.conf', asked);
  }
  const own = join('/etc/netns', hosts['tide']!.namespace);
  mkdirSync(own, { recursive: true });
  writeFileSync(join(own, 'resolv.conf'), asked);
}

/** As the deployer's right `restore` does. */
async function allowRestores(host: WholeHost): Promise<void> {
  host.copyIn(new URL('../../packaging/tidemark-transport/restore.conf', import.meta.url).pathname, '/etc/systemd/system/tidemark-transport.service.d/restore.conf');
  await host.ok('systemctl', ['daemon-reload']);
}

async function startSet(hosts: readonly WholeHost[], { flags = [], name = 'rs0' }: { flags?: readonly string[]; name?: string } = {}): Promise<HostedSet> {
  const members = hosts.map((host) => `${host.address}:${mongodPort}`);
  for (const host of hosts) {
    await host.ok('install', ['-d', '-o', 'mongod', '-m', '700', '/srv/mongod']);
    await startMember(host, name, flags);
  }
  const first = await until('mongod', 30_000, async () => await MongoClient.connect(`mongodb://${members[0]}/?directConnection=true`, { serverSelectionTimeoutMS: 1_000 }).catch(() => undefined));
  await initiate(first, name, members);
  await first.close();
  const uri = `mongodb://${members.join(',')}/?replicaSet=${name}`;
  const client = await MongoClient.connect(uri, { serverSelectionTimeoutMS: 30_000 });
  return { client, uri, members, [Symbol.asyncDispose]: async () => await client.close() };
}

/** (Again) with these flags; it comes up with the host as well. */
export async function startMember(host: WholeHost, name: string, flags: readonly string[]): Promise<void> {
  const command = ['/usr/bin/mongod', '--dbpath', '/srv/mongod', '--port', String(mongodPort), '--bind_ip_all', '--replSet', name, '--wiredTigerCacheSizeGB', '0.25', '--setParameter', 'diagnosticDataCollectionEnabled=false', '--setParameter', 'shutdownTimeoutMillisForSignaledShutdown=100', ...flags];
  host.write('/etc/systemd/system/mongod.service', `[Unit]\nDescription=mongod\n[Service]\nUser=mongod\nExecStart=${command.join(' ')}\nRestart=on-failure\n`);
  await host.ok('systemctl', ['daemon-reload']);
  await host.ok('systemctl', ['restart', 'mongod']);
}

async function initiate(first: MongoClient, name: string, members: readonly string[]): Promise<void> {
  const admin = first.db('admin');
  const configured = members.map((host, k) => ({ _id: k, host, priority: k === 0 ? 2 : 1 }));
  // The other members may not listen yet.
  await until('the set to be made', 30_000, async () => await admin.command({ replSetInitiate: { _id: name, members: configured, settings: { electionTimeoutMillis: 2_000, heartbeatIntervalMillis: 500 } } }).catch(() => undefined), { everyMs: 300 });
  await until('every member to be up', 60_000, async () => {
    const { members: now } = (await admin.command({ replSetGetStatus: 1 })) as Document as { members: { stateStr: string }[] };
    return now.every(({ stateStr }) => stateStr === 'PRIMARY' || stateStr === 'SECONDARY') && now.some(({ stateStr }) => stateStr === 'PRIMARY') ? true : undefined;
  }, { everyMs: 200 });
}
