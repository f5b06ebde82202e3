/**
 * A directory of accounts with its servers. The one that answered last is asked first; one that does not answer, or does
 * not prove itself, is passed over and asked last for a minute. What a server that could be asked says is final.
 */
import { randomBytes } from 'node:crypto';
import { FilterParser, PresenceFilter } from 'ldapts';
import type { Clock } from '../base/clock.ts';
import { deadlinePassed } from '../base/failures.ts';
import { isFailure, sentenceOf } from '../base/failure.ts';
import type { DirectoryComputer, DirectorySettings, DirectoryTest } from '../contract/directory.ts';
import { accountOf, findAccounts, findEntry, keyOf, type Account } from './accounts.ts';
import { openConversation, valuesOf, type Conversation } from './conversation.ts';
import { answerUnusable, notReached, notTrusted, searchRefused } from './failures.ts';
import { nameOf, type DirectoryServer } from './line.ts';
import type { Refusal } from './refusal.ts';

export type Proof = { readonly kind: 'proven'; readonly account: Account } | { readonly kind: 'refused'; readonly why: Refusal };

/** By the key of the account, which is one however its name is written. */
export type Admit = (key: string) => Promise<boolean>;

export type Directory = {
  /** Whether the password is that of the account with the typed name. Neither may be empty. Before the password is tried, `admit` is asked; what it does not admit is wrong, and takes as long. */
  prove(typed: string, password: string, signal: AbortSignal, admit: Admit): Promise<Proof>;
  /** Those accounts that are still there, by their keys: at most `keysAtOnce`. */
  accounts(keys: readonly string[], signal: AbortSignal): Promise<Map<string, Account>>;
  computers(base: string, signal: AbortSignal): Promise<{ computers: DirectoryComputer[]; isCut: boolean }>;
  /** Fails unless a server can be asked, and base, users and groups of the settings are there. */
  verify(signal: AbortSignal): Promise<void>;
  /** Every server, one after the other, whatever the others say. */
  test(signal: AbortSignal): Promise<DirectoryTest>;
};

const connectMs = 3_000;
const awayMs = 60_000;
/** Keys of accounts in one question. */
export const keysAtOnce = 50;
const mostComputers = 10_000;

export function openDirectory(options: { settings: DirectorySettings; bindPassword: string; clock: Clock }): Directory {
  const { settings, bindPassword, clock } = options;
  const { bindUser, base, encryption, caPem } = settings;
  const awayUntil = new Map<DirectoryServer, number>();
  let lastGood: DirectoryServer | undefined;

  const order = (): DirectoryServer[] => {
    const rank = (server: DirectoryServer): number => ((awayUntil.get(server) ?? 0) > clock.monotonicMs() ? 2 : server === lastGood ? 0 : 1);
    return settings.servers.toSorted((a, b) => rank(a) - rank(b));
  };
  const lineTo = (server: DirectoryServer, signal: AbortSignal) => ({ server, encryption, caPem, connectMs, signal });

  async function ask<T>(signal: AbortSignal, question: (talk: Conversation) => Promise<T>): Promise<T> {
    const tried: { server: string; error: unknown }[] = [];
    for (const server of order()) {
      try {
        await using talk = await openConversation(lineTo(server, signal));
        await talk.bind(bindUser, bindPassword);
        const answer = await question(talk);
        awayUntil.delete(server);
        lastGood = server;
        return answer;
      } catch (error) {
        if (isFinal(error)) throw error;
        signal.throwIfAborted();
        awayUntil.set(server, clock.monotonicMs() + awayMs);
        tried.push({ server: nameOf(server), error });
      }
    }
    const [only] = tried;
    if (tried.length === 1 && isFailure(only!.error, notTrusted)) throw only!.error;
    throw notReached({ tried: tried.map(({ server, error }) => `${server}: ${sentenceOf(error)}`) }, only?.error);
  }

  return {
    async prove(typed, password, signal, admit) {
      return await ask(signal, async (talk) => {
        const entry = await findEntry(talk, settings, typed);
        const isAdmitted = entry !== undefined && (await admit(keyOf(entry, settings.kind === 'active-directory')));
        const refused = await talk.prove(isAdmitted ? entry.dn : `CN=${randomBytes(12).toString('hex')},${base}`, password);
        if (!isAdmitted) return { kind: 'refused', why: 'wrong' };
        if (refused !== undefined) return { kind: 'refused', why: refused };
        await talk.bind(bindUser, bindPassword);
        return { kind: 'proven', account: await accountOf(talk, settings, entry, clock.now()) };
      });
    },

    async accounts(keys, signal) {
      return await ask(signal, async (talk) => await findAccounts(talk, settings, keys, clock.now()));
    },

    async computers(under, signal) {
      const entries = await ask(signal, async (talk) => await talk.search(under, { what: 'computers', scope: 'sub', filter: computerFilter(settings), attributes: ['cn', 'dNSHostName', 'ipHostNumber', 'operatingSystem'], limit: mostComputers + 1 }));
      const computers = entries.slice(0, mostComputers).flatMap((entry) => {
        const name = valuesOf(entry, 'cn')[0] ?? entry.dn;
        const address = valuesOf(entry, 'dNSHostName')[0] ?? valuesOf(entry, 'ipHostNumber')[0];
        return address === undefined ? [] : [{ name, address: address.toLowerCase(), system: valuesOf(entry, 'operatingSystem')[0] ?? null, dn: entry.dn }];
      });
      return { computers: computers.sort((a, b) => a.address.localeCompare(b.address)), isCut: entries.length > mostComputers };
    },

    verify: async (signal) => await ask(signal, async (talk) => await requireUsable(talk, settings)),

    async test(signal) {
      const servers: DirectoryTest['servers'] = [];
      for (const server of settings.servers) servers.push(await tryServer(clock, settings, bindPassword, server, lineTo(server, signal)));
      return { ok: servers.every(({ ok }) => ok), servers };
    },
  };
}

