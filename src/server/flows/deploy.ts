/**
 * A host gets its services: the deployer by a first contact over SSH unless it is there already (by an earlier contact, or by
 * the installer that somebody ran there), and the transport by the deployer.
 *
 * Nothing of it matters twice: what is there already is left alone, and a package may be installed again. A flow that is
 * taken up after a restart makes the first contact anew.
 */
import { access, constants } from 'node:fs/promises';
import * as z from 'zod';
import type { HostRow } from '../../catalog/hosts.ts';
import { openShell } from '../../ssh/shell.ts';
import type { Credentials } from '../credentials.ts';
import { deployerKit, deployerPackage, deployerPackageOf } from '../deployer-install.ts';
import { fetchPackage } from '../deployer-fetch.ts';
import type { Distribution } from '../distribution.ts';
import { deployerMissing, packageUnreadable } from '../failures.ts';
import { deployOverSsh, type HostPackage } from '../first-contact.ts';
import type { Flow, FlowContext } from '../flow.ts';
import type { HostKeys } from '../host-keys.ts';
import type { HostServices } from '../host-services.ts';
import type { Hosts } from '../hosts.ts';
import type { Links } from '../links.ts';
import { bringTransport } from './bring-transport.ts';

const wish = z.object({ host: z.string(), credential: z.string().nullable(), /** On this machine; null: the distribution server's. */ package: z.string().nullable() });
export type DeployWish = z.infer<typeof wish>;

export type DeployServices = { hosts: Hosts; links: Links; deployers: Links; credentials: Credentials; hostKeys: HostKeys; distribution: Distribution; hostServices: HostServices; /** Where packages for first contacts are kept. */ packagesDirectory: string };

const reachMs = 5_000;

export function deployFlow(services: DeployServices): Flow<DeployWish> {
  return { wish, run: async (asked, context) => ({ state: 'success', result: { kind: 'deploy', ...(await bringServices(services, asked, context)) } }) };
}

/** Brings a host's services to the wanted state: both there, connected, and the transport of the newest version. */
export async function bringServices(services: DeployServices, asked: DeployWish, context: FlowContext): Promise<{ host: string; platform: string; hostKey: string | null; version: string }> {
  const { hosts, deployers, hostServices } = services;
  const host = await hosts.find(asked.host);
  const isThere = hostServices.hasDeployer(host) && (await deployers.of(host.id).connected(reachMs, context.signal).then(() => true, () => false));
  context.signal.throwIfAborted();
  let hostKey: string | null = null;
  if (isThere) await context.say(`the deployer of ${host.name} answers`);
  else if (asked.credential === null) throw deployerMissing({ host: host.name });
  else ({ hostKey } = await contact(services, host, { credential: asked.credential, package: asked.package }, context));
  return { hostKey, ...(await bringTransport(services, host.id, context)) };
}

async function contact(services: DeployServices, host: HostRow, asked: { credential: string; package: string | null }, context: FlowContext): Promise<{ hostKey: string }> {
  const { hosts, deployers, credentials, hostKeys } = services;
  const credential = await credentials.host(asked.credential);
  const kit = { content: `${JSON.stringify(await hosts.kitFor(host, 'deployer'))}\n`, to: deployerKit };
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
  try {
    const { hostKey } = await deployOverSsh({
      host: host.name,
      open: async (signal) => await openShell({ host: host.address, credential, hostKey: await hostKeys.rule(host.address, credential.port), signal }),
      packageFor: async (platform) => (asked.package === null ? await packageFrom(services, platform, host) : await packageAt(asked.package, host)),
      kit,
      healthy: async () => await Promise.resolve(isConnected(deployers, host.id)),
      say,
      signal: context.signal,
    });
    return { hostKey: hostKey.fingerprint };
  } finally {
    await saying;
  }
}

function isConnected(deployers: Links, id: string): true | string {
  const link = deployers.all().find((one) => one.id === id);
  if (link === undefined) return 'it has not enrolled yet';
  const { state, says } = link.standing();
  return state === 'connected' ? true : `its deployer service is not connected: ${says ?? state}`;
}

async function packageFrom({ hostServices, distribution, packagesDirectory }: DeployServices, platform: string, host: HostRow): Promise<HostPackage> {
  const offered = await hostServices.newest('tidemark-deployer', platform);
  return deployerPackage(await fetchPackage(packagesDirectory, offered, distribution), offered.manifest.version, host.deployer_port);
}

async function packageAt(file: string, host: HostRow): Promise<HostPackage> {
  await access(file, constants.R_OK).catch((error: unknown) => {
    throw packageUnreadable({ file, why: (error as Error).message }, error);
  });
  const form = /\.(deb|rpm)$/.exec(file)?.[1];
  if (form === undefined) throw packageUnreadable({ file, why: 'it is neither a .deb nor an .rpm' });
  return deployerPackageOf(file, form as 'deb' | 'rpm', host.deployer_port);
}
