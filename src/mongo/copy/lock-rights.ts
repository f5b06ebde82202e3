import type { Document, MongoClient } from 'mongodb';
import { runCommand } from '../connect.ts';
import { grantOf, missingRights, showRight, type Right } from '../rights.ts';

const needed: readonly Right[] = [{ resource: { cluster: true }, actions: ['fsync', 'unlock', 'inprog'] }];

/** What the user lacks for a lock, and the command that grants it; undefined when nothing is missing. */
export async function missingLockRights(client: MongoClient): Promise<string | undefined> {
  const status = await runCommand(client, 'admin', { connectionStatus: 1, showPrivileges: true });
  const info = status['authInfo'] as { authenticatedUsers: { user: string; db: string }[]; authenticatedUserPrivileges: Document[] };
  const [user] = info.authenticatedUsers;
  // Without a user everything that was asked so far was allowed: access control is off.
  if (user === undefined) return undefined;
  const missing = missingRights(needed, info.authenticatedUserPrivileges);
  return missing.length === 0 ? undefined : `${user.user} lacks ${missing.map(showRight).join('; ')} (run: ${grantOf(needed, user)})`;
}
