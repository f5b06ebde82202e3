/**
 * What somebody can reach. A sign-in has layers (the roles of its user; for a token with a role of its own, that role, too), and
 * every layer has to have a grant that allows the question: its permission, its objects, its restore target.
 *
 * A grant that is narrowed opens a route only about objects that are in it. A route about nothing in particular it opens when
 * the answer is a list, from which the rest is taken out, or when it tells of the server alone.
 */
import type { Catalog } from '../../catalog/catalog.ts';
import { grantable, startedBy, targetOfKind, type RestoreTarget } from '../../contract/roles.ts';
import type { Permission, Route } from '../../contract/route.ts';
import type { RouteName } from '../../contract/routes.ts';
import type { SessionKind } from '../../contract/sessions.ts';
import { notAllowed } from '../failures.ts';
import { notInReach } from './failures.ts';
import type { Grant } from './roles.ts';

export type SignIn = {
  /** For the audit: the name of a user, or `admin`. */
  readonly who: string;
  readonly kind: 'admin-token' | 'sign-in' | 'api-token';
  readonly userId: string | null;
  readonly tokenId: string | null;
  readonly expiresAtMs: number | null;
  readonly layers: readonly (readonly Grant[])[];
};

export type Asked = { readonly params?: unknown; readonly query?: unknown; readonly body?: unknown };

export type Reach = {
  /** Fails when the question is about what the asker does not reach. The permission itself was asked for before. */
  demand(signIn: SignIn, name: RouteName, route: Route, asked: Asked): Promise<void>;
  /** An answer that is a list, without what the asker does not reach. */
  narrow(signIn: SignIn, name: RouteName, route: Route, answer: unknown): Promise<unknown>;
};

export function demandPermission({ layers }: SignIn, permission: Permission): void {
  if (permission === 'self') return;
  const missing = layers.find((grants) => !grants.some(({ permissions }) => permissions.has(permission)));
  if (missing !== undefined) throw notAllowed({ permission, role: missing.map(({ role }) => role).join(', ') || 'none' });
}

/** The permission for every object there is. */
export function demandEverywhere(signIn: SignIn, permission: Permission, what: string): void {
  demandPermission(signIn, permission);
  const narrowed = signIn.layers.find((grants) => !grants.some(({ permissions, objects }) => permissions.has(permission) && objects === null));
  if (narrowed !== undefined) throw notInReach({ what, role: narrowed.map(({ role }) => role).join(', ') });
}

/** Whether somebody has all there is to have, narrowed by nothing. */
export function hasEverything({ layers }: SignIn): boolean {
  return layers.every((grants) => grants.some(isEverything));
}

export function isEverything({ permissions, objects, targets }: Pick<Grant, 'permissions' | 'objects' | 'targets'>): boolean {
  return objects === null && targets === null && grantable.every((permission) => permissions.has(permission));
}

/** Names by which a role can mean a thing: `set:shop`, `group:all`. Undefined: there is no such thing. */
type Names = readonly string[];
type About = { readonly what: string; readonly names: Names | undefined };

const targetOfRoute: Readonly<Partial<Record<RouteName, RestoreTarget>>> = { 'restore.collections': 'live', 'restore.set': 'directories', 'publication.start': 'publish', 'publication.stop': 'publish' };

/** Routes that are about no object and stay open to a narrowed role. */
const general: ReadonlySet<RouteName> = new Set(['server.info', 'server.openapi']);

/** Routes that name one object and change others, whichever these are: sets that have an archive there move. */
const beyondTheirObject: ReadonlySet<RouteName> = new Set(['repository.adopt']);

/** `wishOf`: what a session was asked to do. */
export function openReach(catalog: Catalog, wishOf: (session: string) => Promise<unknown>): Reach {
  const found = foundNames(catalog);

  /** In every layer, one and the same grant has the permission, the object and the target: what several have does not add up. */
  function demandGrant(signIn: SignIn, { permission, target, about }: { permission: Permission; target?: RestoreTarget | undefined; about?: About | undefined }): void {
    for (const grants of signIn.layers) {
      const able = grants.filter(({ permissions }) => permissions.has(permission));
      const role = able.map((grant) => grant.role).join(', ');
      const aiming = able.filter(({ targets }) => target === undefined || targets === null || targets.includes(target));
      if (aiming.length === 0) throw notInReach({ what: `the restore target "${target}"`, role });
      if (about === undefined || aiming.some(({ objects }) => objects === null || about.names?.some((name) => objects.includes(name)) === true)) continue;
      throw notInReach({ what: about.what, role });
    }
  }

  const isNarrowed = ({ layers }: SignIn, permission: Permission, target?: RestoreTarget): boolean =>
    layers.some((grants) => grants.filter(({ permissions, targets }) => permissions.has(permission) && (target === undefined || targets === null || targets.includes(target))).every(({ objects }) => objects !== null));

  /** Trying again what somebody started is starting it: the permission, object and target of its kind. */
  async function demandRetry(signIn: SignIn, id: string): Promise<void> {
    const row = await catalog.sessions.find(id);
    if (row === undefined) return;
    const kind = row.kind as SessionKind;
    demandPermission(signIn, startedBy[kind]);
    demandGrant(signIn, { permission: startedBy[kind], target: targetOfKind[kind], about: { what: `session ${id}`, names: await found.byRef({ kind: 'session', name: id }) } });
    const from = kind === 'repair' ? ((await wishOf(id)) as { from: string | null }).from : null;
    if (from !== null) demandGrant(signIn, { permission: startedBy[kind], about: { what: `repository ${from}`, names: await found.byRef({ kind: 'repository', name: from }) } });
  }

  function isReached(signIn: SignIn, permission: Permission, names: Names | undefined): boolean {
    return signIn.layers.every((grants) => grants.some(({ permissions, objects }) => permissions.has(permission) && (objects === null || names?.some((name) => objects.includes(name)) === true)));
  }

  return {
    async demand(signIn, name, route, asked) {
      const { permission } = route;
      if (permission === 'self' || permission === 'anyone') return;
      if (name === 'session.retry') await demandRetry(signIn, String((asked.params as { session: string }).session));
      const target = targetOfRoute[name];
      demandGrant(signIn, { permission, target });
      if (!isNarrowed(signIn, permission, target)) return;
      const about = beyondTheirObject.has(name) ? undefined : await found.of(name, asked);
      if (about !== undefined) for (const one of about) demandGrant(signIn, { permission, target, about: one });
      else if (!general.has(name) && lists[name] === undefined) throw notInReach({ what: `"${name}", which is about ${beyondTheirObject.has(name) ? 'more than one object' : 'no object in particular'},`, role: signIn.layers.flat().map(({ role }) => role).join(', ') });
    },

    async narrow(signIn, name, route, answer) {
      const list = lists[name];
      if (list === undefined || !isNarrowed(signIn, route.permission)) return answer;
      const rows = (answer as Record<string, Record<string, unknown>[]>)[list.field]!;
      const kept: unknown[] = [];
      for (const row of rows) if (isReached(signIn, route.permission, await found.byRef(list.ref(row)))) kept.push(row);
      return { ...(answer as object), [list.field]: kept };
    },
  };
}

