/** Protection groups: what is to be protected and how it is reached (docs/design/groups.md). */
import type { Catalog } from '../catalog/catalog.ts';
import type { GroupComputerRow, GroupRow, GroupSetRow, NamedComputers } from '../catalog/groups.ts';
import { atOnce } from '../base/at-once.ts';
import type { Clock } from '../base/clock.ts';
import { sortableId } from '../base/ids.ts';
import { groupOptions, type DeploymentWish, type GroupOptions } from '../contract/groups.ts';
import { setLook, type MongoTarget, type SetLook } from '../contract/values.ts';
import { isTimeZone } from '../domain/rescan-schedule.ts';
import type { Credentials } from './credentials.ts';
import { timeZoneUnknown } from './failures.ts';
import { computerUnknown, deploymentUnknown, foundSetUnknown, groupEmpty, groupExists, groupInUse, groupUnknown, setInGroup } from './group-failures.ts';
import { orphanOutOfGroup } from './orphans.ts';
import type { LookAtSet } from './set-looks.ts';

export type ComputerChange = { computer: string; address?: string; credential?: string | null; awaitsKit?: boolean; isInScope?: boolean };
export type GroupChange = Partial<GroupOptions> & { name?: string; addDeployments: readonly DeploymentWish[]; removeSets: readonly string[]; computers: readonly ComputerChange[] };
export type NewGroup = GroupOptions & { name: string; deployments: readonly DeploymentWish[]; candidates: readonly DeploymentWish[] };

/** One that does not answer takes seconds; all of them together have to be an answer to one request. */
const candidatesAtOnce = 25;

export type Groups = ReturnType<typeof openGroups>;

