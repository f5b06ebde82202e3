/**
 * The deployer service: answers the server's orders about what is installed on this host, one at a time, and brings what
 * was interrupted to an end at its start. docs/design/deployer.md has the order of its writes.
 */
import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { systemClock, type Clock } from '../base/clock.ts';
import { describe } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import type { DeployerHandlers, OrderCall } from '../contract/link/answerer.ts';
import { contractVersion, type DeployerOrder } from '../contract/orders.ts';
import { compareVersions, openManifest, platformHere, type PackageManifest, type PackageName, type SignedManifest } from '../contract/packages.ts';
import { changeVersion, resumeChange, type Changing, type Step } from './deployer/change-version.ts';
import { openIncoming } from './deployer/incoming.ts';
import { openJournal, type Begun } from './deployer/journal.ts';
import { finishRemoval, remove } from './deployer/removal.ts';
import type { HostSystem } from './deployer/host-system.ts';
import type { KnownServers } from './known-servers.ts';
import { configure, dropKit, resumeConfigure, takeBackOwn, writeSettings } from './deployer/service-settings.ts';
import { deployerBusy, olderVersion, orderNotAllowed, packageKeyMissing, packageNotInstalled, wrongPlatform } from './failures.ts';

export type DeployerOptions = HostSystem & {
  workDirectory: string;
  /** The file with the public key that packages must be signed with; read each time, because a kit brings it. */
  trustedKey: string;
  version: string;
  log: Log;
  clock?: Clock;
  healthWithinMs?: number;
  /** How long new settings of its own wait for the server to come back. */
  heardWithinMs?: number;
  onServers?: KnownServers['learn'];
  /** Told before each step, besides the caller: a test that kills here. */
  onStep?: Step;
};

export type Deployer = {
  readonly handlers: DeployerHandlers;
  /**
   * Ends what was interrupted; orders that change something are refused until then. A change of this service itself is
   * over when it has its port: what does not get there is taken back by its unit.
   */
  resume(listening: Promise<void>): Promise<void>;
  /** Its own new settings are taken back when it does not get its port with them; its next start has the old ones. */
  cannotListen(why: string): Promise<void>;
};

const deployed: readonly PackageName[] = ['tidemark-deployer', 'tidemark-transport'];
/** What the distribution server may do: bring bytes that are checked before anything is done with them. */
const bringing: ReadonlySet<string> = new Set<DeployerOrder>(['deployer.offer', 'deployer.piece']);