type Ref = { readonly kind: 'set' | 'group' | 'repository' | 'session' | 'point' | 'publication'; readonly name: string };

/** Where lists have what their rows are about. */
const lists: Readonly<Partial<Record<RouteName, { field: string; ref: (row: Record<string, unknown>) => Ref }>>> = {
  'set.list': { field: 'sets', ref: ({ id }) => ({ kind: 'set', name: String(id) }) },
  'group.list': { field: 'groups', ref: ({ id }) => ({ kind: 'group', name: String(id) }) },
  'repository.list': { field: 'repositories', ref: ({ id }) => ({ kind: 'repository', name: String(id) }) },
  'point.list': { field: 'points', ref: ({ id }) => ({ kind: 'point', name: String(id) }) },
  'session.list': { field: 'sessions', ref: ({ id }) => ({ kind: 'session', name: String(id) }) },
  'publication.list': { field: 'publications', ref: ({ id }) => ({ kind: 'publication', name: String(id) }) },
};

const kinds = ['set', 'group', 'repository', 'session', 'point', 'publication'] as const;

function foundNames(catalog: Catalog) {
  async function ofSet(setId: string, name: string | undefined): Promise<Names> {
    const member = await catalog.groups.set(setId);
    const group = member === undefined ? undefined : await catalog.groups.find(member.group_id);
    return [...(name === undefined ? [] : [`set:${name}`]), `set:${setId}`, ...(group === undefined ? [] : [`group:${group.name}`])];
  }

  async function byRef({ kind, name }: Ref): Promise<Names | undefined> {
    switch (kind) {
      case 'set': {
        const row = await catalog.sets.find(name);
        return row === undefined ? undefined : await ofSet(row.id, row.name);
      }
      case 'group': {
        const row = await catalog.groups.find(name);
        return row === undefined ? undefined : [`group:${row.name}`];
      }
      case 'repository': {
        const row = await catalog.repositories.find(name);
        return row === undefined ? undefined : [`repository:${row.name}`];
      }
      case 'point': {
        const row = await catalog.points.find(name);
        return row === undefined ? undefined : await ofSet(row.set_id, (await catalog.sets.find(row.set_id))?.name);
      }
      case 'publication': {
        const row = await catalog.publications.find(name);
        return row === undefined ? undefined : await ofSet(row.set_id, row.set_name);
      }
      case 'session': {
        const row = await catalog.sessions.find(name);
        if (row === undefined) return undefined;
        if (row.set_id !== null) return await ofSet(row.set_id, (await catalog.sets.find(row.set_id))?.name);
        return [`${row.object_kind}:${row.object_name}`];
      }
    }
  }

  return {
    byRef,
    /** What a question is about; undefined: nothing in particular. */
    async of(name: RouteName, { params, query, body }: Asked): Promise<About[] | undefined> {
      const given = (params ?? {}) as Record<string, string>;
      const kind = kinds.find((one) => given[one] !== undefined);
      const about = async (ref: Ref): Promise<About> => ({ what: `${ref.kind} ${ref.name}`, names: await byRef(ref) });
      if (name === 'point.delete') return await Promise.all((body as { points: string[] }).points.map(async (point) => await about({ kind: 'point', name: point })));
      const from = name === 'repository.repair' ? (body as { from: string | null }).from : null;
      if (kind !== undefined) return [await about({ kind, name: given[kind]! }), ...(from === null ? [] : [await about({ kind: 'repository', name: from })])];
      const set = (query as { set?: string } | undefined)?.set;
      return set === undefined ? undefined : [await about({ kind: 'set', name: set })];
    },
  };
}
