/**
 * How a host belongs to its server: by an identity file, which somebody puts there or a kit is redeemed for. Whichever
 * comes first ends the waiting. Where the kit said the server is, is remembered in the work directory, because the kit
 * goes when its token is used. A kit that is newer than the identity is redeemed in its place: that is how a host comes
 * back whose certificate ran out while it was off. One whose token was used is not in the way of an identity that is held.
 */
import { X509Certificate } from 'node:crypto';
import { readFile, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { systemClock } from '../base/clock.ts';
import { until } from '../base/deadline.ts';
import { describe } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import { writeWhole } from '../base/whole-file.ts';
import { readIdentity } from '../contract/link/identity-file.ts';
import type { LinkIdentity } from '../contract/link/trust.ts';
import { hostKit } from '../contract/routes/hosts.ts';
import { joinServer } from './join.ts';

const remembered = z.object({ /** HOST:PORT where certificates are renewed. */ server: z.string(), /** HOST:PORT to open the order link to, or null where the server dials. */ dial: z.string().nullable() });
export type ServerKnown = z.infer<typeof remembered>;

export type Membership = { readonly identity: LinkIdentity; readonly server: ServerKnown | undefined };

export async function awaitMembership(options: { identityFile: string; kitFile: string | undefined; workDirectory: string; version: string; log: Log; ms: number }): Promise<Membership> {
  const { identityFile, kitFile, log } = options;
  const memory = join(options.workDirectory, 'server.json');
  const redeem = async (text: string): Promise<void> => {
    const kit = hostKit.parse(JSON.parse(text));
    const host = await joinServer(kit, identityFile, options.version);
    const { address, enrolmentPort, controlPort } = kit.server;
    const known: ServerKnown = { server: `${address}:${enrolmentPort}`, dial: kit.dials === 'host' ? `${address}:${controlPort}` : null };
    await writeWhole(memory, JSON.stringify(known), 0o600);
    log.info('enrolled', { host, name: kit.host, server: known.server });
  };
  const identity = await until(`the identity file ${identityFile}`, options.ms, async () => {
    const held = await readIdentity(identityFile);
    if (held !== undefined && (kitFile === undefined || !(await isNewer(kitFile, identityFile)))) return held;
    const kit = kitFile === undefined ? undefined : await textOf(kitFile);
    if (kit === undefined) return undefined;
    try {
      await redeem(kit);
    } catch (error) {
      if (held === undefined || isOver(held)) throw error;
      log.warn('the kit could not be redeemed; the identity that is here is kept', { why: describe(error) });
      return held;
    }
    return undefined;
  }, { everyMs: 200 });
  if (kitFile !== undefined) await rm(kitFile, { force: true });
  const text = await textOf(memory);
  return { identity, server: text === undefined ? undefined : remembered.parse(JSON.parse(text)) };
}

/** Whether there is a file at `path` that was written after the other one. */
async function isNewer(path: string, than: string): Promise<boolean> {
  const [one, other] = await Promise.all([path, than].map(async (each) => (await stat(each).catch(() => undefined))?.mtimeMs));
  return one !== undefined && (other === undefined || one > other);
}

function isOver({ certificatePem }: LinkIdentity): boolean {
  return new X509Certificate(certificatePem).validToDate.getTime() < systemClock.now();
}

async function textOf(path: string): Promise<string | undefined> {
  return await readFile(path, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
}
