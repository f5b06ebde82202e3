/**
 * Who may ask for what. A token opens the routes whose permission its role has; one table says which.
 *
 * The admin token is made at first start and written to a file that only its owner can read; the catalog has its hash.
 * A file that was removed is made anew at the next start, with a new token, and the old one opens nothing any more.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Catalog } from '../catalog/catalog.ts';
import type { Clock } from '../base/clock.ts';
import { sortableId } from '../base/ids.ts';
import { permissions, type Permission } from '../contract/route.ts';
import { notAllowed, notSignedIn, tooManyAttempts } from './failures.ts';
import { readSecret, writeSecret } from './secret-file.ts';

const every = Object.keys(permissions) as Permission[];

export const roles: Readonly<Record<string, ReadonlySet<Permission>>> = {
  administrator: new Set(every),
  viewer: new Set(every.filter((permission) => permission.endsWith('.read'))),
};

export type SignIn = { readonly token: string; readonly role: string };

export type Gate = {
  /** Answers who asks; fails when nobody we know does, or too often. `from` is the address of the asker. */
  admit(authorization: string | undefined, from: string): Promise<SignIn>;
  demand(signIn: SignIn, permission: Permission): void;
};

const windowMs = 60_000;
const attemptsAllowed = 20;

export type Attempts = {
  /** Fails when this address has no attempt left. */
  demand(from: string): void;
  /** One attempt less for this address; fails when there was none left. */
  count(from: string): void;
};

/** Wrong tokens, counted by address: 20 a minute. */
export function openAttempts(clock: Clock): Attempts {
  const attempts = new Map<string, { count: number; endsMs: number }>();
  const demand = (from: string): void => {
    const nowMs = clock.monotonicMs();
    for (const [address, { endsMs }] of attempts) if (endsMs <= nowMs) attempts.delete(address);
    const known = attempts.get(from);
    if (known !== undefined && known.count >= attemptsAllowed) throw tooManyAttempts({ seconds: Math.ceil((known.endsMs - nowMs) / 1000) });
  };
  return {
    demand,
    count(from) {
      demand(from);
      const known = attempts.get(from) ?? { count: 0, endsMs: clock.monotonicMs() + windowMs };
      attempts.set(from, { ...known, count: known.count + 1 });
    },
  };
}

export function openGate(catalog: Catalog, clock: Clock): Gate {
  const attempts = openAttempts(clock);
  return {
    async admit(authorization, from) {
      const token = /^Bearer ([\x21-\x7e]{16,200})$/.exec(authorization ?? '')?.[1];
      // A right token is always heard: whoever shares the address with a guesser is not locked out.
      const known = token === undefined ? undefined : await catalog.tokens.byHash(hashOf(token));
      if (known !== undefined) return { token: known.name, role: known.role };
      attempts.count(from);
      throw notSignedIn({});
    },
    demand({ role }, permission) {
      if (roles[role]?.has(permission) !== true) throw notAllowed({ permission, role });
    },
  };
}

/** Tokens are 256 random bits: a plain hash cannot be turned back, and is looked up by equality of the hash alone. */
export function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

export async function ensureAdminToken(path: string, catalog: Catalog, clock: Clock): Promise<void> {
  const kept = (await readSecret(path))?.toString('utf8').trim();
  const token = kept === undefined || kept === '' ? `tm_${randomBytes(32).toString('base64url')}` : kept;
  const hash = hashOf(token);
  if ((await catalog.tokens.byHash(hash)) === undefined) {
    await catalog.tokens.replace({ id: sortableId(clock), name: 'admin', role: 'administrator', hash, createdMs: clock.now() });
  }
  if (token !== kept) await writeSecret(path, `${token}\n`);
}
