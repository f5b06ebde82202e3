/**
 * Hosts for a server in a test, as real as the server can tell: each is reached "over SSH" by a script of the test, and a
 * deployment redeems the kit it was given and listens with its certificate on an address of its own.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { until } from '../../src/base/deadline.ts';
import { joinServer } from '../../src/agent/join.ts';
import type { FoundMongod } from '../../src/contract/host-look.ts';
import { hostKit } from '../../src/contract/routes/hosts.ts';
import type { ContactPoint, HostContact } from '../../src/server/host-contact.ts';
import { openFakeTransport, machineLook, type FakeTransport } from './fake-transport.ts';

export type SimulatedHost = {
  readonly address: string;
  /** What it does when it is reached over SSH; a failure to throw, or nothing for a look. */
  ssh: (at: ContactPoint, signal: AbortSignal | undefined) => Promise<void>;
  mongods: FoundMongod[];
  /** Its service, once it was deployed. */
  service: FakeTransport | undefined;
  /** How often it was reached over SSH, and deployed to. */
  readonly contacts: { looks: number; deployments: number };
};

export type SimulatedHosts = AsyncDisposable & {
  readonly contact: HostContact;
  readonly hosts: readonly SimulatedHost[];
  /** The most that were reached over SSH at one moment. */
  readonly mostAtOnce: () => number;
};

export function openSimulatedHosts(count: number): SimulatedHosts {
  const directory = mkdtempSync(join(tmpdir(), 'tm-simulated-'));
  // Not 127.0.0.1, which is the server's own; other test files have other addresses.
  const net = `127.${10 + (process.pid % 200)}.${Math.floor(process.pid / 200) % 250}`;
  const hosts: SimulatedHost[] = Array.from({ length: count }, (_, at) => ({ address: `${net}.${at + 1}`, ssh: async () => await Promise.resolve(), mongods: [], service: undefined, contacts: { looks: 0, deployments: 0 } }));
  let now = 0;
  let most = 0;
  const at = (address: string): SimulatedHost => {
    const host = hosts.find((one) => one.address === address);
    if (host === undefined) throw new Error(`nobody is simulated at ${address}`);
    return host;
  };
  const contact: HostContact = {
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
    async deploy(point, { kit, healthy, say, signal }) {
      const host = at(point.address);
      host.contacts.deployments++;
      say('install', 'as the test does');
      if (kit === undefined) throw new Error('this test updates nothing');
      const identityFile = join(directory, `${point.address}.json`);
      const known = hostKit.parse(JSON.parse(kit.content));
      await joinServer(known, 'transport', identityFile, '9.9.9');
      await host.service?.close();
      host.service = await openFakeTransport({ identityFile, port: known.listen.port, host: point.address, version: '9.9.8' });
      host.service.look = machineLook(point.name, host.mongods);
      await until('the services to answer', 20_000, async () => ((await healthy(signal ?? new AbortController().signal)) === true ? true : undefined));
      return { look: host.service.look, platform: 'linux-x64', hostKey: { type: 'ssh-ed25519', fingerprint: 'SHA256:simulated' } };
    },
  };
  return {
    contact,
    hosts,
    mostAtOnce: () => most,
    async [Symbol.asyncDispose]() {
      for (const host of hosts) await host.service?.close();
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
