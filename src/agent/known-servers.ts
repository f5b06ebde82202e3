/**
 * Where this host reaches its servers. Several may share a catalog: each of them tells the host where all of them are, and the host
 * keeps that, so that one which is gone takes no host with it (docs/design/catalog.md, "Hosts, and which server they talk to").
 *
 *   kit ──▶ the server that made it ──told by a server──▶ all of them, in place of what was known before
 *
 * What stands in the settings of this host counts alone: somebody knows better how it reaches a server.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { hostLabel } from '../base/host-label.ts';
import { writeWhole } from '../base/whole-file.ts';
import { serverAddress, type HostAndPort, type ServerAddress } from '../contract/values.ts';

/** As the kit named them: the work directory keeps it, because the kit goes when its token is used. */
const remembered = z.object({
  /** HOST:PORT where certificates are renewed. */
  server: z.string(),
  /** HOST:PORT to open the order link to, or null where the server dials. */
  dial: z.string().nullable(),
  /** All of them, as a server told last. */
  servers: z.array(serverAddress).default([]),
});
export type ServersRemembered = z.infer<typeof remembered>;

export type KnownServers = {
  /** Where this host opens the order link to; none where servers dial it. */
  dials(): readonly HostAndPort[];
  /** Where certificates are renewed. */
  enrolments(): readonly HostAndPort[];
  /** Takes what a server told. */
  learn(servers: readonly ServerAddress[]): Promise<void>;
  onLearn(listener: () => void): void;
};

const fileIn = (workDirectory: string): string => join(workDirectory, 'server.json');

export async function rememberServers(workDirectory: string, servers: ServersRemembered): Promise<void> {
  await writeWhole(fileIn(workDirectory), JSON.stringify(servers), 0o600);
}

export async function rememberedServers(workDirectory: string): Promise<ServersRemembered | undefined> {
  const text = await readFile(fileIn(workDirectory), 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  });
  return text === undefined ? undefined : remembered.parse(JSON.parse(text));
}

/** `given` is what stands in the settings. */
export function openKnownServers(options: { workDirectory: string; known: ServersRemembered | undefined; given: { readonly server?: HostAndPort | undefined; readonly dial?: HostAndPort | undefined } }): KnownServers {
  const { workDirectory, given } = options;
  let known = options.known;
  const listeners: (() => void)[] = [];
  /** The kit's server until a server has told of all of them. */
  const all = (which: (server: ServerAddress) => HostAndPort, first: string | null | undefined): HostAndPort[] => {
    if (first === null || first === undefined || known === undefined) return [];
    const found = known.servers.length === 0 ? [placeOf(first)] : known.servers.map(which);
    return [...new Map(found.map((place) => [hostLabel(place), place])).values()];
  };
  return {
    dials: () => (given.dial === undefined ? all(({ orders }) => orders, known?.dial) : [given.dial]),
    enrolments: () => (given.server === undefined ? all(({ enrolment }) => enrolment, known?.server) : [given.server]),
    async learn(servers) {
      if (known === undefined || servers.length === 0 || JSON.stringify(servers) === JSON.stringify(known.servers)) return;
      known = { ...known, servers: [...servers] };
      await rememberServers(workDirectory, known);
      for (const listener of listeners) listener();
    },
    onLearn: (listener) => void listeners.push(listener),
  };
}

function placeOf(label: string): HostAndPort {
  const colon = label.lastIndexOf(':');
  return { host: label.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(label.slice(colon + 1)) };
}
