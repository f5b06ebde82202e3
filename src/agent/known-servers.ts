/**
 * Where this host reaches its servers. Several may share a catalog: each of them tells the host where all of them are, and the host
 * keeps that, so that one which is gone takes no host with it (docs/design/catalog.md, "Hosts, and which server they talk to").
 *
 *   kit ──▶ the server that made it ──told by a server──▶ all of them, in place of those told before
 *
 * What is told may be wrong: an address that nobody can reach from here, or one that was given by mistake. So the kit's address and the
 * last one that worked stay known, as a last resort for when none of those told answers.
 *
 * What stands in the settings of this host counts alone: somebody knows better how it reaches a server.
 */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { hostLabel } from '../base/host-label.ts';
import { writeWhole } from '../base/whole-file.ts';
import { hostAndPort, serverAddress, type HostAndPort, type ServerAddress } from '../contract/values.ts';

/** A server as this host knows it; without `orders` where servers dial. */
const place = z.object({ enrolment: hostAndPort, orders: hostAndPort.nullable() });
type Place = z.infer<typeof place>;

/** As the kit named them: the work directory keeps it, because the kit goes when its token is used. */
const remembered = z.object({
  /** HOST:PORT where certificates are renewed. */
  server: z.string(),
  /** HOST:PORT to open the order link to, or null where the server dials. */
  dial: z.string().nullable(),
  /** All of them, as a server told last. A list that cannot be read is as good as none: the kit's address is still there. */
  servers: z.array(serverAddress).default([]).catch([]),
  /** The one that was reached last. */
  worked: place.nullable().default(null).catch(null),
});
export type ServersRemembered = z.infer<typeof remembered>;

export type KnownServers = {
  /** Where this host opens the order link to; none where servers dial it. */
  dials(): readonly HostAndPort[];
  /** Where to try besides, as long as none of `dials` answers. */
  lastResorts(): readonly HostAndPort[];
  /** Where certificates are renewed: those told, and behind them the last resorts. */
  enrolments(): readonly HostAndPort[];
  /** Takes what a server told. */
  learn(servers: readonly ServerAddress[]): Promise<void>;
  /** A server was reached there, for orders or for a certificate. */
  worked(at: HostAndPort): Promise<void>;
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
  let kept = Promise.resolve();
  /** One after the other, so that what is learned last is what the file says. */
  const keep = async (changed: ServersRemembered): Promise<void> => {
    known = changed;
    const writing = kept.catch(() => {}).then(async () => await rememberServers(workDirectory, changed));
    kept = writing;
    await writing;
  };
  const ofKit = ({ server, dial }: ServersRemembered): Place => ({ enrolment: placeOf(server), orders: dial === null ? null : placeOf(dial) });
  /** The kit's server until a server has told of all of them. */
  const told = (): Place[] => (known === undefined ? [] : known.servers.length === 0 ? [ofKit(known)] : known.servers);
  const last = (): Place[] => (known === undefined ? [] : [...(known.worked === null ? [] : [known.worked]), ofKit(known)]);
  const dials = (places: Place[]): HostAndPort[] => (known?.dial == null ? [] : once(places.flatMap(({ orders }) => orders ?? [])));
  return {
    dials: () => (given.dial === undefined ? dials(told()) : [given.dial]),
    lastResorts() {
      if (given.dial !== undefined) return [];
      const first = new Set(dials(told()).map(hostLabel));
      return dials(last()).filter((at) => !first.has(hostLabel(at)));
    },
    enrolments: () => (given.server === undefined ? once([...told(), ...last()].map(({ enrolment }) => enrolment)) : [given.server]),
    async learn(servers) {
      if (known === undefined || servers.length === 0 || JSON.stringify(servers) === JSON.stringify(known.servers)) return;
      await keep({ ...known, servers: [...servers] });
      for (const listener of listeners) listener();
    },
    async worked(at) {
      const label = hostLabel(at);
      const found = [...told(), ...last()].find(({ orders, enrolment }) => [orders, enrolment].some((one) => one !== null && hostLabel(one) === label));
      if (known === undefined || found === undefined || JSON.stringify(found) === JSON.stringify(known.worked)) return;
      await keep({ ...known, worked: found });
    },
    onLearn: (listener) => void listeners.push(listener),
  };
}

function once(places: HostAndPort[]): HostAndPort[] {
  return [...new Map(places.map((place) => [hostLabel(place), place])).values()];
}

function placeOf(label: string): HostAndPort {
  const colon = label.lastIndexOf(':');
  return { host: label.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(label.slice(colon + 1)) };
}
