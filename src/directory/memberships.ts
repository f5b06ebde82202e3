/** Which of the groups that mean something here an account is in, itself or through other groups. */
import { AndFilter, EqualityFilter, ExtensibleFilter, FilterParser, OrFilter, PresenceFilter, type Entry, type Filter } from 'ldapts';
import { atOnce } from '../base/at-once.ts';
import type { DirectorySettings } from '../contract/directory.ts';
import { bytesOf, valuesOf, type Conversation } from './conversation.ts';
import { answerUnusable } from './failures.ts';

/** Active Directory walks the chain itself: is this entry, at any depth, in that group? */
const inChain = '1.2.840.113556.1.4.1941';

const wantedOf = ({ roles }: DirectorySettings): string[] => [...new Map(roles.map(({ group }) => [plainDn(group), group])).values()];

export async function chainedGroups(talk: Conversation, settings: DirectorySettings, entry: Entry): Promise<string[]> {
  const wanted = wantedOf(settings);
  if (wanted.length === 0) return [];
  // A user's primary group, usually Domain Users, stands in no memberOf.
  const primary = await primaryGroup(talk, settings, entry);
  const isIn = async (dn: string, group: string): Promise<boolean> => {
    if (plainDn(dn) === plainDn(group)) return true;
    const filter = new ExtensibleFilter({ matchType: 'memberOf', rule: inChain, value: group });
    return (await talk.search(dn, { what: 'groups', scope: 'base', filter, attributes: ['1.1'], limit: 1 })).length > 0;
  };
  const found = await atOnce(8, wanted, async (group) => (await isIn(entry.dn, group)) || (primary !== undefined && (await isIn(primary, group))));
  return wanted.filter((_, at) => found[at]);
}

/** Its SID is that of the user with another last number. */
async function primaryGroup(talk: Conversation, settings: DirectorySettings, entry: Entry): Promise<string | undefined> {
  const [sid, number] = [bytesOf(entry, 'objectSid'), Number(valuesOf(entry, 'primaryGroupID')[0])];
  if (sid === undefined || sid.length < 12 || !Number.isInteger(number)) return undefined;
  const group = Buffer.from(sid);
  group.writeUInt32LE(number, group.length - 4);
  const found = await talk.search(settings.base, { what: 'groups', scope: 'sub', filter: new EqualityFilter({ attribute: 'objectSid', value: group }), attributes: ['1.1'], limit: 1 });
  return found[0]?.dn;
}

const deepest = 20;
const mostGroups = 2_000;
const askedAtOnce = 25;

/**
 * Upwards from the account, a level at a time, by what groups say of their members and what entries say of their groups:
 * directories keep one, the other or both. A group that was seen is not followed again, so cycles end.
 */
export async function followedGroups(talk: Conversation, settings: DirectorySettings, entry: Entry): Promise<string[]> {
  const wanted = wantedOf(settings);
  if (wanted.length === 0) return [];
  const seen = new Set<string>();
  const name = valuesOf(entry, settings.nameAttribute)[0];
  let level = [entry.dn];
  let said = valuesOf(entry, 'memberOf');
  for (let depth = 0; depth < deepest && level.length > 0; depth++) {
    const holding = await holdersOf(talk, settings, level, depth === 0 ? name : undefined);
    const next = new Map([...said, ...holding].map((dn) => [plainDn(dn), dn]));
    for (const known of seen) next.delete(known);
    for (const dn of next.keys()) seen.add(dn);
    if (seen.size > mostGroups) throw answerUnusable({ server: talk.server, why: `an account is in more than ${mostGroups} groups` });
    level = [...next.values()];
    said = (await atOnce(8, level, async (dn) => await talk.search(dn, { what: 'groups', scope: 'base', filter: new PresenceFilter({ attribute: 'objectClass' }), attributes: ['memberOf'], limit: 1 }))).flat().flatMap((group) => valuesOf(group, 'memberOf'));
  }
  return wanted.filter((group) => seen.has(plainDn(group)));
}

async function holdersOf(talk: Conversation, settings: DirectorySettings, members: readonly string[], name: string | undefined): Promise<string[]> {
  const groups = FilterParser.parseString(settings.groupFilter);
  const found: string[] = [];
  for (let at = 0; at < members.length; at += askedAtOnce) {
    const filters: Filter[] = members.slice(at, at + askedAtOnce).flatMap((dn) => ['member', 'uniqueMember'].map((attribute) => new EqualityFilter({ attribute, value: dn })));
    if (name !== undefined) filters.push(new EqualityFilter({ attribute: 'memberUid', value: name }));
    const holding = await talk.search(settings.base, { what: 'groups', scope: 'sub', filter: new AndFilter({ filters: [groups, new OrFilter({ filters })] }), attributes: ['1.1'], limit: mostGroups });
    found.push(...holding.map(({ dn }) => dn));
  }
  return found;
}

/** Two ways of writing one name are the same: letters, and spaces around what parts it. */
export function plainDn(dn: string): string {
  return dn.toLowerCase().replaceAll(/\s*([,=+])\s*/g, '$1').trim();
}
