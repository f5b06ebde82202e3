/**
 * How a service of a host belongs to its server: by an identity file, which somebody puts there or a kit is redeemed for. A
 * kit that is there counts more than an identity, because somebody has put it there since; one that opens nothing any more
 * leaves the identity as it is. Where the kit said the server is, is remembered in the work directory, because the kit goes
 * when its token is used.
 */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { until } from '../base/deadline.ts';
import { describe } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import { writeWhole } from '../base/whole-file.ts';
import type { EnrolledPart } from '../contract/enrolment.ts';
import { readIdentity } from '../contract/link/identity-file.ts';
import type { LinkIdentity } from '../contract/link/trust.ts';
import { hostKit, type HostKit } from '../contract/routes/hosts.ts';
import { joinServer } from './join.ts';

const remembered = z.object({ /** HOST:PORT where certificates are renewed. */ server: z.string(), /** HOST:PORT to open the order link to, or null where the server dials. */ dial: z.string().nullable() });
export type ServerKnown = z.infer<typeof remembered>;

export type Membership = { readonly identity: LinkIdentity; readonly server: ServerKnown | undefined };

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
  const memory = join(options.workDirectory, 'server.json');
  const redeem = async (text: string): Promise<void> => {
    const kit = hostKit.parse(JSON.parse(text));
    await options.onKit?.(kit);
    const host = await joinServer(kit, part, identityFile, options.version);
    const { address, enrolmentPort, controlPort } = kit.server;
    const known: ServerKnown = { server: `${address}:${enrolmentPort}`, dial: kit.dials === 'host' ? `${address}:${controlPort}` : null };
    await writeWhole(memory, JSON.stringify(known), 0o600);
    log.info('enrolled', { host, name: kit.host, server: known.server });
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
  const text = await textOf(memory);
  return { identity, server: text === undefined ? undefined : remembered.parse(JSON.parse(text)) };
}

async function textOf(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}
