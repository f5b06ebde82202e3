/**
 * Hosts are told where all servers on this catalog are reached (docs/design/catalog.md, "Hosts, and which server they talk to"): with each
 * link, and as soon as that changes.
 */
import type { Catalog } from '../catalog/catalog.ts';
import type { ServerPlace } from '../catalog/servers.ts';
import type { Clock } from '../base/clock.ts';
import { describe } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import type { Caller } from '../contract/link/caller.ts';
import type { ServerAddress } from '../contract/values.ts';
import { localHost } from './hosts.ts';
import type { Links } from './links.ts';

const announcedAgainMs = 86_400_000;

type Options = { catalog: Catalog; links: Links; deployers: Links; /** Of this server; null: it takes no hosts. */ own: ServerPlace | null; clock: Clock; log: Log };

/** Tells the hosts that are connected and those that will be. Answers what looks whether there is something new to tell. */
export async function keepHostsTold({ catalog, links, deployers, own, clock, log }: Options): Promise<() => Promise<void>> {
  let servers: ServerAddress[] = [];
  let announcedMs = -Infinity;
  const told = new WeakMap<Caller, string>();

  async function look(): Promise<void> {
    if (clock.monotonicMs() - announcedMs >= announcedAgainMs) {
      await catalog.servers.announce(own);
      announcedMs = clock.monotonicMs();
    }
    servers = (await catalog.servers.places()).map((place) => ({ enrolment: { host: place.enrolment_host, port: place.enrolment_port }, orders: { host: place.orders_host, port: place.orders_port } }));
  }

  async function tell(order: 'host.servers' | 'deployer.servers', host: string, caller: Caller): Promise<void> {
    const text = JSON.stringify(servers);
    if (servers.length === 0 || told.get(caller) === text) return;
    told.set(caller, text);
    // A service of before this order goes on with the server that it knows.
    await caller.call(order, { servers }).catch((error: unknown) => log.info('a host was not told where the servers are', { host, order, why: describe(error) }));
  }

  const kinds = [[links, 'host.servers'], [deployers, 'deployer.servers']] as const;
  await look();
  for (const [kind, order] of kinds) {
    kind.onConnect((caller, { id, host }) => {
      if (id !== localHost) void tell(order, host, caller);
    });
  }
  return async () => {
    const before = JSON.stringify(servers);
    await look();
    if (JSON.stringify(servers) === before) return;
    for (const [kind, order] of kinds) {
      for (const link of kind.all()) {
        // Whoever is not connected is told when it is.
        const caller = link.id === localHost ? undefined : await link.connected(1).catch(() => undefined);
        if (caller !== undefined) void tell(order, link.host, caller);
      }
    }
  };
}
