/**
 * A host gets its services: the deployer by a first contact over SSH, or over the ports of Windows where the credential is one for Windows, unless it is there already (by an earlier contact, or by
 * the installer that somebody ran there), and the transport by the deployer.
 *
 * Nothing of it matters twice: what is there already is left alone, and a package may be installed again. A flow that is
 * taken up after a restart makes the first contact anew.
 */
import * as z from 'zod';
import type { HostRow } from '../../catalog/hosts.ts';
import type { Credentials } from '../credentials.ts';
import { deployerKit, deployerPackage, deployerPackageOf } from '../deployer-install.ts';
import { fetchPackage } from '../deployer-fetch.ts';
import type { Distribution } from '../distribution.ts';
import { deployerMissing } from '../failures.ts';
import { isFailure } from '../../base/failure.ts';
import { hostRunsWindows } from '../../ssh/failures.ts';
import type { LinkIdentity } from '../../contract/link/trust.ts';
import { accountOf } from '../../windows/account.ts';
import { deployOverWindows } from '../windows-contact.ts';
import { packageForm, type HostPackage } from '../first-contact.ts';
import type { Flow, FlowContext } from '../flow.ts';
import type { HostContact } from '../host-contact.ts';
import type { HostServices } from '../host-services.ts';
import type { Hosts } from '../hosts.ts';
import type { Links } from '../links.ts';
import { windowsInstallerProgram } from '../windows-installer-program.ts';
import { bringTransport } from './bring-transport.ts';

const wish = z.object({ host: z.string(), credential: z.string().nullable(), /** On this machine; null: the distribution server's. */ package: z.string().nullable() });
export type DeployWish = z.infer<typeof wish>;

/** What first contacts with Windows hosts are made with. */
export type WindowsServices = { readonly installerDirectory: string; readonly workDirectory: string; readonly identity: () => LinkIdentity };
export type DeployServices = { hosts: Hosts; links: Links; deployers: Links; credentials: Credentials; contact: HostContact; distribution: Distribution; hostServices: HostServices; windows: WindowsServices; /** Where packages for first contacts are kept. */ packagesDirectory: string };

export function deployFlow(services: DeployServices): Flow<DeployWish> {
  return { wish, run: async (asked, context) => ({ state: 'success', result: { kind: 'deploy', ...(await bringServices(services, asked, context)) } }) };
}

/** Brings a host's services to the wanted state: both there, connected, and the transport of the newest version. */
export async function bringServices(services: DeployServices, asked: DeployWish, context: FlowContext): Promise<{ host: string; platform: string; hostKey: string | null; version: string }> {
  const { hosts, hostServices } = services;
  const host = await hosts.find(asked.host);
  let hostKey: string | null = null;
  if (await hostServices.answers(host, context.signal)) await context.say(`the deployer of ${host.name} answers`);
  else if (asked.credential === null) throw deployerMissing({ host: host.name });
  else if ((await services.credentials.find(asked.credential)).kind === 'windows') await contactWindows(services, host, asked.credential, context);
  else ({ hostKey } = await makeContact(services, host, { credential: asked.credential, package: asked.package }, context));
  return { hostKey, ...(await bringTransport(services, host.id, context)) };
}

async function makeContact(services: DeployServices, host: HostRow, asked: { credential: string; package: string | null }, context: FlowContext): Promise<{ hostKey: string }> {
  const { hosts, deployers, credentials } = services;
  const credential = await credentials.host(asked.credential);
  const kit = { content: `${JSON.stringify(await hosts.kitFor(host, 'deployer'))}\n`, to: deployerKit };
  const { say, said } = sayer(context);
  try {
    const at = { name: host.name, address: host.address, credential };
    const { hostKey } = await services.contact.deploy(at, {
      packageFor: async (platform) => {
        await hosts.learn(host.id, 'linux');
        return asked.package === null ? await packageFrom(services, platform, host) : deployerPackageOf(asked.package, await packageForm(asked.package), host.deployer_port);
      },
      kit,
      healthy: async () => await Promise.resolve(deployers.answers(host.id)),
      say,
      signal: context.signal,
    });
    return { hostKey: hostKey.fingerprint };
  } catch (error) {
    if (!isFailure(error, hostRunsWindows)) throw error;
    // From now on the ports of Windows are in the plan.
    await hosts.learn(host.id, 'windows');
    const offered = await services.hostServices.newest('tidemark-deployer', 'windows-x64');
    const { hostKey } = await services.contact.deployWindows({ name: host.name, address: host.address, credential }, {
      package: await fetchPackage(services.packagesDirectory, offered, services.distribution),
      program: windowsInstallerProgram({ host: host.name, deployerPort: host.deployer_port, package: offered.manifest }),
      kit: await hosts.kitFor(host, 'deployer'),
      healthy: async () => await Promise.resolve(deployers.answers(host.id)),
      say,
      signal: context.signal,
    });
    return { hostKey: hostKey.fingerprint };
  } finally {
    await said();
  }
}

/** Steps and lines of a contact, in their order. */
function sayer(context: FlowContext): { say: (step: string, text: string) => void; said: () => Promise<void> } {
  let step = '';
  let saying = Promise.resolve();
  const say = (next: string, text: string): void => {
    saying = saying.then(async () => {
      if (next !== step) await context.step(next);
      step = next;
      await context.say(text);
    });
    saying.catch(() => {});
  };
  return { say, said: async () => await saying };
}

async function contactWindows(services: DeployServices, host: HostRow, credential: string, context: FlowContext): Promise<void> {
  const { hosts, deployers, credentials, distribution, hostServices, windows } = services;
  const { user, password } = await credentials.windows(credential);
  await hosts.pushed(host.id);
  const offered = await hostServices.newest('tidemark-deployer', 'windows-x64');
  const { say, said } = sayer(context);
  try {
    await deployOverWindows({
      host: { id: host.id, name: host.name, address: host.address, deployerPort: host.deployer_port },
      account: accountOf(user, password),
      installerDirectory: windows.installerDirectory,
      workDirectory: windows.workDirectory,
      identity: windows.identity(),
      packageKey: await distribution.key(),
      offered,
      read: async (from, length) => await distribution.bytes(offered.manifest, from, length),
      kit: await hosts.kitFor(host, 'deployer'),
      nowMs: context.clock.now(),
      healthy: () => deployers.answers(host.id),
      say,
      signal: context.signal,
    });
  } finally {
    await said();
  }
}

async function packageFrom({ hostServices, distribution, packagesDirectory }: DeployServices, platform: string, host: HostRow): Promise<HostPackage> {
  const offered = await hostServices.newest('tidemark-deployer', platform);
  return deployerPackage(await fetchPackage(packagesDirectory, offered, distribution), offered.manifest.version, host.deployer_port);
}
