/**
 * How a service of a host belongs to its server: by an identity file, which somebody puts there or a kit is redeemed for. A
 * kit that is there counts more than an identity, because somebody has put it there since; one that opens nothing any more
 * leaves the identity as it is. Where the kit said the server is, is remembered in the work directory, because the kit goes
 * when its token is used.
 */
import { readFile, rm } from 'node:fs/promises';
import { until } from '../base/deadline.ts';
import { describe } from '../base/failure.ts';
import { hostLabel } from '../base/host-label.ts';
import type { Log } from '../base/log.ts';
import type { EnrolledPart } from '../contract/enrolment.ts';
import { readIdentity } from '../contract/link/identity-file.ts';
import type { LinkIdentity } from '../contract/link/trust.ts';
import { hostKit, type HostKit } from '../contract/routes/hosts.ts';
import { joinServer } from './join.ts';
import { rememberedServers, rememberServers, type ServersRemembered } from './known-servers.ts';

export type Membership = { readonly identity: LinkIdentity; /** Undefined where no kit ever said. */ readonly servers: ServersRemembered | undefined };

export type MembershipOptions = {
  part: EnrolledPart;
  identityFile: string;
  kitFile: string | undefined;
  workDirectory: string;
  version: string;
  log: Log;
  ms: number;
  /** What the kit tells besides; done before its token is used, so that a kill in between loses nothing. */
  onKit?: (kit: HostKit) => Promise<void>;
};

export async function awaitMembership(options: MembershipOptions): Promise<Membership> {
  const { part, identityFile, kitFile, log } = options;
  const redeem = async (text: string): Promise<void> => {
    const kit = hostKit.parse(JSON.parse(text));
    await options.onKit?.(kit);
    const host = await joinServer(kit, part, identityFile, options.version);
    const { address, enrolmentPort, controlPort } = kit.server;
    const server = hostLabel({ host: address, port: enrolmentPort });
    await rememberServers(options.workDirectory, { server, dial: kit.dials === 'host' ? hostLabel({ host: address, port: controlPort }) : null, servers: [], worked: null });
    log.info('enrolled', { host, name: kit.host, server });
  };
  const identity = await until(`the identity file ${identityFile}`, options.ms, async () => {
    const kit = kitFile === undefined ? undefined : await textOf(kitFile);
    const held = await readIdentity(identityFile);
    if (kit === undefined) return held;
    try {
      await redeem(kit);
    } catch (error) {
      if (held === undefined) throw error;
      log.warn('the kit opens nothing, the identity that is here stays', { why: describe(error) });
      return held;
    }
    return await readIdentity(identityFile);
  }, { everyMs: 200 });
  if (kitFile !== undefined) await rm(kitFile, { force: true });
  return { identity, servers: await rememberedServers(options.workDirectory) };
}

async function textOf(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}
