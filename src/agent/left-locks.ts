import type { MongoTarget } from '../contract/values.ts';
import type { Log } from '../base/log.ts';
import { hostLabel, openClient, parseHost, toMember } from '../mongo/connect.ts';
import { membersWithMarkers, undoLocks } from '../mongo/copy/leftovers.ts';
import { discoverAny } from '../mongo/topology.ts';

/**
 * Gives back the locks that killed backups left on this host's members of a set. Only a client that may unlock can do it,
 * so the server asks, with the set's own sign-in; without a marker of a dead guardian nobody is connected to.
 */
export async function undoLocksOf(target: MongoTarget, copies: string, log: Log): Promise<string[]> {
  const marked = await membersWithMarkers(copies);
  if (marked.length === 0) return [];
  const set = await discoverAny(target);
  const said: string[] = [];
  for (const name of marked) {
    const member = parseHost(name);
    if (!set.members.some((one) => hostLabel(one) === hostLabel(member))) continue;
    await using client = await openClient(toMember(target, member), { member });
    said.push(...(await undoLocks(client, copies)));
  }
  for (const sentence of said) log.warn(sentence);
  return said;
}
