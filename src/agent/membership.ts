/**
 * How a host belongs to its server: by an identity file, which somebody puts there or a kit is redeemed for. Whichever
 * comes first ends the waiting. Where the kit said the server is, is remembered in the work directory, because the kit
 * goes when its token is used.
 */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { until } from '../base/deadline.ts';
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
    if (held !== undefined) return held;
    const kit = kitFile === undefined ? undefined : await textOf(kitFile);
    if (kit !== undefined) await redeem(kit);
    return undefined;
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
