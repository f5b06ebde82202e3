/** A deployer service without a host: it answers as the real one does, its transport is a fake one, and packages are names. */
import { join } from 'node:path';
import { joinServer } from '../../src/agent/join.ts';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import type { DeployerHandlers } from '../../src/contract/link/answerer.ts';
import { awaitIdentity } from '../../src/contract/link/identity-file.ts';
import { openOrderServer, type LinkListener } from '../../src/contract/link/listen.ts';
import { contractVersion, type DeployerOrder, type OrderInput } from '../../src/contract/orders.ts';
import type { PackageManifest, SignedManifest } from '../../src/contract/packages.ts';
import type { HostKit } from '../../src/contract/routes/hosts.ts';
import { failWith, openFakeTransport, type FakeTransport } from './fake-transport.ts';

export type FakeDeployer = AsyncDisposable & {
  readonly version: string;
  readonly transport: FakeTransport | undefined;
  /** Orders that change something, as they came; one that was refused because another was at work is not among them. */
  readonly begun: readonly DeployerOrder[];
  isBusy(): boolean;
  /** It has removed itself. */
  readonly isGone: boolean;
};

export type FakeDeployerOptions = {
  kit: HostKit;
  address: string;
  /** For its identity and that of the transport. */
  directory: string;
  version: string;
  /** Asked before an order is carried out: a test holds it there, or has it fail. */
  before: (order: DeployerOrder) => Promise<void>;
  onTransport: (transport: FakeTransport) => void;
};

export async function openFakeDeployer(options: FakeDeployerOptions): Promise<FakeDeployer> {
  const { address: host, directory } = options;
  const files = { deployer: join(directory, `${host}.deployer.json`), transport: join(directory, `${host}.transport.json`) };
  const begun: DeployerOrder[] = [];
  const bytes = new Map<string, number>();
  let [port, controlPort] = [6160, options.kit.listen.port];
  let { version } = options;
  let transport: { version: string; service: FakeTransport } | undefined;
  let busy: string | null = null;
  let isGone = false;

  await joinServer(options.kit, 'deployer', files.deployer, version);

  /** As the real one: a caller that goes away changes nothing about a change that was begun. */
  async function alone<T>(order: DeployerOrder, work: () => Promise<T>): Promise<T> {
    if (busy !== null) throw failWith('agent.deployer-busy', `the deployer is busy: ${busy}`);
    busy = order;
    try {
      begun.push(order);
      await options.before(order);
      return await work();
    } finally {
      busy = null;
    }
  }

  async function startTransport(runs: string): Promise<void> {
    await transport?.service.close();
    transport = { version: runs, service: await openFakeTransport({ identityFile: files.transport, host, port: controlPort, version: runs }) };
    options.onTransport(transport.service);
  }

  async function stopTransport(): Promise<void> {
    await transport?.service.close();
    transport = undefined;
  }

  async function configure({ name, service }: OrderInput<'deployer.configure'>): Promise<void> {
    const { port: wanted } = (service.settings['listen'] ?? {}) as { port?: number };
    if (name === 'tidemark-deployer') {
      return restartSoon(() => (port = wanted ?? port));
    }
    controlPort = wanted ?? controlPort;
    if (service.kit !== undefined) await joinServer(service.kit, 'transport', files.transport, transport!.version);
    await startTransport(transport!.version);
  }

  const changed = ({ name, version: to }: PackageManifest, from: string | null) => ({ name, version: to, before: from });
  const handlers: DeployerHandlers = {
    'deployer.describe': async () => ({
      version,
      contract: contractVersion,
      hostname: host,
      platform: 'linux-x64',
      timeMs: systemClock.now(),
      packages: [
        { name: 'tidemark-deployer', version, kept: [version], service: 'active' },
        { name: 'tidemark-transport', version: transport?.version ?? null, kept: [], service: transport === undefined ? 'inactive' : 'active' },
      ],
      busy,
      last: null,
    }),
    'deployer.servers': async () => ({}),
    'deployer.offer': async ({ package: signed }) => ({ have: bytes.get(manifestOf(signed).sha256) ?? 0 }),
    'deployer.piece': async ({ sha256, offset, base64 }) => {
      bytes.set(sha256, offset + Buffer.from(base64, 'base64').length);
      return { have: bytes.get(sha256)! };
    },
    'deployer.install': async ({ package: signed, service }) =>
      await alone('deployer.install', async () => {
        const manifest = manifestOf(signed);
        demandBytes(manifest, bytes);
        if (service?.kit !== undefined) await joinServer(service.kit, 'transport', files.transport, manifest.version);
        await startTransport(manifest.version);
        return changed(manifest, null);
      }),
    'deployer.update': async ({ package: signed }) =>
      await alone('deployer.update', async () => {
        const manifest = manifestOf(signed);
        demandBytes(manifest, bytes);
        const from = manifest.name === 'tidemark-deployer' ? version : transport!.version;
        if (manifest.name === 'tidemark-transport') await startTransport(manifest.version);
        else restartSoon(() => (version = manifest.version));
        return changed(manifest, from);
      }),
    'deployer.configure': async (input) =>
      await alone('deployer.configure', async () => {
        await configure(input);
        return {};
      }),
    'deployer.remove': async () =>
      await alone('deployer.remove', async () => {
        if (transport === undefined) throw failWith('agent.package-not-installed', 'tidemark-transport is not installed on this host');
        await stopTransport();
        return {};
      }),
    'deployer.uninstall-all': async () =>
      await alone('deployer.uninstall-all', async () => {
        await stopTransport();
        restartSoon(() => (isGone = true));
        return {};
      }),
  };

  const listen = async (): Promise<LinkListener> =>
    await openOrderServer({ host, port, identity: await awaitIdentity(files.deployer, 30_000), handlers, version, log: silentLog, admit: ({ part }) => (part === 'server' || part === 'depot' ? undefined : `a ${part} has no business here`) });
  let listener = await listen();
  /** The answer gets away first; who is gone does not come back. */
  function restartSoon(change: () => void): void {
    void systemClock.wait(30).then(async () => {
      await listener.close();
      change();
      if (!isGone) listener = await listen();
    });
  }

  return {
    get version() {
      return version;
    },
    get transport() {
      return transport?.service;
    },
    begun,
    isBusy: () => busy !== null,
    get isGone() {
      return isGone;
    },
    async [Symbol.asyncDispose]() {
      await stopTransport();
      await listener.close();
    },
  };
}

const manifestOf = (signed: SignedManifest): PackageManifest => JSON.parse(signed.manifest) as PackageManifest;

function demandBytes(manifest: PackageManifest, bytes: ReadonlyMap<string, number>): void {
  if (bytes.get(manifest.sha256) !== manifest.bytes) throw failWith('agent.package-incomplete', `${manifest.name} ${manifest.version} was not brought`);
}
