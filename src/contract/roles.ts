/** The built-in roles, and what a role that is made can be narrowed to. Together with the permissions of the routes this is the whole of who may ask for what. */
import { permissions, type Permission } from './route.ts';
import type { SessionKind } from './sessions.ts';

const every = Object.keys(permissions) as Permission[];
/** What a role can have: the two that are no role's belong to whoever asks. */
export const grantable: readonly Permission[] = every.filter((permission) => permission !== 'self' && permission !== 'anyone');

const readsOfPeople: readonly Permission[] = ['people.read', 'directory.read', 'audit.read'];
const reads = grantable.filter((permission) => permission.endsWith('.read'));
const readsOfBackups = reads.filter((permission) => !readsOfPeople.includes(permission));

export type BuiltInRole = { readonly says: string; readonly permissions: readonly Permission[] };

export const builtInRoles = {
  administrator: { says: 'everything', permissions: grantable },
  'security-administrator': { says: 'read everything; users, roles, tokens of others, the directory, credentials', permissions: [...reads, 'people.write', 'directory.write', 'credentials.write'] },
  'backup-operator': {
    says: 'read what is backed up; protect, back up, verify, hold, rescan, check and sweep',
    permissions: [...readsOfBackups, 'sets.write', 'groups.write', 'groups.rescan', 'backups.run', 'policies.run', 'points.verify', 'points.hold', 'repositories.maintain', 'ports.check', 'sessions.write'],
  },
  'restore-operator': { says: 'read what is backed up; restore, publish, search the oplog, verify, hold', permissions: [...readsOfBackups, 'restores.run', 'points.verify', 'points.hold', 'sessions.write'] },
  metrics: { says: 'read the metrics and the health of the server, and nothing else', permissions: ['metrics.read'] },
  viewer: { says: 'read what is backed up', permissions: readsOfBackups },
} as const satisfies Record<string, BuiltInRole>;

/** Where a restore may write: into a live set, into new data directories, into a publication that is thrown away. */
export const restoreTargets = ['live', 'directories', 'publish'] as const;
export type RestoreTarget = (typeof restoreTargets)[number];

/** The permission that starts a session of a kind, and so retries it. */
export const startedBy: Readonly<Record<SessionKind, Permission>> = {
  backup: 'backups.run',
  oplog: 'backups.run',
  'oplog-find': 'restores.run',
  verify: 'points.verify',
  'restore-set': 'restores.run',
  'restore-collections': 'restores.run',
  publish: 'restores.run',
  check: 'repositories.maintain',
  sweep: 'repositories.maintain',
  test: 'repositories.maintain',
  repair: 'repositories.maintain',
  copy: 'backups.run',
  'copy-oplog': 'backups.run',
  rescan: 'groups.rescan',
  deploy: 'hosts.write',
  update: 'hosts.write',
  configure: 'hosts.write',
  uninstall: 'hosts.write',
  retention: 'points.delete',
};

export const targetOfKind: Readonly<Partial<Record<SessionKind, RestoreTarget>>> = { 'restore-collections': 'live', 'restore-set': 'directories', publish: 'publish' };
