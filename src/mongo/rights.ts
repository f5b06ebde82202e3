import type { Document, MongoClient } from 'mongodb';
import type { Failure } from '../base/failure.ts';
import { notAuthorized, signInNeeded } from './failures.ts';

/** A privilege in mongod's own words. */
export type Right = {
  readonly resource: { readonly cluster: true } | { readonly anyResource: true } | { readonly db: string; readonly collection: string };
  readonly actions: readonly string[];
};

const CLUSTER = { cluster: true } as const;

/** What each kind of work asks of its user. A right of an earlier row is needed by the later ones too. */
export const rightsToDiscover: readonly Right[] = [
  { resource: CLUSTER, actions: ['replSetGetConfig', 'replSetGetStatus', 'serverStatus', 'getParameter'] },
  { resource: { db: 'local', collection: 'oplog.rs' }, actions: ['find', 'collStats'] },
];
export const rightsToFollowOplog: readonly Right[] = [
  ...rightsToDiscover,
  { resource: { db: 'config', collection: 'transactions' }, actions: ['find'] },
];
export const rightsToCopy: readonly Right[] = [...rightsToFollowOplog, { resource: CLUSTER, actions: ['fsync', 'unlock', 'inprog', 'getCmdLineOpts'] }];

/** What writing a collection into a database of a live set asks for. Renames need no right of their own beside these. */
export function rightsToRestore(databases: readonly string[]): Right[] {
  const actions = ['find', 'listCollections', 'listIndexes', 'createCollection', 'insert', 'bypassDocumentValidation', 'createIndex', 'collMod', 'dropCollection'];
  return [...new Set(databases)].map((db) => ({ resource: { db, collection: '' }, actions }));
}

/** The built-in roles, on admin, that hold the rights of each kind of work. */
export const rolesToProtect = ['backup', 'clusterMonitor', 'hostManager'] as const;
export const rolesToRestore = ['readWriteAnyDatabase', 'dbAdminAnyDatabase'] as const;

/**
 * Fails with all that is missing and the command that grants it: by these built-in roles, or without them by a role of its
 * own. A set without access control refuses nothing.
 */
export async function requireRights(client: MongoClient, address: string, needed: readonly Right[], roles?: readonly string[]): Promise<void> {
  const status = await client.db('admin').command({ connectionStatus: 1, showPrivileges: true });
  const info = status['authInfo'] as { authenticatedUsers: { user: string; db: string }[]; authenticatedUserPrivileges: Document[] };
  const [user] = info.authenticatedUsers;
  if (user === undefined) {
    if (await isOpenToAll(client)) return;
    throw signInNeeded({ address, create: roles === undefined ? createUserFor(needed) : createUserWith(roles) });
  }
  const missing = missingRights(needed, info.authenticatedUserPrivileges);
  if (missing.length > 0) throw notAuthorized({ address, user: user.user, missing: missing.map(showRight), grant: roles === undefined ? grantOf(needed, user) : grantRoles(roles, user) });
}

/** The part of `needed` that `held` (as connectionStatus shows it) does not contain. */
export function missingRights(needed: readonly Right[], held: readonly Document[]): Right[] {
  return needed.flatMap(({ resource, actions }) => {
    const lacking = actions.filter((action) => !held.some((one) => covers(one['resource'] as Document, resource) && (one['actions'] as string[]).includes(action)));
    return lacking.length === 0 ? [] : [{ resource, actions: lacking }];
  });
}

/** The empty database or collection stands for all of them; system collections are not among these. */
function covers(held: Document, wanted: Right['resource']): boolean {
  if (held['anyResource'] === true) return true;
  if ('cluster' in wanted) return held['cluster'] === true;
  if ('anyResource' in wanted || held['db'] === undefined) return false;
  if (held['db'] !== '' && held['db'] !== wanted.db) return false;
  return held['collection'] === wanted.collection || (held['collection'] === '' && !wanted.collection.startsWith('system.'));
}

async function isOpenToAll(client: MongoClient): Promise<boolean> {
  return await client.db('admin').command({ replSetGetStatus: 1 }).then(
    () => true,
    (error: { code?: unknown }) => error.code !== 13,
  );
}

