/**
 * Signing in, and what only a person who signed in can do with their own account.
 *
 *   typed ─▶ address counted ─▶ name counted, or locked ─▶ local user: password, code, its own change if it is needed
 *                                                       └▶ directory:  proof there, groups, roles
 *                                                              │ refused: one failure for unknown, wrong and disabled here
 *                                                              └ proven: counts forgotten, a token for twelve hours
 *
 * Attempts at an account of the directory are counted twice, by the name that was typed and by the account itself, which
 * may have another name besides (`account`): who guesses has five in all, and does not learn which names are one account.
 * Attempts are counted before they are made, those of an address before their body is read, so a hundred at once are no more
 * than a hundred one after the other; one that was nobody's fault is given back.
 */
import type { Catalog } from '../../catalog/catalog.ts';
import type { UserRow } from '../../catalog/people.ts';
import type { Clock } from '../../base/clock.ts';
import { describe, isFailure } from '../../base/failure.ts';
import { sortableId } from '../../base/ids.ts';
import type { Log } from '../../base/log.ts';
import type { DirectorySettings } from '../../contract/directory.ts';
import type { Refusal } from '../../directory/refusal.ts';
import type { Sealer } from '../sealing.ts';
import { attemptsAt, openAddressAttempts, type NameAttempts } from './attempts.ts';
import { rolesOf, type DirectoryAccounts } from './directory-accounts.ts';
import * as f from './failures.ts';
import { stepOf } from './one-time-codes.ts';
import { weakness, type PasswordHashes } from './passwords.ts';
import type { Tokens } from './tokens.ts';

export type SignInAsked = { readonly user: string; readonly password: string; readonly code?: string; readonly newPassword?: string };
export type SignedIn = { readonly token: string; readonly user: string; readonly roles: string[]; readonly expiresAtMs: number };

/** One attempt of an address, counted before anything of it was read. */
export type Knock = { readonly from: string; readonly giveBack: () => void };

export type SignIns = ReturnType<typeof openSignIns>;

type Options = { catalog: Catalog; clock: Clock; log: Log; sealer: Sealer; hashes: PasswordHashes; tokens: Tokens; attempts: NameAttempts; directory: Pick<DirectoryAccounts, 'settings' | 'prove'> };

/** Right as far as it went: such an attempt is no guess. */
const noGuess = new Set([f.codeNeeded, f.passwordOld, f.passwordWeak, f.noRole, f.tooManySignIns, f.directoryAway].map(({ code }) => code));
/** Nobody's fault, but known of nobody either: the name has its attempt back, the address has not. */
const costsAddress = new Set([f.directoryAway.code]);

export const totpPlace = (id: string): string => `users.totp:${id}`;

