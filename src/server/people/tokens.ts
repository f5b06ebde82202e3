/** Tokens of users: made once, kept as hashes, and worth what their user is worth at the moment they are shown. */
import { randomBytes } from 'node:crypto';
import type { Catalog } from '../../catalog/catalog.ts';
import type { UserRow, UserTokenRow } from '../../catalog/people.ts';
import type { Clock } from '../../base/clock.ts';
import { sortableId } from '../../base/ids.ts';
import type { Token } from '../../contract/people.ts';
import { hashOf } from '../sign-in.ts';
import { tokenExists, tokenUnknown } from './failures.ts';

const signInMs = 12 * 3_600_000;

export type Tokens = ReturnType<typeof openTokens>;

export function openTokens({ catalog, clock }: { catalog: Catalog; clock: Clock }) {
  async function make(user: UserRow, wish: Pick<UserTokenRow, 'kind' | 'name' | 'role' | 'from_address'>, lifeMs: number): Promise<{ secret: string; row: UserTokenRow }> {
    const secret = `${wish.kind === 'sign-in' ? 'tms' : 'tmu'}_${randomBytes(32).toString('base64url')}`;
    const row = { id: sortableId(clock), user_id: user.id, ...wish, hash: hashOf(secret), created_ms: clock.now(), expires_ms: clock.now() + lifeMs, used_ms: null };
    if (!(await catalog.userTokens.add(row))) throw tokenExists({ name: wish.name ?? '' });
    return { secret, row };
  }

  return {
    signIn: async (user: UserRow, from: string) => await make(user, { kind: 'sign-in', name: null, role: null, from_address: from }, signInMs),
    api: async (user: UserRow, wish: { name: string; role: string | null; seconds: number; from: string }) => await make(user, { kind: 'api', name: wish.name, role: wish.role, from_address: wish.from }, wish.seconds * 1000),
    list: async (user: UserRow): Promise<Token[]> => (await catalog.userTokens.list(user.id, clock.now())).map((row) => viewToken(row, user)),
    async revoke(user: UserRow, idOrName: string): Promise<string> {
      const row = await catalog.userTokens.revoke(user.id, idOrName);
      if (row === undefined) throw tokenUnknown({ token: idOrName });
      return row.name ?? row.id;
    },
  };
}

export function viewToken(row: UserTokenRow, user: Pick<UserRow, 'name'>): Token {
  return { id: row.id, kind: row.kind as Token['kind'], user: user.name, name: row.name, role: row.role, createdAtMs: row.created_ms, expiresAtMs: row.expires_ms, usedAtMs: row.used_ms, from: row.from_address };
}
