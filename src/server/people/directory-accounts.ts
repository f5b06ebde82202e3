/**
 * The directory's accounts as users here: its settings, what its groups mean, and the check that takes sign-ins back.
 *
 *   heard ──the check finds it gone, disabled, expired or without a role──▶ not heard ──the next one, too──▶ tokens revoked
 *     ▲                                                                        │
 *     └──────────────────────────── the check finds all is well ◀──────────────┘
 *
 * Twice, because one server that has not heard of an account yet must not cost its programs their tokens. A user whose last
 * check is older than an hour is not heard either, whatever it said (sign-in.ts).
 */
import type { Catalog } from '../../catalog/catalog.ts';
import type { UserRow } from '../../catalog/people.ts';
import type { Clock } from '../../base/clock.ts';
import { withDeadline } from '../../base/deadline.ts';
import { describe } from '../../base/failure.ts';
import type { Log } from '../../base/log.ts';
import { directorySettings, type DirectorySettings } from '../../contract/directory.ts';
import type { Account } from '../../directory/accounts.ts';
import { keysAtOnce, openDirectory, whyNoFilter, type Directory, type Admit } from '../../directory/directory.ts';
import { plainDn } from '../../directory/memberships.ts';
import type { Sealer } from '../sealing.ts';
import type { Audit } from './audit.ts';
import { directoryUnfit, noDirectory } from './failures.ts';

export type OpenDirectory = (options: { settings: DirectorySettings; bindPassword: string; clock: Clock }) => Directory;

export type DirectoryAccounts = ReturnType<typeof openDirectoryAccounts>;

const passwordPlace = 'directories.password:directory';
const questionMs = 30_000;
export const checkEveryMs = 120_000;
/** A user who was not checked for so long is not heard. */
export const vouchedMs = 3_600_000;

type Options = { catalog: Catalog; clock: Clock; log: Log; sealer: Sealer; audit: Audit; open?: OpenDirectory };

