/** A protection group as the contract shows it. */
import type { Catalog } from '../catalog/catalog.ts';
import type { GroupComputerRow, GroupRow, GroupSetRow } from '../catalog/groups.ts';
import type { HostRow } from '../catalog/hosts.ts';
import type { Group, GroupComputer, GroupSet } from '../contract/groups.ts';
import { hostLook } from '../contract/host-look.ts';
import { nextRescan } from '../domain/rescan-schedule.ts';
import { knownNode } from './computer-nodes.ts';
import { lookOf, optionsOf } from './groups.ts';
import type { Links } from './links.ts';

type Known = { catalog: Catalog; links: Links };

export async function viewGroup(row: GroupRow, { catalog, links }: Known): Promise<Group> {
  const options = optionsOf(row);
  const [sets, computers, hosts, credentials, protectedSets] = await Promise.all([catalog.groups.sets(row.id), catalog.groups.computers(row.id), catalog.hosts.list(), catalog.credentials.list(), catalog.sets.list()]);
  const nameOf = (id: string | null): string | null => (id === null ? null : (credentials.find((one) => one.id === id)?.name ?? null));
  return {
    id: row.id,
    name: row.name,
    isEnabled: row.is_enabled === 1,
    ...options,
    hostCredential: nameOf(options.hostCredential),
    sets: sets.map((set) => viewSet(set, nameOf(set.credential), protectedSets.find(({ id }) => id === set.set_id)?.name ?? null)),
    computers: computers.map((computer) => viewComputer(computer, { sets, links, node: knownNode(computer, hosts), credential: nameOf(computer.credential) })),
    addedAtMs: row.added_ms,
    nextRescanAtMs: row.is_enabled === 1 ? nextRescan(options.schedule, options.timeZone, row.counts_from_ms) : null,
  };
}

function viewSet(row: GroupSetRow, credential: string | null, protectedAs: string | null): GroupSet {
  const look = lookOf(row);
  return { id: row.set_id, name: look.name, seed: { host: row.seed_host, port: row.seed_port }, credential, members: look.members, lookedAtMs: row.looked_ms, says: row.says, protectedAs };
}

function viewComputer(row: GroupComputerRow, known: { sets: readonly GroupSetRow[]; links: Links; node: HostRow | undefined; credential: string | null }): GroupComputer {
  const look = row.look === null ? null : hostLook.parse(JSON.parse(row.look));
  const standing = known.node === undefined ? undefined : known.links.standing(known.node.id);
  const members = known.sets.map(lookOf).flatMap((set) => set.members.filter(({ host }) => host === row.name).map(({ host, port }) => `${set.name} ${host.includes(':') ? `[${host}]` : host}:${port}`));
  return {
    name: row.name,
    address: row.address,
    isInScope: row.in_scope === 1,
    credential: known.credential,
    awaitsKit: row.awaits_kit === 1,
    node: known.node?.name ?? null,
    link: standing?.state ?? null,
    serviceVersion: standing?.version ?? null,
    members,
    system: look?.system ?? null,
    mongods: look?.mongods ?? [],
    lookedAtMs: row.looked_ms,
    says: row.says,
  };
}
