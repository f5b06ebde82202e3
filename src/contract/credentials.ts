/** How to sign in to hosts and databases. Secrets in these cross only TLS links and process pipes, and are sealed at rest. */
import * as z from 'zod';
import * as v from './values.ts';

/** Programs that ask for a password read one line. */
const password = z.string().regex(/^[^\r\n\0]+$/);

/** How SSH proves who signs in; a password also answers one keyboard-interactive question for a password. */
export const hostSignIn = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('password'), password }),
  z.object({ kind: z.literal('key'), privateKey: z.string().min(1), passphrase: z.string().optional() }),
]);

/**
 * How the one who signed in becomes root. `sudo` without a password of its own uses the one of the sign-in; with a
 * `rootPassword` it falls back to `su` where sudo is not there or not allowed. Nothing is needed where the user is root.
 */
export const elevation = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('none') }),
  z.object({ kind: z.literal('sudo'), password: password.optional(), rootPassword: password.optional() }),
  z.object({ kind: z.literal('su'), rootPassword: password }),
]);

export const hostCredential = z.object({
  user: z.string().regex(/^[A-Za-z0-9_][A-Za-z0-9_.@\\-]*\$?$/),
  port: z.int().min(1).max(65535).default(22),
  signIn: hostSignIn,
  elevation: elevation.default({ kind: 'none' }),
});

/**
 * An account of a Windows host or of its domain, an administrator there: `name`, `DOMAIN\\name` or `name@domain`. Samba's programs read
 * its parts from lines of a file and take spaces off their ends.
 */
export const windowsCredential = z.object({
  user: z.string().max(256).regex(/^(?:[^\s\\/@"[\]:;|=,+*?<>]+\\)?[^\s\\/"[\]:;|=,+*?<>]+(?: [^\s\\/"[\]:;|=,+*?<>]+)*$/),
  password: z.string().max(1024).regex(/^\S(?:[^\r\n\0]*\S)?$/),
});

/** What is kept under a name. */
export const credentialRecord = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('host'), host: hostCredential }),
  z.object({ kind: z.literal('windows'), windows: windowsCredential }),
  z.object({ kind: z.literal('database'), credential: v.databaseCredential, tls: v.databaseTls.optional() }),
]);

export type HostCredential = z.infer<typeof hostCredential>;
export type WindowsCredential = z.infer<typeof windowsCredential>;
export type Elevation = z.infer<typeof elevation>;
export type CredentialRecord = z.infer<typeof credentialRecord>;
