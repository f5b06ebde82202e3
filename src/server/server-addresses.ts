/**
 * Hosts are told where all servers on this catalog are reached (docs/design/catalog.md, "Hosts, and which server they talk to"): with each
 * link, and as soon as that changes. A host counts as told when it has answered; one that failed is told again on the same link.
 */
import type { Catalog } from '../catalog/catalog.ts';
import type { ServerPlace } from '../catalog/servers.ts';
import type { Clock } from '../base/clock.ts';
import { describe, isFailure } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import { orderNotUnderstood } from '../contract/failures.ts';
import type { Caller } from '../contract/link/caller.ts';
import type { ServerAddress } from '../contract/values.ts';
import { localHost } from './hosts.ts';
import type { Links } from './links.ts';

const announcedAgainMs = 86_400_000;
const toldAgainMs = { first: 2_000, most: 300_000 };

type Options = { catalog: { readonly servers: Pick<Catalog['servers'], 'announce' | 'places'> }; links: Pick<Links, 'all' | 'onConnect'>; deployers: Pick<Links, 'all' | 'onConnect'>; /** Of this server; null: it takes no hosts. */ own: ServerPlace | null; clock: Clock; log: Log };

/** Tells the hosts that are connected and those that will be. Answers what looks whether there is something new to tell. */
export async function keepHostsTold({ catalog, links, deployers, own, clock, log }: Options): Promise<() => Promise<void>> {
  let servers: ServerAddress[] = [];
  let announcedMs = -Infinity;
  const told = new WeakMap<Caller, string>();
  const telling = new WeakSet<Caller>();

  async function look(): Promise<void> {
    if (clock.monotonicMs() - announcedMs >= announcedAgainMs) {
      await catalog.servers.announce(own);
      announcedMs = clock.monotonicMs();
    }
    servers = (await catalog.servers.places()).map((place) => ({ enrolment: { host: place.enrolment_host, port: place.enrolment_port }, orders: { host: place.orders_host, port: place.orders_port } }));
  }

  const isTold = (caller: Caller): boolean => servers.length === 0 || told.get(caller) === JSON.stringify(servers);

  async function tell(order: 'host.servers' | 'deployer.servers', host: string, caller: Caller): Promise<void> {
    // Whoever is at it tells what is newest.
    if (telling.has(caller)) return;
    telling.add(caller);
    const lost = new AbortController();
    void caller.closed.then((why) => lost.abort(why));
    for (let waitMs = toldAgainMs.first; !isTold(caller) && !lost.signal.aborted; ) {
      const text = JSON.stringify(servers);
      try {
        await caller.call(order, { servers });
        told.set(caller, text);
      } catch (error) {
        // A service of before this order goes on with the server that it knows.
        if (isFailure(error, orderNotUnderstood)) told.set(caller, text);
        log.info('a host was not told where the servers are', { host, order, why: describe(error) });
        if (isTold(caller)) break;
        await clock.wait(waitMs, lost.signal).catch(() => {});
        waitMs = Math.min(toldAgainMs.most, waitMs * 2);
      }
    }
    telling.delete(caller);
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