export function openGroups(options: { catalog: Catalog; credentials: Credentials; lookAtSet: LookAtSet; clock: Clock }) {
  const { catalog, credentials, lookAtSet, clock } = options;
  const store = catalog.groups;

  async function find(nameOrId: string): Promise<GroupRow> {
    const row = await store.find(nameOrId);
    if (row === undefined) throw groupUnknown({ group: nameOrId });
    return row;
  }

  /** Names of credentials become ids, so that a group keeps its own when another takes the name. */
  async function checked<T extends Partial<GroupOptions>>(given: T): Promise<T> {
    if (given.timeZone !== undefined && !isTimeZone(given.timeZone)) throw timeZoneUnknown({ timeZone: given.timeZone });
    return given.hostCredential == null ? given : { ...given, hostCredential: await hostCredential(given.hostCredential) };
  }

  async function hostCredential(name: string): Promise<string> {
    await credentials.host(name);
    return (await credentials.find(name)).id;
  }

  /** The seed first, then every member that is known: whoever answers is good. */
  async function target(row: Pick<GroupSetRow, 'seed_host' | 'seed_port' | 'credential'>, known?: SetLook): Promise<MongoTarget> {
    const seed = { host: row.seed_host, port: row.seed_port };
    const members = (known?.members ?? []).filter(({ isArbiter }) => !isArbiter).map(({ host, port }) => ({ host, port }));
    const hosts = [seed, ...members.filter(({ host, port }) => host !== seed.host || port !== seed.port)];
    return { hosts, ...(row.credential === null ? { credential: { kind: 'none' as const } } : await credentials.database(row.credential)) };
  }

  async function firstLook(group: string, wish: DeploymentWish): Promise<GroupSetRow> {
    const credential = wish.credential === null ? null : (await credentials.find(wish.credential)).id;
    const row = { seed_host: wish.host, seed_port: wish.port, credential };
    const look = await lookAtSet(await target(row));
    return { ...row, set_id: look.setId, group_id: group, look: JSON.stringify(look), looked_ms: clock.now(), says: null };
  }

  /** Sets that the candidates are members of, each once, without those that are in a group or named already. */
  async function answeringSets(group: string, candidates: readonly DeploymentWish[], named: readonly GroupSetRow[]): Promise<GroupSetRow[]> {
    const looks = await atOnce(candidatesAtOnce, candidates, async (wish) => await firstLook(group, wish).catch(() => undefined));
    const found = new Map(looks.filter((look) => look !== undefined).map((look) => [look.set_id, look]));
    for (const known of [...named, ...(await store.allSets())]) found.delete(known.set_id);
    return [...found.values()];
  }

  async function refuseTaken(taken: GroupSetRow | undefined): Promise<void> {
    if (taken === undefined) return;
    throw setInGroup({ set: lookOf(taken).name, group: (await store.find(taken.group_id))?.name ?? taken.group_id });
  }

  async function findSet(group: GroupRow, nameOrId: string): Promise<GroupSetRow> {
    const row = (await store.sets(group.id)).find((one) => one.set_id === nameOrId || lookOf(one).name === nameOrId || `${one.seed_host}:${one.seed_port}` === nameOrId);
    if (row === undefined) throw deploymentUnknown({ group: group.name, set: nameOrId });
    return row;
  }

  async function findComputer(group: GroupRow, name: string): Promise<GroupComputerRow> {
    const row = (await store.computers(group.id)).find((one) => one.name === name);
    if (row === undefined) throw computerUnknown({ group: group.name, computer: name });
    return row;
  }

  /** `isInScope`: of computers that are named for the first time. */
  const named = (group: string, isInScope: boolean): NamedComputers => ({
    of: (sets) => [...new Set(sets.flatMap((set) => lookOf(set).members.map(({ host }) => host)))],
    fresh: (name) => ({ group_id: group, name, address: name, credential: null, awaits_kit: 0, in_scope: isInScope ? 1 : 0, host: null, look: null, looked_ms: null, says: null }),
  });

  async function changeOf({ address, credential, awaitsKit, isInScope }: ComputerChange): Promise<Partial<GroupComputerRow>> {
    return {
      ...(address !== undefined && { address, host: null }),
      ...(credential !== undefined && { credential: credential === null ? null : await hostCredential(credential), awaits_kit: 0 }),
      ...(awaitsKit !== undefined && { awaits_kit: awaitsKit ? 1 : 0 }),
      ...(isInScope !== undefined && { in_scope: isInScope ? 1 : 0 }),
    };
  }

  return {
    find,
    findSet,
    findComputer,
    target,
    list: async (): Promise<GroupRow[]> => await store.list(),
    async refuseUsed(row: GroupRow): Promise<void> {
      const policies = (await catalog.policies.naming([row.id])).map(({ name }) => name);
      if (policies.length > 0) throw groupInUse({ group: row.name, policies });
    },
    async remove(row: GroupRow): Promise<void> {
      await store.remove(row.id);
    },

    async add({ name, deployments, candidates, ...given }: NewGroup): Promise<GroupRow> {
      if ((await store.find(name)) !== undefined) throw groupExists({ name });
      const kept = groupOptions.parse(await checked(given));
      const row: GroupRow = { id: sortableId(clock), name, options: JSON.stringify(kept), is_enabled: 1, counts_from_ms: clock.now(), added_ms: clock.now() };
      // A credential that is not there is a mistake, and no candidate without an answer.
      for (const { credential } of candidates) if (credential !== null) await credentials.database(credential);
      const wished = await Promise.all(deployments.map(async (wish) => await firstLook(row.id, wish)));
      const sets = [...wished, ...(await answeringSets(row.id, candidates, wished))];
      if (sets.length === 0) throw groupEmpty({ name, candidates: candidates.length });
      const twice = sets.find((set, at) => sets.findIndex(({ set_id }) => set_id === set.set_id) < at);
      if (twice !== undefined) throw setInGroup({ set: lookOf(twice).name, group: name });
      await refuseTaken(await store.add(row, sets, named(row.id, true)));
      return row;
    },

    async edit(row: GroupRow, change: GroupChange): Promise<GroupRow> {
      const { name, addDeployments, removeSets, computers, ...given } = change;
      const other = name === undefined ? undefined : await store.find(name);
      if (other !== undefined && other.id !== row.id) throw groupExists({ name: other.name });
      // Everything that can be refused is asked before anything is changed.
      const kept = groupOptions.parse({ ...optionsOf(row), ...(await checked(withoutUndefined(given))) });
      const gone = await Promise.all(removeSets.map(async (set) => await findSet(row, set)));
      const changes = await Promise.all(computers.map(async (one) => ({ name: (await findComputer(row, one.computer)).name, change: await changeOf(one) })));
      const sets = await Promise.all(addDeployments.map(async (wish) => await firstLook(row.id, wish)));
      for (const set of sets) await refuseTaken(await store.addSet(set, named(row.id, true)));
      await orphanOutOfGroup(row.id, gone.map(({ set_id }) => set_id), { catalog, clock });
      for (const set of gone) await store.removeSet(set, named(row.id, true));
      for (const one of changes) if (Object.keys(one.change).length > 0) await store.updateComputer(row.id, one.name, one.change);
      const restarts = change.schedule !== undefined || change.timeZone !== undefined;
      await store.update(row.id, { name: name ?? row.name, options: JSON.stringify(kept), ...(restarts && { counts_from_ms: clock.now() }) });
      return await find(row.id);
    },

    /** What it missed while it was disabled is not made up. */
    async enable(row: GroupRow, isEnabled: boolean): Promise<GroupRow> {
      await store.update(row.id, { is_enabled: isEnabled ? 1 : 0, ...(isEnabled && row.is_enabled === 0 && { counts_from_ms: clock.now() }) });
      return await find(row.id);
    },

    /** Writes down a new look at a set, and the computers that come and go with it. */
    async saveLook(group: GroupRow, setId: string, look: SetLook): Promise<void> {
      const isIncluded = optionsOf(group).newMembers === 'include';
      await store.refreshSet(group.id, setId, { look: JSON.stringify(look), looked_ms: clock.now(), says: null }, named(group.id, isIncluded));
    },

    /** How a set that a group has found is reached. */
    async foundTarget(nameOrId: string, groupName?: string): Promise<MongoTarget> {
      const groups = groupName === undefined ? await store.list() : [await find(groupName)];
      const all = (await Promise.all(groups.map(async (group) => (await store.sets(group.id)).map((set) => ({ group, set }))))).flat();
      const matching = all.filter(({ set }) => set.set_id === nameOrId || lookOf(set).name === nameOrId);
      const [only] = matching;
      if (only === undefined || matching.length > 1) throw foundSetUnknown({ set: nameOrId, groups: matching.map(({ group }) => group.name) });
      return await target(only.set, lookOf(only.set));
    },

    /** Names of the groups that sign in with a credential. */
    async using(credential: string): Promise<string[]> {
      const [groups, sets, computers] = [await store.list(), await store.allSets(), await store.allComputers()];
      const ids = new Set([...sets, ...computers].filter((row) => row.credential === credential).map(({ group_id }) => group_id));
      return groups.filter((row) => ids.has(row.id) || optionsOf(row).hostCredential === credential).map(({ name }) => name);
    },
  };
}

export function optionsOf(row: GroupRow): GroupOptions {
  return groupOptions.parse(JSON.parse(row.options));
}

export function lookOf(row: GroupSetRow): SetLook {
  return setLook.parse(JSON.parse(row.look));
}

function withoutUndefined<T extends object>(given: T): Partial<T> {
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)) as Partial<T>;
}
