/** Roles: those that are built in and those made here; and what a grant of one comes to. */
import type { Catalog } from '../../catalog/catalog.ts';
import type { RoleRow } from '../../catalog/people.ts';
import type { Clock } from '../../base/clock.ts';
import type { Role } from '../../contract/people.ts';
import { builtInRoles, grantable, type RestoreTarget } from '../../contract/roles.ts';
import type { Permission } from '../../contract/route.ts';
import { roleBuiltIn, roleExists, roleInUse, roleUnfit, roleUnknown } from './failures.ts';

/** `objects` and `targets`: null is all there are. */
export type Grant = { readonly role: string; readonly permissions: ReadonlySet<Permission>; readonly objects: readonly string[] | null; readonly targets: readonly RestoreTarget[] | null };

export type RoleGiven = { readonly permissions: readonly Permission[]; readonly objects: readonly string[] | null; readonly targets: readonly RestoreTarget[] | null };

/** What a role that is narrowed to objects can have: permissions about sets, groups and repositories, and what is kept of them. */
const aboutObjects = /^(sets|backups|points|restores|repositories|sessions)\.|^groups\.(read|rescan)$|^server\.read$/;

const builtIn = new Map<string, Grant>(Object.entries(builtInRoles).map(([role, { permissions }]) => [role, { role, permissions: new Set<Permission>(permissions), objects: null, targets: null }]));

export type Roles = ReturnType<typeof openRoles>;

export function openRoles({ catalog, clock }: { catalog: Catalog; clock: Clock }) {
  async function grant(name: string): Promise<Grant | undefined> {
    const row = builtIn.has(name) ? undefined : await catalog.roles.find(name);
    return builtIn.get(name) ?? (row === undefined ? undefined : grantOf(row));
  }

  async function find(name: string): Promise<Grant> {
    const found = await grant(name);
    if (found === undefined) throw roleUnknown({ role: name });
    return found;
  }

  async function made(name: string): Promise<RoleRow> {
    if (builtIn.has(name)) throw roleBuiltIn({ role: name });
    const row = await catalog.roles.find(name);
    if (row === undefined) throw roleUnknown({ role: name });
    return row;
  }

  const view = async (found: Grant): Promise<Role> => ({
    name: found.role,
    isBuiltIn: builtIn.has(found.role),
    says: found.role in builtInRoles ? builtInRoles[found.role as keyof typeof builtInRoles].says : null,
    permissions: [...found.permissions],
    objects: found.objects === null ? null : [...found.objects],
    targets: found.targets === null ? null : [...found.targets],
    users: (await catalog.users.withRole(found.role)).length,
  });

  return {
    find,
    view,
    made,
    /** Those that there are; a role that was removed grants nothing. */
    async grants(names: readonly string[]): Promise<Grant[]> {
      return (await Promise.all(names.map(grant))).filter((one) => one !== undefined);
    },
    list: async (): Promise<Role[]> => await Promise.all([...builtIn.values(), ...(await catalog.roles.list()).map(grantOf)].map(view)),

    async add(name: string, given: RoleGiven): Promise<Role> {
      requireFit(given);
      if (builtIn.has(name) || !(await catalog.roles.add({ name, ...columnsOf(given), added_ms: clock.now() }))) throw roleExists({ role: name });
      return await view(await find(name));
    },
    async edit(name: string, given: RoleGiven): Promise<Role> {
      await made(name);
      requireFit(given);
      await catalog.roles.update(name, columnsOf(given));
      return await view(await find(name));
    },
    async remove(name: string, usedBy: readonly string[], apply: boolean): Promise<void> {
      await made(name);
      if (usedBy.length > 0) throw roleInUse({ role: name, by: usedBy });
      if (apply) await catalog.roles.remove(name);
    },
  };
}

function grantOf({ name, permissions, objects, targets }: RoleRow): Grant {
  return {
    role: name,
    permissions: new Set(JSON.parse(permissions) as Permission[]),
    objects: objects === null ? null : (JSON.parse(objects) as string[]),
    targets: targets === null ? null : (JSON.parse(targets) as RestoreTarget[]),
  };
}

function columnsOf({ permissions, objects, targets }: RoleGiven): Pick<RoleRow, 'permissions' | 'objects' | 'targets'> {
  return { permissions: JSON.stringify([...new Set(permissions)]), objects: objects === null ? null : JSON.stringify(objects), targets: targets === null ? null : JSON.stringify(targets) };
}

function requireFit({ permissions, objects, targets }: RoleGiven): void {
  const notGrantable = permissions.filter((permission) => !grantable.includes(permission));
  if (notGrantable.length > 0) throw roleUnfit({ why: `${notGrantable.join(', ')} is no role's` });
  const general = permissions.filter((permission) => !aboutObjects.test(permission));
  if (objects !== null && general.length > 0) throw roleUnfit({ why: `a role that is narrowed to objects cannot have ${general.join(', ')}, which is about all of them` });
  if (targets !== null && !permissions.includes('restores.run')) throw roleUnfit({ why: 'targets narrow restores, and it does not have restores.run' });
}
