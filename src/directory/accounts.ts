/** Accounts of a directory: found by name or by what stays, with their state and those of their groups that mean something here. */
import { AndFilter, EqualityFilter, FilterParser, OrFilter, type Entry, type Filter } from 'ldapts';
import type { DirectorySettings } from '../contract/directory.ts';
import { bytesOf, valuesOf, type Conversation } from './conversation.ts';
import { chainedGroups, followedGroups } from './memberships.ts';

/** `locked` ends by itself; `disabled` and `expired` are somebody's word. */
export type AccountState = 'fine' | 'locked' | 'disabled' | 'expired';

export type Account = {
  /** The same for as long as the account exists, whatever it is called: `guid:…`, `uuid:…` or `dn:…`. */
  readonly key: string;
  readonly dn: string;
  /** `anna@comp.test`. */
  readonly name: string;
  readonly state: AccountState;
  /** Those of the settings, as they are written there. */
  readonly groups: readonly string[];
};

const attributesOf = ({ kind, nameAttribute }: DirectorySettings): { text: string[]; binary: string[] } =>
  kind === 'active-directory'
    ? { text: [nameAttribute, 'userAccountControl', 'msDS-User-Account-Control-Computed', 'accountExpires', 'primaryGroupID', 'objectGUID', 'objectSid'], binary: ['objectGUID', 'objectSid'] }
    : { text: [nameAttribute, 'entryUUID', 'memberOf', 'pwdAccountLockedTime', 'nsAccountLock'], binary: [] };

const equal = (attribute: string, value: string | Buffer): Filter => new EqualityFilter({ attribute, value });

/**
 * What a typed name is looked for by; undefined when it can be nobody's here. Names become values of a filter, never text
 * of one, so nothing in them has a meaning to the server.
 */
export function filterOfName(settings: DirectorySettings, typed: string): Filter | undefined {
  const { kind, nameAttribute, realm, domain } = settings;
  // Samba 4.17 reads a value up to its first zero byte, and takes "anna\0x" for anna.
  if (/\p{Cc}/u.test(typed)) return undefined;
  const [before, after] = typed.includes('\\') ? typed.split(/\\(.*)/s) : [undefined, typed];
  if (after === undefined || after === '' || before === '') return undefined;
  if (before !== undefined) return domain !== null && before.toLowerCase() === domain.toLowerCase() && !after.includes('@') ? equal(nameAttribute, after) : undefined;
  const at = after.lastIndexOf('@');
  if (at < 0) return equal(nameAttribute, after);
  const [name, suffix] = [after.slice(0, at), after.slice(at + 1)];
  if (name === '' || suffix === '') return undefined;
  const ours = suffix.toLowerCase() === realm.toLowerCase() ? [equal(nameAttribute, name)] : [];
  const filters = kind === 'active-directory' ? [equal('userPrincipalName', after), ...ours] : ours;
  return filters.length === 0 ? undefined : new OrFilter({ filters });
}

/** The one entry of a typed name; several are nobody. */
export async function findEntry(talk: Conversation, settings: DirectorySettings, typed: string): Promise<Entry | undefined> {
  const byName = filterOfName(settings, typed);
  if (byName === undefined) return undefined;
  const { text, binary } = attributesOf(settings);
  const filter = new AndFilter({ filters: [FilterParser.parseString(settings.userFilter), byName] });
  const found = await talk.search(settings.base, { what: 'users', scope: 'sub', filter, attributes: text, binary, limit: 2 });
  return found.length === 1 ? found[0] : undefined;
}

export async function accountOf(talk: Conversation, settings: DirectorySettings, entry: Entry, nowMs: number): Promise<Account> {
  const name = `${valuesOf(entry, settings.nameAttribute)[0] ?? entry.dn}@${settings.realm}`.toLowerCase();
  const isActiveDirectory = settings.kind === 'active-directory';
  const groups = isActiveDirectory ? await chainedGroups(talk, settings, entry) : await followedGroups(talk, settings, entry);
  return { key: keyOf(entry, isActiveDirectory), dn: entry.dn, name, state: isActiveDirectory ? stateOf(entry, nowMs) : stateInLdap(entry), groups };
}

/** Those of the keys that are still accounts of users; the others are gone, or no longer what the user filter lets in. */
export async function findAccounts(talk: Conversation, settings: DirectorySettings, keys: readonly string[], nowMs: number): Promise<Map<string, Account>> {
  const { text, binary } = attributesOf(settings);
  const users = FilterParser.parseString(settings.userFilter);
  const common = { what: 'users', attributes: text, binary } as const;
  const byValue = keys.filter((key) => !key.startsWith('dn:')).map(keyFilter);
  const entries = byValue.length === 0 ? [] : await talk.search(settings.base, { ...common, scope: 'sub', filter: new AndFilter({ filters: [users, new OrFilter({ filters: byValue })] }), limit: byValue.length });
  for (const key of keys.filter((one) => one.startsWith('dn:'))) entries.push(...(await talk.search(key.slice(3), { ...common, scope: 'base', filter: users, limit: 1 })));
  const accounts = await Promise.all(entries.map(async (entry) => await accountOf(talk, settings, entry, nowMs)));
  return new Map(accounts.map((account) => [account.key, account]));
}

export function keyOf(entry: Entry, isActiveDirectory: boolean): string {
  const guid = isActiveDirectory ? bytesOf(entry, 'objectGUID') : undefined;
  if (guid !== undefined) return `guid:${guid.toString('hex')}`;
  const uuid = valuesOf(entry, 'entryUUID')[0];
  return uuid === undefined ? `dn:${entry.dn}` : `uuid:${uuid}`;
}

function keyFilter(key: string): Filter {
  return key.startsWith('guid:') ? equal('objectGUID', Buffer.from(key.slice(5), 'hex')) : equal('entryUUID', key.slice(5));
}

const flags = { disabled: 0x2, locked: 0x10 } as const;
/** `accountExpires` counts 100 ns from 1601; 0 and the largest number are never. */
const never = new Set(['0', '9223372036854775807']);
const epochMs = 11_644_473_600_000;

function stateOf(entry: Entry, nowMs: number): AccountState {
  const flag = (attribute: string): number => Number(valuesOf(entry, attribute)[0] ?? 0);
  if ((flag('userAccountControl') & flags.disabled) !== 0) return 'disabled';
  const expires = valuesOf(entry, 'accountExpires')[0] ?? '0';
  if (!never.has(expires) && Number(expires) / 10_000 - epochMs < nowMs) return 'expired';
  return (flag('msDS-User-Account-Control-Computed') & flags.locked) !== 0 ? 'locked' : 'fine';
}

/** A time of year 1 is the mark of an administrator who locked the account for good (draft-behera-ldap-password-policy). */
function stateInLdap(entry: Entry): AccountState {
  const locked = valuesOf(entry, 'pwdAccountLockedTime')[0];
  if (locked?.startsWith('0000') === true || valuesOf(entry, 'nsAccountLock')[0]?.toLowerCase() === 'true') return 'disabled';
  return locked === undefined ? 'fine' : 'locked';
}
