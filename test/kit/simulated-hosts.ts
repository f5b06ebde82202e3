/**
 * Hosts for a server in a test, as real as the server can tell: each is reached "over SSH" by a script of the test, and a
 * first contact leaves a deployer there that redeems its kit and takes orders on an address of its own.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../../src/base/deadline.ts';
import type { FoundMongod } from '../../src/contract/host-look.ts';
import type { DeployerOrder } from '../../src/contract/orders.ts';
import { hostKit, type HostKit } from '../../src/contract/routes/hosts.ts';
import type { ContactPoint, HostContact } from '../../src/server/host-contact.ts';
import { openFakeDeployer, type FakeDeployer } from './fake-deployer.ts';
import { machineLook } from './fake-set.ts';

export type SimulatedHost = {
  readonly address: string;
  /** What it does when it is reached over SSH; a failure to throw, or nothing for a look. */
  ssh: (at: ContactPoint, signal: AbortSignal | undefined) => Promise<void>;
  mongods: FoundMongod[];
  /** Asked before its deployer carries out an order. */
  before: (order: DeployerOrder) => Promise<void>;
  /** Once it was brought. */
  deployer: FakeDeployer | undefined;
  /** How often it was reached over SSH: for a look, and for a first contact. */
  readonly contacts: { looks: number; deployments: number };
};

export type SimulatedHosts = AsyncDisposable & {
  readonly contact: HostContact;
  readonly hosts: readonly SimulatedHost[];
  /** As an installer does that somebody runs there. */
  install(host: SimulatedHost, kit: HostKit): Promise<void>;
  /** The most that were reached over SSH at one moment. */
  readonly mostAtOnce: () => number;
};

export function openSimulatedHosts(count: number): SimulatedHosts {
  const directory = mkdtempSync(join(tmpdir(), 'tm-simulated-'));
  // Not 127.0.0.1, which is the server's own; other test files have other addresses.
  const net = `127.${10 + (process.pid % 200)}.${Math.floor(process.pid / 200) % 250}`;
  const hosts: SimulatedHost[] = Array.from({ length: count }, (_, at) => ({ address: `${net}.${at + 1}`, ssh: async () => await Promise.resolve(), before: async () => await Promise.resolve(), mongods: [], deployer: undefined, contacts: { looks: 0, deployments: 0 } }));
  let now = 0;
  let most = 0;
  const at = (address: string): SimulatedHost => {
    const host = hosts.find((one) => one.address === address);
    if (host === undefined) throw new Error(`nobody is simulated at ${address}`);
    return host;
  };
  const install = async (host: SimulatedHost, kit: HostKit, version = '9.9.8'): Promise<void> => {
    await host.deployer?.[Symbol.asyncDispose]();
    const onTransport: Parameters<typeof openFakeDeployer>[0]['onTransport'] = (transport) => void (transport.look = machineLook(host.address, host.mongods));
    host.deployer = await openFakeDeployer({ kit, address: host.address, directory, version, before: async (order) => await host.before(order), onTransport });
  };
  const contact: HostContact = {
    deployWindows: async ({ name }) => await Promise.reject(new Error(`${name} is not one of Windows`)),
    async look(point, signal) {
      const host = at(point.address);
      host.contacts.looks++;
      most = Math.max(most, ++now);
      try {
        await host.ssh(point, signal);
        return machineLook(point.name, host.mongods);
      } finally {
        now--;
      }
    },
    async deploy(point, { packageFor, kit, healthy, say, signal }) {
      const host = at(point.address);
      host.contacts.deployments++;
      const look = machineLook(point.name, host.mongods);
      const { file } = await packageFor('linux-x64', look);
      say('install', 'as the test does');
      await install(host, hostKit.parse(JSON.parse(kit.content)), /-(\d[\d.]*)-linux/.exec(file)![1]);
      await until('the deployer to answer', 20_000, async () => ((await healthy(signal ?? new AbortController().signal)) === true ? true : undefined));
      return { look, platform: 'linux-x64', hostKey: { type: 'ssh-ed25519', fingerprint: 'SHA256:simulated' } };
    },
  };
  return {
    contact,
    hosts,
    install,
    mostAtOnce: () => most,
    async [Symbol.asyncDispose]() {
      for (const host of hosts) await host.deployer?.[Symbol.asyncDispose]();
      rmSync(directory, { recursive: true, force: true });
    },
  };
}

export function foundMongod(port: number, replicaSet = 'rs0'): FoundMongod {
  return {
    pid: 100 + port, uid: 100, binary: '/usr/bin/mongod', version: '6.0.5', dbPath: `/srv/${port}`, port, listening: [{ address: '0.0.0.0', port }], bindIp: ['*'], replicaSet,
    clusterRole: null, storageEngine: 'wiredTiger', directoryPerDb: false, encryptedAtRest: false, tls: 'disabled', keyFile: null, configFile: null, journalPath: null, journalElsewhere: false,
    logPath: null, fileSystem: null, inContainer: false, notes: [],
  };
}
