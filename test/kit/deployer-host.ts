/** A whole host with a deployer on it that came as a .deb, an authority that it trusts, and packages to give it. */
import { openAsBlob } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { until } from '../../src/base/deadline.ts';
import type { Caller } from '../../src/contract/link/caller.ts';
import { dialOrders } from '../../src/contract/link/dial.ts';
import { admitPart, type Part } from '../../src/contract/link/trust.ts';
import { sendPackage } from '../../src/contract/send-package.ts';
import { openAuthority } from '../../src/server/authority.ts';
import { openPackages, type BuiltPackage, type Packages } from './packages.ts';
import { openWholeHosts, type WholeHost } from './whole-host.ts';

export type DeployerHost = {
  readonly host: WholeHost;
  readonly packages: Packages;
  /** Writes an identity file that this scene's authority issued. */
  giveIdentity(part: Part, owner: string): Promise<void>;
  dial(part: Part, port: number): Promise<Caller>;
  withDeployer<T>(work: (deployer: Caller) => Promise<T>): Promise<T>;
  send(deployer: Caller, built: BuiltPackage): Promise<void>;
  /** What a transport says of itself over its own link. */
  transportVersion(port?: number): Promise<string>;
  /** What systemd-analyze thinks of a unit: 0 is best, 10 worst. */
  exposure(unit: string): Promise<number>;
  pidOf(unit: string): Promise<number>;
  [Symbol.asyncDispose](): Promise<void>;
};

export async function openDeployerHost(version: string): Promise<DeployerHost> {
  const place = await mkdtemp(join(tmpdir(), 'tidemark-deployer-host-'));
  const packages = await openPackages();
  const authority = await openAuthority(place, systemClock, async () => {});
  const server = await authority.issue({ part: 'server', name: 'server', hosts: [] });
  const deb = await packages.deb('tidemark-deployer', version);
  const wholeHosts = await openWholeHosts(1);
  const host = wholeHosts.hosts[0]!;
  const scene: DeployerHost = {
    host,
    packages,
    async giveIdentity(part, owner) {
      const { keyPem, certificatePem, caPem } = await authority.issue({ part, name: host.name, hosts: [host.address] });
      const path = `/var/lib/tidemark-${part}/identity.json`;
      host.write(path, JSON.stringify({ keyPem, certificatePem, caPem }), 0o600);
      await host.ok('chown', [owner, path]);
    },
    dial: async (part, port) =>
      await until(`the ${part} on port ${port}`, 40_000, async () => await dialOrders({ host: host.address, port, identity: server, version: 'test', admit: admitPart(part) }).catch(() => undefined), { everyMs: 300 }),
    async withDeployer(work) {
      const deployer = await scene.dial('deployer', 6160);
      try {
        return await work(deployer);
      } finally {
        deployer.close();
      }
    },
    async send(deployer, built) {
      const blob = await openAsBlob(built.file);
      await sendPackage(deployer, built.signed, async (from, length) => await blob.slice(from, from + length).bytes());
    },
    async transportVersion(port = 6162) {
      const transport = await scene.dial('transport', port);
      try {
        return (await transport.call('host.describe', {})).version;
      } finally {
        transport.close();
      }
    },
    exposure: async (unit) => Number(/level for \S+: ([\d.]+)/.exec((await host.run('systemd-analyze', ['security', '--no-pager', unit])).stdout)?.[1]),
    pidOf: async (unit) => Number((await host.ok('systemctl', ['show', '-P', 'MainPID', unit])).trim()),
    async [Symbol.asyncDispose]() {
      await wholeHosts[Symbol.asyncDispose]();
      await packages[Symbol.asyncDispose]();
      await rm(place, { recursive: true, force: true });
    },
  };
  try {
    host.write('/etc/tidemark/packages.pub', packages.key.publicKeyPem);
    host.copyIn(deb, '/root/deployer.deb');
    await host.ok('dpkg', ['-i', '/root/deployer.deb'], { deadlineMs: 60_000 });
    await scene.giveIdentity('deployer', 'root');
  } catch (error) {
    await scene[Symbol.asyncDispose]();
    throw error;
  }
  return scene;
}