export async function openDeployer(options: DeployerOptions): Promise<Deployer> {
  const { workDirectory, versions, control, places, version, log } = options;
  const clock = options.clock ?? systemClock;
  const platform = platformHere;
  const incoming = await openIncoming(join(workDirectory, 'incoming'));
  const journal = openJournal(workDirectory);
  const changing: Changing = { versions, incoming, journal, control, clock, log, healthWithinMs: options.healthWithinMs ?? 30_000, ownVersion: version };
  let busy: string | undefined;
  let isResuming = false;
  const heard = Promise.withResolvers<true>();

  /** One change at a time. A caller that goes away is not told the steps any more; what was begun is ended without it. */
  async function alone<T>(what: string, emit: ((event: { step: string }) => Promise<void>) | undefined, work: (step: Step) => Promise<T>): Promise<T> {
    if (busy !== undefined) throw deployerBusy({ with: busy });
    busy = what;
    try {
      const begun = await journal.begun();
      if (begun !== undefined && !isResuming) throw deployerBusy({ with: `${begun.kind} ${begun.name} is not over` });
      return await work(async (step) => {
        log.info('step', { what, step });
        emit?.({ step }).catch(() => {});
        await options.onStep?.(step);
      });
    } catch (error) {
      log.warn('not done', { what, why: describe(error) });
      throw error;
    } finally {
      busy = undefined;
    }
  }

  async function admit(signed: SignedManifest): Promise<PackageManifest> {
    const key = await readFile(options.trustedKey, 'utf8').catch((error: unknown) => {
      throw packageKeyMissing({ path: options.trustedKey }, error);
    });
    const manifest = openManifest(signed, key);
    const { name, version: offered } = manifest;
    if (manifest.platform !== platform) throw wrongPlatform({ name, version: offered, for: manifest.platform, here: platform });
    const current = await versions.current(name);
    if (current !== undefined && compareVersions(offered, current) < 0) throw olderVersion({ name, version: offered, current });
    return manifest;
  }

  const handlers: DeployerHandlers = {
    'deployer.describe': async () => ({
      version,
      contract: contractVersion,
      hostname: hostname(),
      platform,
      timeMs: clock.now(),
      packages: await Promise.all(deployed.map(async (name) => ({ name, version: (await versions.current(name)) ?? null, kept: await versions.kept(name), service: await control.state(name) }))),
      busy: busy ?? null,
      last: (await journal.last()) ?? null,
    }),
    'deployer.servers': async ({ servers }) => {
      await options.onServers?.(servers);
      return {};
    },
    'deployer.offer': async ({ package: signed }) => ({ have: await incoming.offer(await admit(signed)) }),
    'deployer.piece': async ({ sha256, offset, base64 }) => ({ have: await incoming.piece(sha256, offset, Buffer.from(base64, 'base64')) }),
    'deployer.install': async ({ package: signed, service }, { emit, signal }) => {
      const manifest = await admit(signed);
      const { name, version: wanted } = manifest;
      return await alone(`installs ${name} ${wanted}`, emit, async (step) => {
        if ((await versions.current(name)) === wanted && (await control.state(name)) === 'active') return { name, version: wanted, before: wanted };
        const beforeStart = async (): Promise<void> => {
          if (service !== undefined) await writeSettings(changing, places, name, service, wanted);
        };
        try {
          return { name, version: wanted, before: await changeVersion(changing, { manifest, sessionsWithinMs: 0, step, beforeStart, signal }) };
        } catch (error) {
          await dropKit(places, name);
          throw error;
        }
      });
    },
    'deployer.update': async ({ package: signed, sessionsWithinMs }, { emit, signal }) => {
      const manifest = await admit(signed);
      const { name, version: wanted } = manifest;
      return await alone(`updates ${name} to ${wanted}`, emit, async (step) => {
        const current = await versions.current(name);
        if (current === undefined) throw packageNotInstalled({ name });
        if (current === wanted) return { name, version: wanted, before: wanted };
        return { name, version: wanted, before: await changeVersion(changing, { manifest, sessionsWithinMs, step, signal }) };
      });
    },
    'deployer.configure': async ({ name, service, sessionsWithinMs }, { emit, signal }) => {
      await alone(`configures ${name}`, emit, async (step) => await configure(changing, places, { name, service, sessionsWithinMs, step, signal }));
      return {};
    },
    'deployer.remove': async ({ name, data }, { emit }) => {
      await alone(`removes ${name}`, emit, async (step) => await remove(changing, name, data, step));
      return {};
    },
    'deployer.uninstall-all': async (_, { emit }) => {
      await alone('uninstalls everything', emit, async (step) => {
        for (const name of deployed) if (name !== 'tidemark-deployer' && (await versions.kept(name)).length > 0) await remove(changing, name, true, step);
        await incoming.clear();
        await step('remove the deployer');
        await control.removeSelf();
      });
      return {};
    },
  };

  /** An update that was killed while it waited left a service that takes no new tasks. */
  async function lookBack(): Promise<Begun | undefined> {
    await versions.clear();
    await control.drain('tidemark-transport', false);
    return await journal.begun();
  }

  async function resume(listening: Promise<void>): Promise<void> {
    busy = 'sees whether something was interrupted';
    const begun = await lookBack().finally(() => (busy = undefined));
    if (begun === undefined) return;
    log.warn('something was interrupted', { kind: begun.kind, name: begun.name });
    if (begun.name === 'tidemark-deployer') await listening;
    isResuming = true;
    await alone(`ends what was interrupted: ${begun.kind} ${begun.name}`, undefined, async (step) => {
      if (begun.kind === 'switch') await resumeChange(changing, begun, step);
      else if (begun.kind === 'configure') await resumeConfigure(changing, places, begun, wasHeard);
      else await finishRemoval(changing, begun.name, begun.data, step);
    }).finally(() => (isResuming = false));
  }

  async function cannotListen(why: string): Promise<void> {
    const begun = await journal.begun();
    if (begun?.kind === 'configure' && begun.name === 'tidemark-deployer') await takeBackOwn(changing, places, begun, `it did not start with the new settings: ${why}; it has the old ones`);
  }

  async function wasHeard(): Promise<boolean> {
    return await Promise.race([heard.promise, clock.wait(options.heardWithinMs ?? 60_000).then(() => false)]);
  }

  return { handlers: guarded(handlers, () => heard.resolve(true)), resume, cannotListen };
}

/** Orders are the server's; another part may only do what `bringing` says. */
function guarded(handlers: DeployerHandlers, onServer: () => void): DeployerHandlers {
  const guard = ([order, handler]: [string, DeployerHandlers[DeployerOrder]]) => {
    const answer = handler as (input: unknown, call: OrderCall<DeployerOrder>) => Promise<unknown>;
    return [
      order,
      async (input: unknown, call: OrderCall<DeployerOrder>) => {
        if (call.peer.part === 'server') onServer();
        else if (!bringing.has(order)) throw orderNotAllowed({ part: call.peer.part, order });
        return await answer(input, call);
      },
    ];
  };
  return Object.fromEntries(Object.entries(handlers).map((entry) => guard(entry as [string, DeployerHandlers[DeployerOrder]]))) as DeployerHandlers;
}
