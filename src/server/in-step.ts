/** What other servers on the same catalog have changed: certificates in force, and the hosts that links are kept to. */
import type { Catalog } from '../catalog/catalog.ts';
import type { HostRow } from '../catalog/hosts.ts';
import type { Admission } from './admission.ts';
import type { Links } from './links.ts';

export function openInStep({ catalog, admission, links, deployers }: { catalog: Catalog; admission: Admission; links: Links; deployers: Links }): () => Promise<void> {
  const dialled = new Map<string, string>();
  const placeOf = ({ address, control_port, deployer_port, dials }: HostRow): string => JSON.stringify([address, control_port, deployer_port, dials]);

  async function keep(which: Links, host: HostRow, isWanted: boolean, isMoved: boolean): Promise<void> {
    const isThere = which.standing(host.id) !== undefined;
    if (isWanted && (!isThere || isMoved)) await which.open(host);
    if (!isWanted && isThere) await which.drop(host.id);
  }

  return async () => {
    await admission.refresh();
    const hosts = await catalog.hosts.list();
    for (const host of hosts) {
      const place = placeOf(host);
      const isMoved = (dialled.get(host.id) ?? place) !== place;
      dialled.set(host.id, place);
      await keep(links, host, host.state === 'enrolled', isMoved);
      await keep(deployers, host, host.deployer_ms !== null, isMoved);
    }
    const known = new Set(hosts.map(({ id }) => id));
    for (const which of [links, deployers]) for (const { id } of which.all()) if (!known.has(id)) await which.drop(id);
  };
}