/** Said of one server alone: the next may do better. All else is said by a server that could be asked, and another one would say the same. */
const passedOver: ReadonlySet<string> = new Set([notTrusted.code, answerUnusable.code, deadlinePassed.code]);
const isFinal = (error: unknown): boolean => isFailure(error) && !passedOver.has(error.code);

function computerFilter({ kind }: DirectorySettings) {
  return FilterParser.parseString(kind === 'active-directory' ? '(&(objectCategory=computer)(!(userAccountControl:1.2.840.113556.1.4.803:=2)))' : '(|(objectClass=ipHost)(objectClass=device))');
}

type Step = DirectoryTest['servers'][number]['steps'][number];

async function tryServer(clock: Clock, settings: DirectorySettings, bindPassword: string, server: DirectoryServer, line: Parameters<typeof openConversation>[0]): Promise<DirectoryTest['servers'][number]> {
  const steps: Step[] = [];
  let startedMs = clock.monotonicMs();
  let step: Step['step'] = 'connect';
  const passed = (says: string, next: Step['step']): void => {
    steps.push({ step, ok: true, ms: Math.round(clock.monotonicMs() - startedMs), says });
    startedMs = clock.monotonicMs();
    step = next;
  };
  try {
    const isPlain = settings.encryption === 'none';
    await using talk = await openConversation(line, (done) => (done === 'connect' ? passed('reached', isPlain ? 'bind' : 'encrypt') : passed(settings.encryption === 'ldaps' ? 'TLS, certificate fits' : 'StartTLS, certificate fits', 'bind')));
    await talk.bind(settings.bindUser, bindPassword);
    passed(`as ${settings.bindUser}`, 'base');
    await requireUsable(talk, settings, passed);
    steps.push({ step, ok: true, ms: Math.round(clock.monotonicMs() - startedMs), says: settings.roles.length === 0 ? 'none has a role yet' : `${settings.roles.length} with a role are there` });
  } catch (error) {
    line.signal.throwIfAborted();
    steps.push({ step, ok: false, ms: Math.round(clock.monotonicMs() - startedMs), says: sentenceOf(error) });
  }
  return { server: nameOf(server), ok: steps.every(({ ok }) => ok), steps };
}

/** `passed` is told of each step but the last. */
async function requireUsable(talk: Conversation, settings: DirectorySettings, passed: (says: string, next: Step['step']) => void = () => {}): Promise<void> {
  const any = new PresenceFilter({ attribute: 'objectClass' });
  const there = await talk.search(settings.base, { what: 'the base', scope: 'base', filter: any, attributes: ['1.1'], limit: 1 });
  if (there.length === 0) throw searchRefused({ server: talk.server, what: 'the base', why: `${settings.base} is not there, or its account may not read it` });
  passed(settings.base, 'users');
  const users = await talk.search(settings.base, { what: 'users', scope: 'sub', filter: FilterParser.parseString(settings.userFilter), attributes: ['1.1'], limit: 1 });
  if (users.length === 0) throw searchRefused({ server: talk.server, what: 'users', why: `nothing under the base fits ${settings.userFilter}` });
  passed('found by the filter', 'groups');
  const missing: string[] = [];
  for (const { group } of settings.roles) if ((await talk.search(group, { what: 'groups', scope: 'base', filter: any, attributes: ['1.1'], limit: 1 })).length === 0) missing.push(group);
  if (missing.length > 0) throw searchRefused({ server: talk.server, what: 'groups', why: `not there: ${missing.join('; ')}` });
}

/** Why a text is no filter; undefined when it is one. */
export function whyNoFilter(text: string): string | undefined {
  try {
    FilterParser.parseString(text);
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message.slice(0, 200) : String(error);
  }
}