export function openSignIns({ catalog, clock, log, sealer, hashes, tokens, attempts, directory }: Options) {
  const addresses = openAddressAttempts(clock, (from) => log.warn('too many sign-ins that came to nothing from one address', { from }));

  async function requirePassword(user: UserRow | undefined, password: string): Promise<void> {
    const matches = await hashes.matches(password, user?.password ?? null);
    if (matches === 'busy') throw f.tooManySignIns({ seconds: 5 });
    if (!matches || user === undefined || user.is_disabled === 1) throw f.signInRefused({});
  }

  /** A code is used up by the first who shows it, in this and every step before it. */
  async function requireCode(user: UserRow, code: string): Promise<void> {
    const step = stepOf(sealer.open(user.sealed_totp!, totpPlace(user.id)), code, clock.now());
    if (step === undefined || !(await catalog.users.useStep(user.id, step))) throw f.signInRefused({});
  }

  /** Every other sign-in of the user ends with the old password. */
  async function changePassword(user: UserRow, before: string, next: string, but?: string): Promise<void> {
    const why = next === before ? 'it is the one that it is to replace' : weakness(next, user.name);
    if (why !== undefined) throw f.passwordWeak({ why });
    if (!(await catalog.users.replacePassword(user.id, user.password, await hashes.hash(next), false))) throw f.signInRefused({});
    await catalog.userTokens.revokeAll(user.id, { kind: 'sign-in', ...(but !== undefined && { but }) });
  }

  async function proveLocal(user: UserRow | undefined, { password, code, newPassword }: SignInAsked): Promise<UserRow> {
    await requirePassword(user, password);
    const known = user!;
    if (known.totp_on === 1) {
      if (code === undefined) throw f.codeNeeded({});
      await requireCode(known, code);
    }
    if (known.must_change === 1 && newPassword === undefined) throw f.passwordOld({});
    if (newPassword !== undefined) await changePassword(known, password, newPassword);
    return (await catalog.users.find(known.id))!;
  }

  async function proveInDirectory(settings: DirectorySettings, { user: typed, password }: SignInAsked, from: string): Promise<UserRow> {
    const guess = accountGuess();
    const proof = await directory.prove(typed.trim(), password, guess.admit).catch(async (error: unknown) => {
      if (isFailure(error) && error.code.startsWith('server.')) throw error;
      // Names and addresses of its servers are nothing for whoever has not signed in.
      await guess.giveBack();
      log.warn('the directory could not be asked', { from, why: describe(error) });
      throw f.directoryAway({}, error);
    });
    if (proof.kind === 'refused') throw refusals[proof.why]({});
    await guess.forget();
    const { account } = proof;
    if (account.state === 'disabled') throw f.accountDisabled({});
    if (account.state === 'expired') throw f.accountExpired({});
    const roles = rolesOf(settings, account);
    if (roles.length === 0) throw f.noRole({ user: account.name });
    const row = await userOf(account, roles);
    if (row.is_disabled === 1) throw f.signInRefused({});
    return row;
  }

  /** One attempt at an account, however many servers are asked for it. */
  function accountGuess(): { admit: (key: string) => Promise<boolean>; giveBack: () => Promise<void>; forget: () => Promise<void> } {
    const admitted = new Map<string, boolean>();
    const each = async (work: (name: string) => Promise<void>): Promise<void> => {
      for (const [key, isAdmitted] of admitted) if (isAdmitted) await work(attemptsAt(key));
    };
    return {
      async admit(key) {
        const known = admitted.get(key) ?? (await attempts.begin(attemptsAt(key))) === null;
        admitted.set(key, known);
        return known;
      },
      giveBack: async () => await each(attempts.giveBack),
      forget: async () => await each(attempts.forget),
    };
  }

  /** By what stays of the account. Another account that had this name is gone, and with it what it was given. */
  async function userOf(account: { key: string; name: string }, roles: readonly string[]): Promise<UserRow> {
    const known = await catalog.users.byDirectoryKey(account.key);
    const namesake = await catalog.users.byName(account.name);
    if (namesake !== undefined && namesake.id !== known?.id) await catalog.users.remove(namesake.id);
    const now = { name: account.name, roles: JSON.stringify(roles), says: null, checked_ms: clock.now() };
    if (known === undefined) {
      const fresh = { id: sortableId(clock), source: 'directory', password: null, must_change: 0, sealed_totp: null, totp_on: 0, totp_step: 0, is_disabled: 0, directory_key: account.key, added_ms: clock.now(), last_sign_in_ms: null };
      await catalog.users.add({ ...fresh, ...now });
    } else await catalog.users.update(known.id, now);
    return (await catalog.users.byDirectoryKey(account.key))!;
  }

  /** Runs a proof as one of the name's attempts. One of the password alone, where a code is needed too, forgets no codes that were guessed. */
  async function counted<T>(name: string, proof: () => Promise<T>, isWhole = true): Promise<T> {
    const lockedUntilMs = await attempts.begin(name);
    if (lockedUntilMs !== null) throw f.signInLocked({ minutes: Math.max(1, Math.ceil((lockedUntilMs - clock.now()) / 60_000)) });
    try {
      const proven = await proof();
      await (isWhole ? attempts.forget(name) : attempts.giveBack(name));
      return proven;
    } catch (error) {
      if (isFailure(error) && !noGuess.has(error.code)) throw error;
      await attempts.giveBack(name);
      throw error;
    }
  }

  return {
    /** Fails when the address has no attempt left. */
    knock: (from: string): Knock => ({ from, giveBack: addresses.begin(from) }),

    /** `known` is told who it is about, when that is somebody: what else is typed as a name may be a password. */
    async start(asked: SignInAsked, { from, giveBack }: Knock, known: (who: string) => void): Promise<SignedIn> {
      const settings = await directory.settings();
      const typed = asked.user.trim().normalize('NFKC').toLowerCase();
      const local = await catalog.users.byName(typed);
      const isLocal = local?.source === 'local' || settings === undefined;
      const name = isLocal ? typed : canonicalName(settings, typed);
      const who = isLocal ? local : await catalog.users.byName(name);
      if (who !== undefined) known(who.name);
      try {
        const user = await counted(name, async () => (isLocal ? await proveLocal(local?.source === 'local' ? local : undefined, asked) : await proveInDirectory(settings, asked, from)));
        giveBack();
        known(user.name);
        const { secret, row } = await tokens.signIn(user, from);
        await catalog.users.update(user.id, { last_sign_in_ms: clock.now() });
        return { token: secret, user: user.name, roles: JSON.parse(user.roles) as string[], expiresAtMs: row.expires_ms };
      } catch (error) {
        if (isFailure(error) && noGuess.has(error.code) && !costsAddress.has(error.code)) giveBack();
        log.warn('a sign-in was refused', { user: who?.name, from, code: isFailure(error) ? error.code : 'unexpected' });
        throw error;
      }
    },

    /** The user's own password, asked again before something that a stolen token must not do. */
    async confirm(user: UserRow, password: string): Promise<void> {
      await counted(user.name, async () => await requirePassword(user, password), user.totp_on === 0);
    },

    /** Password and code as one attempt. */
    async confirmBoth(user: UserRow, password: string, code: string): Promise<void> {
      await counted(user.name, async () => {
        await requirePassword(user, password);
        await requireCode(user, code);
      });
    },

    async confirmCode(user: UserRow, code: string): Promise<void> {
      await counted(user.name, async () => await requireCode(user, code));
    },

    async changeOwn(user: UserRow, tokenId: string, password: string, newPassword: string): Promise<void> {
      await counted(user.name, async () => {
        await requirePassword(user, password);
        await changePassword(user, password, newPassword, tokenId);
      }, user.totp_on === 0);
    },
  };
}

const refusals: Readonly<Record<Refusal, (details: Record<string, never>) => Error>> = {
  wrong: f.signInRefused,
  locked: f.accountLocked,
  disabled: f.accountDisabled,
  expired: f.accountExpired,
  'password-expired': f.passwordExpired,
  'password-reset': f.passwordReset,
  'not-now': f.notNow,
};

/** One account has one count, whichever way its name is written. */
export function canonicalName({ realm, domain }: DirectorySettings, typed: string): string {
  const [before, after] = typed.split(/\\(.*)/s);
  if (after !== undefined && domain !== null && before === domain.toLowerCase()) return `${after}@${realm}`;
  return typed.includes('@') || after !== undefined ? typed : `${typed}@${realm}`;
}