export function openDirectoryAccounts({ catalog, clock, log, sealer, audit, open = openDirectory }: Options) {
  let opened: { settings: DirectorySettings; directory: Directory; changedMs: number } | undefined;

  async function current(): Promise<{ settings: DirectorySettings; directory: Directory } | undefined> {
    const row = await catalog.directory.get();
    if (row === undefined) return (opened = undefined);
    if (opened?.changedMs !== row.changed_ms) {
      const settings = directorySettings.parse(JSON.parse(row.settings));
      opened = { settings, directory: open({ settings, bindPassword: sealer.open(row.sealed_password, passwordPlace), clock }), changedMs: row.changed_ms };
    }
    return opened;
  }

  async function required(): Promise<{ settings: DirectorySettings; directory: Directory }> {
    const there = await current();
    if (there === undefined) throw noDirectory({});
    return there;
  }

  /** The password of the account goes only where whoever set it knew it: new servers need it again. */
  async function passwordFor(settings: DirectorySettings, given: string | undefined): Promise<string> {
    if (given !== undefined) return given;
    const row = await catalog.directory.get();
    if (row === undefined) throw directoryUnfit({ why: 'the password of its account is missing' });
    const kept = directorySettings.parse(JSON.parse(row.settings));
    const reached = ({ kind, servers, encryption, caPem, bindUser }: DirectorySettings): string => JSON.stringify([kind, servers, encryption, caPem, bindUser]);
    if (reached(kept) !== reached(settings)) throw directoryUnfit({ why: 'servers, encryption, authority or account change, so the password of the account has to be given again' });
    return sealer.open(row.sealed_password, passwordPlace);
  }

  async function checkOne(user: UserRow, account: Account | undefined, settings: DirectorySettings): Promise<void> {
    const roles = account === undefined ? [] : rolesOf(settings, account);
    const why = account === undefined ? 'it is no longer in the directory' : account.state === 'disabled' || account.state === 'expired' ? `it is ${account.state} in the directory` : roles.length === 0 ? 'it is in no group that has a role' : null;
    await catalog.users.update(user.id, { roles: JSON.stringify(roles), says: why, checked_ms: clock.now() });
    if (why === null) return;
    const count = user.says === null ? 0 : await catalog.userTokens.revokeAll(user.id);
    const what = user.says === null ? 'is no longer heard' : `lost ${count} tokens`;
    log.warn(`a user of the directory ${what}`, { user: user.name, why });
    await audit.record({ who: 'tidemark', from_address: '', what: 'directory.check', object: user.name, outcome: user.says === null ? 'not-heard' : 'revoked', reason: why });
  }

  /** Answers whether the directory is still the one that was asked. */
  async function checkSome(users: readonly UserRow[], signal: AbortSignal): Promise<boolean> {
    const there = await current();
    if (there === undefined) return false;
    const found = await inTime(async (inner) => await there.directory.accounts(users.map(({ directory_key }) => directory_key!), inner), signal);
    if ((await current()) !== there) return false;
    for (const user of users) await checkOne(user, found.get(user.directory_key!), there.settings);
    return true;
  }

  /**
   * Some at a time, each with its own deadline and what was found applied at once, those first whose last check is the oldest:
   * however many there are, nobody goes unchecked because of the others. Two failures in a row are the directory's.
   */
  async function check(signal: AbortSignal): Promise<void> {
    const users = (await catalog.users.ofDirectoryWithTokens(clock.now())).filter(({ directory_key }) => directory_key !== null).sort((a, b) => (a.checked_ms ?? 0) - (b.checked_ms ?? 0));
    const failures: unknown[] = [];
    for (let at = 0, isLastBad = false; at < users.length; at += keysAtOnce) {
      try {
        if (!(await checkSome(users.slice(at, at + keysAtOnce), signal))) return;
        isLastBad = false;
      } catch (error) {
        if (isLastBad || signal.aborted) throw error;
        failures.push(error);
        isLastBad = true;
      }
    }
    if (failures.length > 0) throw failures[0];
  }

  const inTime = async <T>(work: (signal: AbortSignal) => Promise<T>, signal?: AbortSignal): Promise<T> => await withDeadline('the directory to answer', questionMs, work, signal);

  return {
    settings: async (): Promise<DirectorySettings | undefined> => (await current())?.settings,
    /** Whether a password is that of an account. */
    prove: async (typed: string, password: string, admit: Admit) => await inTime(async (signal) => await (await required()).directory.prove(typed, password, signal, admit)),
    test: async () => await inTime(async (signal) => await (await required()).directory.test(signal)),
    computers: async (base: string) => await inTime(async (signal) => await (await required()).directory.computers(base, signal)),
    check,

    async set(settings: DirectorySettings, bindPassword: string | undefined): Promise<void> {
      for (const filter of [settings.userFilter, settings.groupFilter]) {
        const why = whyNoFilter(filter);
        if (why !== undefined) throw directoryUnfit({ why: `${filter} is not a filter: ${why}` });
      }
      const password = await passwordFor(settings, bindPassword);
      await inTime(async (signal) => await open({ settings, bindPassword: password, clock }).verify(signal));
      const before = (await catalog.directory.get())?.changed_ms ?? 0;
      await catalog.directory.put({ settings: JSON.stringify(settings), sealed_password: sealer.seal(password, passwordPlace), changed_ms: Math.max(clock.now(), before + 1) });
      // What groups mean has changed: those who are signed in have it at once.
      await inTime(check).catch((error: unknown) => log.warn('users of the directory could not be checked', { why: describe(error) }));
    },

    /** Its users stay listed; they cannot sign in, and nothing of theirs is heard. */
    async remove(apply: boolean): Promise<void> {
      await required();
      if (!apply) return;
      await catalog.directory.remove();
      for (const user of await catalog.users.list()) {
        if (user.source !== 'directory') continue;
        await catalog.userTokens.revokeAll(user.id);
        await catalog.users.update(user.id, { roles: '[]', says: 'the directory was removed' });
      }
    },

    /** Checks by schedule until the signal; clears away what is over. */
    keepChecked(signal: AbortSignal): void {
      const run = async (): Promise<void> => {
        while (!signal.aborted) {
          await clock.wait(checkEveryMs, signal).catch(() => {});
          if (signal.aborted) return;
          try {
            await check(signal);
            await catalog.userTokens.forgetExpired(clock.now() - vouchedMs);
            await catalog.attempts.forgetBefore(clock.now() - 24 * vouchedMs);
          } catch (error) {
            if (!signal.aborted) log.warn('users of the directory could not be checked', { why: describe(error) });
          }
        }
      };
      void run();
    },
  };
}

/** Roles that the groups of an account give, each once. */
export function rolesOf(settings: DirectorySettings, account: Account): string[] {
  const groups = new Set(account.groups.map(plainDn));
  return [...new Set(settings.roles.filter(({ group }) => groups.has(plainDn(group))).map(({ role }) => role))];
}
