/**
 * Which way a host's data goes to a repository: straight, or through one of the repository's gateways (docs/design/data-channel.md,
 * "Gateways"). The settings decide alone, so that the port plan knows what the sessions will do; nothing is tried out.
 */
import * as z from 'zod';
import type { Catalog } from '../catalog/catalog.ts';
import type { HostRow } from '../catalog/hosts.ts';
import type { RepositoryRow } from '../catalog/repositories.ts';
import type { RepositoryGateways } from '../contract/routes/repositories.ts';
import type { Links } from './links.ts';

/** Ids of hosts. `hosts`: those that go through a gateway; null: all of them. */
const storedGateways = z.object({ through: z.array(z.string()), hosts: z.array(z.string()).nullable() });
export type Gateways = z.infer<typeof storedGateways>;

export function gatewaysOf(row: Pick<RepositoryRow, 'gateways'>): Gateways {
  return storedGateways.parse(JSON.parse(row.gateways));
}

export function isBehindGateway(row: Pick<RepositoryRow, 'gateways' | 'host'>, host: string): boolean {
  const { through, hosts } = gatewaysOf(row);
  return through.length > 0 && host !== row.host && !through.includes(host) && (hosts === null || hosts.includes(host));
}

/** Of the gateways that are connected, the one with the least to pass on; null where the data goes straight. */
export async function chooseGateway(row: RepositoryRow, host: string, { catalog, links }: { catalog: Catalog; links: Links }): Promise<string | null> {
  if (!isBehindGateway(row, host)) return null;
  const tasks = await catalog.sessions.openTasks();
  const load = (id: string): number => tasks.filter((task) => task.kind === 'relay-channels' && task.host === id).length;
  const isAway = (id: string): number => (links.standing(id)?.state === 'connected' ? 0 : 1);
  const [best] = gatewaysOf(row).through.toSorted((a, b) => isAway(a) - isAway(b) || load(a) - load(b));
  return best ?? null;
}

/** As they are shown: by name, without those that are gone. */
export function nameGateways(row: RepositoryRow, known: readonly HostRow[]): RepositoryGateways {
  const { through, hosts } = gatewaysOf(row);
  const named = (ids: readonly string[]): string[] => known.filter(({ id }) => ids.includes(id)).map(({ name }) => name);
  return { through: named(through), hosts: hosts === null ? null : named(hosts) };
}
