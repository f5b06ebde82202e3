/** People: users, their roles and tokens. Passwords and codes in these cross only TLS links and are never answered. */
import * as z from 'zod';
import { restoreTargets } from './roles.ts';
import { permissions, type Permission } from './route.ts';

/** Who in the audit is no person. */
const notPeople: ReadonlySet<string> = new Set(['admin', 'tidemark']);

/** Of a local user. Names of the directory have an @ in them, so the two cannot be taken for each other. */
export const localName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/)
  .refine((name) => !notPeople.has(name), 'admin and tidemark are nobody\'s: the audit calls the admin token and the server so');
/** As people type it: a local name, or `user`, `user@suffix`, `DOMAIN\user` of the directory. */
export const typedName = z.string().min(1).max(256).regex(/^[^\p{Cc}]+$/u);
/** Any password that somebody may have; the rules hold for those that are set here. An empty one is no password to any server. */
export const password = z.string().min(1).max(256).regex(/^[^\0\r\n]+$/);
export const code = z.string().regex(/^\d{6}$/);
export const roleName = z.string().regex(/^[a-z][a-z0-9-]{0,63}$/);
export const tokenName = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/);

export const user = z
  .object({
    id: z.string(),
    /** Of the directory: `anna@comp.test`. */
    name: z.string(),
    source: z.enum(['local', 'directory']),
    roles: z.array(z.string()),
    isDisabled: z.boolean(),
    /** The password was set by somebody else and opens only its own change. */
    mustChangePassword: z.boolean(),
    hasSecondFactor: z.boolean(),
    /** Until when wrong passwords have locked the name; null: they have not. */
    lockedUntilMs: z.number().nullable(),
    lastSignInAtMs: z.number().nullable(),
    /** When the directory last said what this account is. */
    checkedAtMs: z.number().nullable(),
    /** What the directory said when it was not that all is well. */
    says: z.string().nullable(),
    addedAtMs: z.number(),
  })
  .meta({ id: 'User' });
export type User = z.infer<typeof user>;

export const token = z
  .object({
    id: z.string(),
    /** `sign-in` is what a password got; `api` was made for a program. */
    kind: z.enum(['sign-in', 'api']),
    user: z.string(),
    name: z.string().nullable(),
    /** It allows what this role and its user both allow; null: what its user does. */
    role: z.string().nullable(),
    createdAtMs: z.number(),
    expiresAtMs: z.number(),
    usedAtMs: z.number().nullable(),
    /** The address it was made from. */
    from: z.string(),
  })
  .meta({ id: 'Token' });
export type Token = z.infer<typeof token>;

const permission = z.enum(Object.keys(permissions) as [Permission, ...Permission[]]);
export const roleObject = z.string().regex(/^(set|group|repository):[^\p{Cc}]{1,200}$/u);
const given = {
  permissions: z.array(permission).min(1),
  objects: z.array(roleObject).min(1).nullable().meta({ description: '`set:NAME`, `group:NAME` with its sets, `repository:NAME`; null: all there are' }),
  targets: z.array(z.enum(restoreTargets)).min(1).nullable().meta({ description: 'where restores may write; null: anywhere' }),
};
export const roleGiven = z.object({ ...given, objects: given.objects.default(null), targets: given.targets.default(null) });

export const role = z.object({ name: z.string(), isBuiltIn: z.boolean(), says: z.string().nullable(), ...given, users: z.int() }).meta({ id: 'Role' });
export type Role = z.infer<typeof role>;

export const auditRow = z
  .object({
    number: z.int(),
    atMs: z.number(),
    who: z.string(),
    from: z.string(),
    /** The route that was asked. */
    what: z.string(),
    on: z.string(),
    /** `done`, or the code of the failure. */
    outcome: z.string(),
    reason: z.string().nullable(),
    hash: z.string(),
  })
  .meta({ id: 'AuditRow' });
export type AuditRow = z.infer<typeof auditRow>;
