/**
 * Who asks. A token is shown with every request and looked up with its user each time: what is revoked, disabled, over or
 * no longer vouched for opens nothing from the next request on. Which routes it opens is reach.ts and contract/roles.ts.
 *
 * The admin token is made at first start and written to a file that only its owner can read; the catalog has its hash.
 * A file that was removed is made anew at the next start, with a new token, and the old one opens nothing any more.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Catalog } from '../catalog/catalog.ts';
import type { Clock } from '../base/clock.ts';
import { sortableId } from '../base/ids.ts';
import { notSignedIn, tooManyAttempts } from './failures.ts';
import { vouchedMs } from './people/directory-accounts.ts';
import { signInUnchecked } from './people/failures.ts';
import type { SignIn } from './people/reach.ts';
import type { Roles } from './people/roles.ts';
import { readSecret, writeSecret } from './secret-file.ts';

export type Gate = {
  /** Answers who asks; fails when nobody we know does, or too often. `from` is the address of the asker. */
  admit(authorization: string | undefined, from: string): Promise<SignIn>;
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

/** The use of a token is written down once in so long. */
const usedEveryMs = 60_000;

export function openGate(catalog: Catalog, clock: Clock, roles: Roles): Gate {
  const attempts = openAttempts(clock);

  async function fromCatalog(token: string): Promise<SignIn | undefined> {
    const known = await catalog.tokens.byHash(hashOf(token));
    return known === undefined ? undefined : { who: known.name, kind: 'admin-token', userId: null, tokenId: null, expiresAtMs: null, layers: [await roles.grants([known.role])] };
  }

  async function ofUser(secret: string): Promise<SignIn | undefined> {
    const found = await catalog.userTokens.byHash(hashOf(secret));
    if (found === undefined) return undefined;
    const { token, user } = found;
    const nowMs = clock.now();
    if (token.expires_ms <= nowMs || user.is_disabled === 1 || user.says !== null) return undefined;
    const uncheckedMs = user.source === 'directory' ? nowMs - (user.checked_ms ?? 0) : 0;
    if (uncheckedMs > vouchedMs) throw signInUnchecked({ minutes: Math.floor(uncheckedMs / 60_000) });
    if (token.used_ms === null || nowMs - token.used_ms > usedEveryMs) await catalog.userTokens.used(token.id, nowMs);
    const layers = [await roles.grants(JSON.parse(user.roles) as string[]), ...(token.role === null ? [] : [await roles.grants([token.role])])];
    return { who: user.name, kind: token.kind === 'api' ? 'api-token' : 'sign-in', userId: user.id, tokenId: token.id, expiresAtMs: token.expires_ms, layers };
  }

  return {
    async admit(authorization, from) {
      const token = /^Bearer ([\x21-\x7e]{16,200})$/.exec(authorization ?? '')?.[1];
      // A right token is always heard: whoever shares the address with a guesser is not locked out.
      const known = token === undefined ? undefined : await (/^tm[su]_/.test(token) ? ofUser(token) : fromCatalog(token));
      if (known !== undefined) return known;
      attempts.count(from);
      throw notSignedIn({});
    },
  };
}

/** Tokens are 256 random bits: a plain hash cannot be turned back, and is looked up by equality of the hash alone. */
export function hashOf(token: string): string {
  return createHash('sha256').update(token).digest('hex');
}

/** Tokens that are nobody's, each in a file: what it is called, and which role it has. */
export const ownTokens = { admin: 'administrator', metrics: 'metrics' } as const;

/** `of`: of several servers on one catalog each has tokens of its own, unless they were given the same files. */
export async function ensureOwnToken(path: string, name: keyof typeof ownTokens, catalog: Catalog, clock: Clock, of = ''): Promise<void> {
  const kept = (await readSecret(path))?.toString('utf8').trim();
  const token = kept === undefined || kept === '' ? `tm_${randomBytes(32).toString('base64url')}` : kept;
  const hash = hashOf(token);
  if ((await catalog.tokens.byHash(hash)) === undefined) {
    await catalog.tokens.replace({ id: sortableId(clock), name: `${name}${of}`, role: ownTokens[name], hash, createdMs: clock.now() });
  }
  if (token !== kept) await writeSecret(path, `${token}\n`);
}
