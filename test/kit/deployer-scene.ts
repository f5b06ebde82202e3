/**
 * A deployer on scratch directories, with services that are files: which version "runs" is what `running.json` says. Real
 * enough for the order of writes; what systemd does with it is shown on whole hosts.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openDeployer, type Deployer } from '../../src/agent/deployer.ts';
import type { Step } from '../../src/agent/deployer/change-version.ts';
import type { HostSystem } from '../../src/agent/deployer/host-system.ts';
import type { ServiceControl } from '../../src/agent/deployer/service-control.ts';
import { openVersions } from '../../src/agent/deployer/versions.ts';
import { systemClock, type Clock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import type { OrderCall } from '../../src/contract/link/answerer.ts';
import { orders, type DeployerOrder, type OrderGiven, type OrderOutput } from '../../src/contract/orders.ts';
import type { PackageManifest, SignedManifest } from '../../src/contract/packages.ts';
import { openSigningKey, type SigningKey } from '../../src/depot/signing-key.ts';

export const ownVersion = '1.0.0';
const platform = `${process.platform}-${process.arch}` as PackageManifest['platform'];

/** Services that are files are up at once: a tenth of each wait is enough for them. */
const hasty: Clock = { ...systemClock, wait: async (ms, signal) => await systemClock.wait(ms / 10, signal) };

type Running = { version: string | null; pid: number; tasks: { taskId: string; kind: string }[]; draining?: boolean };

type Hands = Pick<HostSystem, 'versions' | 'control'>;

export type Scene = {
  readonly directory: string;
  readonly key: SigningKey;
  running(): Running;
  setRunning(running: Partial<Running>): void;
  /** The version that `current` leads to. */
  current(): string | undefined;
  settings(): string | undefined;
  isBegun(): boolean;
  /** `otherwise`: what of the host does something else than usual. */
  open(onStep?: Step, otherwise?: (usual: Hands) => Partial<Hands>): Promise<Deployer>;
  /** The text of a settings file, by the service's short name. */
  settingsOf(service: string): string | undefined;
  /** Names of services whose restart was asked for and not waited for. */
  readonly restarts: string[];
};

export async function openScene(directory: string): Promise<Scene> {
  const key = await openSigningKey(join(directory, 'signing.key'));
  writeFileSync(join(directory, 'packages.pub'), key.publicKeyPem);
  const file = join(directory, 'running.json');
  const opt = join(directory, 'opt');
  const places = { settings: join(directory, 'etc'), units: join(directory, 'units'), state: (name: string) => join(directory, 'state', name) };
  const link = join(opt, 'transport/current');
  const scene: Scene = {
    directory,
    key,
    running: () => (existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as Running) : { version: null, pid: 1, tasks: [] }),
    setRunning: (running) => writeFileSync(file, JSON.stringify({ ...scene.running(), ...running })),
    current: () => (existsSync(link) ? readlinkSync(link) : undefined),
    settings: () => scene.settingsOf('transport'),
    settingsOf: (service) => (existsSync(join(places.settings, `${service}.json`)) ? readFileSync(join(places.settings, `${service}.json`), 'utf8') : undefined),
    restarts: [],
    isBegun: () => existsSync(join(directory, 'work/begun.json')),
    open: async (onStep, otherwise = () => ({})) => {
      const usual: Hands = { versions: openVersions(opt), control: filedServices(scene, link) };
      return await openDeployer({ workDirectory: join(directory, 'work'), trustedKey: join(directory, 'packages.pub'), ...usual, ...otherwise(usual), version: ownVersion, log: silentLog, clock: hasty, healthWithinMs: 1_000, heardWithinMs: 3_000, places, onStep });
    },
  };
  return scene;
}

/** A version whose directory holds `broken` does not start; settings with `"bad"` in them neither. */
function filedServices(scene: Scene, link: string): ServiceControl {
  const isBroken = (): boolean => existsSync(join(link, 'broken')) || scene.settings()?.includes('"bad"') === true;
  const status = (): Awaited<ReturnType<ServiceControl['status']>> => {
    const { version, pid, tasks } = scene.running();
    return version === null ? undefined : { version, pid, state: 'listening', port: 6162, tasks };
  };
  return {
    async setup(directory, verb) {
      if (!existsSync(join(directory, 'package.json'))) throw new Error(`${directory} is not whole`);
      if (verb === 'prepare') mkdirSync(join(scene.directory, 'state/tidemark-transport'), { recursive: true });
      if (verb === 'disable') scene.setRunning({ version: null });
      if (verb === 'purge') rmSync(join(scene.directory, 'etc'), { recursive: true, force: true });
    },
    async restart() {
      scene.setRunning({ version: null });
      if (isBroken()) throw new Error('the job failed');
      scene.setRunning({ version: readlinkSync(link), pid: scene.running().pid + 1, draining: false });
    },
    restarts: async () => 0,
    restartLater: async (name) => void scene.restarts.push(name),
    state: async () => (scene.running().version === null ? 'failed' : 'active'),
    status: async () => status(),
    async drain(_, on) {
      scene.setRunning({ draining: on });
      return status();
    },
    lastWords: async () => 'port 6162 is in use by pid 812 (nginx)',
    reload: async () => {},
    forgetPackage: async () => {},
    removeSelf: async () => {},
  };
}

export type MadePackage = { readonly signed: SignedManifest; readonly manifest: PackageManifest; readonly bytes: Buffer };

/** A small package with nothing in it but its name. */
export function makeSmallPackage(scene: Scene, version: string, more: { broken?: boolean; platform?: PackageManifest['platform'] } = {}): MadePackage {
  const folder = join(scene.directory, `make/tidemark-transport-${version}`);
  mkdirSync(join(folder, 'units'), { recursive: true });
  writeFileSync(join(folder, 'package.json'), JSON.stringify({ version }));
  writeFileSync(join(folder, 'units/restore.conf'), '[Service]\n');
  if (more.broken === true) writeFileSync(join(folder, 'broken'), '');
  const archive = `${folder}.tar.gz`;
  execFileSync('tar', ['-czf', archive, '-C', join(folder, '..'), `tidemark-transport-${version}`]);
  const bytes = readFileSync(archive);
  const manifest: PackageManifest = { name: 'tidemark-transport', version, platform: more.platform ?? platform, sha256: createHash('sha256').update(bytes).digest('hex'), bytes: statSync(archive).size, builtAt: '2026-11-25T18:00:00Z' };
  return { signed: scene.key.sign(manifest), manifest, bytes };
}

const unheard = (): OrderCall<never> => ({ signal: new AbortController().signal, peer: { part: 'server', name: 'server', serial: '1', validToMs: 0 }, emit: async () => {} });

/** Offers a package and brings its bytes. */
export async function bring({ handlers }: Deployer, { signed, manifest, bytes }: MadePackage): Promise<void> {
  const { have } = await handlers['deployer.offer']({ package: signed }, unheard());
  await handlers['deployer.piece']({ sha256: manifest.sha256, offset: have, base64: bytes.subarray(have).toString('base64') }, unheard());
}

/** Gives an order as the link would, to nobody who listens for its steps. `part` is who gives it. */
export async function order<N extends DeployerOrder>({ handlers }: Deployer, name: N, input: OrderGiven<N>, part = 'server'): Promise<OrderOutput<N>> {
  const call = { ...unheard(), peer: { ...unheard().peer, part } };
  return (await (handlers[name] as (input: unknown, call: unknown) => Promise<unknown>)(orders[name].input.parse(input), call)) as OrderOutput<N>;
}