export function showRight({ resource, actions }: Right): string {
  const on = 'cluster' in resource ? 'the cluster' : 'anyResource' in resource ? 'any resource' : resource.db === '' ? 'every database' : resource.collection === '' ? `database ${resource.db}` : `${resource.db}.${resource.collection}`;
  return `${actions.join(', ')} on ${on}`;
}

/** The exact commands that give a user all of `needed`, through a role of its own. */
export function grantOf(needed: readonly Right[], user: { user: string; db: string }): string {
  const role = JSON.stringify({ role: 'tidemark', privileges: merged(needed), roles: [] });
  const target = `${JSON.stringify(user.user)}, [{"role":"tidemark","db":"admin"}]`;
  return `db.getSiblingDB("admin").createRole(${role}); db.getSiblingDB(${JSON.stringify(user.db)}).grantRolesToUser(${target})`;
}

/** The command that gives a user built-in roles of the database admin. */
export function grantRoles(roles: readonly string[], user: { user: string; db: string }): string {
  const given = roles.map((role) => ({ role, db: 'admin' }));
  return `db.getSiblingDB(${JSON.stringify(user.db)}).grantRolesToUser(${JSON.stringify(user.user)}, ${JSON.stringify(given)})`;
}

function createUserWith(roles: readonly string[]): string {
  return `db.getSiblingDB("admin").createUser({"user":"tidemark","pwd":passwordPrompt(),"roles":${JSON.stringify(roles)}})`;
}

function createUserFor(needed: readonly Right[]): string {
  const role = JSON.stringify({ role: 'tidemark', privileges: merged(needed), roles: [] });
  return `db.getSiblingDB("admin").createRole(${role}); db.getSiblingDB("admin").createUser({"user":"tidemark","pwd":passwordPrompt(),"roles":["tidemark"]})`;
}

function merged(needed: readonly Right[]): Right[] {
  const byResource = new Map<string, { resource: Right['resource']; actions: string[] }>();
  for (const { resource, actions } of needed) {
    const key = JSON.stringify(resource);
    const one = byResource.get(key) ?? { resource, actions: [] };
    for (const action of actions) if (!one.actions.includes(action)) one.actions.push(action);
    byResource.set(key, one);
  }
  return [...byResource.values()];
}

/** mongod refused one command (code 13) that nobody asked about beforehand. */
export function refusedRight(why: string, address: string, at: { command: string; user: string }, cause: unknown): Failure {
  // mongod repeats the whole command, with the cluster's signed time in it: only its name is passed on.
  const [, on, refused] = /not authorized on (\S+)(?: to execute command \{ ?(\w+))?/.exec(why) ?? [];
  const right = ACTIONS[refused ?? at.command] ?? { resource: CLUSTER, actions: [refused ?? at.command] };
  const missing = /requires authentication/.test(why) ? `${at.command} without signing in` : on === undefined ? at.command : `${refused ?? at.command} on database ${on}`;
  return notAuthorized({ address, user: at.user, missing: [missing], grant: grantOf([right], { user: at.user, db: 'admin' }) }, cause);
}

/** Commands whose action has another name than they have. */
const ACTIONS: Record<string, Right> = {
  find: { resource: { db: '', collection: '' }, actions: ['find'] },
  aggregate: { resource: { db: '', collection: '' }, actions: ['find'] },
  currentOp: { resource: CLUSTER, actions: ['inprog'] },
  fsyncUnlock: { resource: CLUSTER, actions: ['unlock'] },
  validate: { resource: { db: '', collection: '' }, actions: ['validate'] },
  dbHash: { resource: { db: '', collection: '' }, actions: ['dbHash'] },
  listCollections: { resource: { anyResource: true }, actions: ['listCollections'] },
  create: { resource: { db: '', collection: '' }, actions: ['createCollection'] },
  insert: { resource: { db: '', collection: '' }, actions: ['insert', 'bypassDocumentValidation'] },
  createIndexes: { resource: { db: '', collection: '' }, actions: ['createIndex'] },
  collMod: { resource: { db: '', collection: '' }, actions: ['collMod'] },
  drop: { resource: { db: '', collection: '' }, actions: ['dropCollection'] },
  renameCollection: { resource: { db: '', collection: '' }, actions: ['find', 'insert', 'createIndex', 'dropCollection'] },
  listIndexes: { resource: { anyResource: true }, actions: ['listIndexes'] },
};
