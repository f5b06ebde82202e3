/** How a directory of accounts is reached, and what its groups mean here. */
import * as z from 'zod';
import { password, roleName } from './people.ts';

const text = z.string().min(1).max(1_000).regex(/^[^\p{Cc}]+$/u);
const dn = text.regex(/=/);
/** Checked again, as a filter, where it is used. */
const filter = text.regex(/^\(.*\)$/s);

export const directoryServer = z.object({ host: z.string().min(1).max(253).regex(/^[A-Za-z0-9.:_-]+$/), port: z.int().min(1).max(65535) });

export const directoryEncryption = z.enum(['starttls', 'ldaps', 'none']);

export const directorySettings = z.object({
  kind: z.enum(['active-directory', 'ldap']),
  servers: z.array(directoryServer).min(1).max(8).meta({ description: 'asked in this order' }),
  encryption: directoryEncryption.meta({ description: '`none` sends passwords in the clear' }),
  caPem: z.string().max(200_000).nullable().default(null).meta({ description: 'the authority of the servers\' certificates; null: those that the machine trusts' }),
  bindUser: text.meta({ description: 'DN, user@suffix or DOMAIN\\user of the account that looks things up' }),
  base: dn.meta({ description: 'below which users and groups are looked for' }),
  /** After the @ in names of users here. */
  realm: z.string().regex(/^[a-z0-9][a-z0-9.-]{0,252}$/),
  domain: z.string().regex(/^[A-Za-z0-9._-]{1,64}$/).nullable().default(null).meta({ description: 'the DOMAIN of DOMAIN\\user' }),
  userFilter: filter,
  nameAttribute: z.string().regex(/^[A-Za-z][A-Za-z0-9-]{0,63}$/),
  groupFilter: filter,
  roles: z.array(z.object({ group: dn, role: roleName })).max(50).meta({ description: 'who is in the group, itself or through other groups, has the role' }),
});
export type DirectorySettings = z.infer<typeof directorySettings>;

export const directoryGiven = directorySettings.extend({ bindPassword: password.optional().meta({ description: 'kept sealed; without it the one that is kept stays' }) });

export const directoryTest = z
  .object({
    ok: z.boolean(),
    servers: z.array(
      z.object({
        server: z.string(),
        ok: z.boolean(),
        steps: z.array(z.object({ step: z.enum(['connect', 'encrypt', 'bind', 'base', 'users', 'groups']), ok: z.boolean(), ms: z.number(), says: z.string() })),
      }),
    ),
  })
  .meta({ id: 'DirectoryTest' });
export type DirectoryTest = z.infer<typeof directoryTest>;

export const directoryComputer = z.object({ name: z.string(), address: z.string(), system: z.string().nullable(), dn: z.string() }).meta({ id: 'DirectoryComputer' });
export type DirectoryComputer = z.infer<typeof directoryComputer>;
