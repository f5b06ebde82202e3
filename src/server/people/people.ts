/** Everything about people, put together. */
import type { Catalog } from '../../catalog/catalog.ts';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { Sealer } from '../sealing.ts';
import { openNameAttempts } from './attempts.ts';
import { openAudit } from './audit.ts';
import { openDirectoryAccounts, type OpenDirectory } from './directory-accounts.ts';
import { openPasswordHashes, type ScryptCost } from './passwords.ts';
import { openRoles } from './roles.ts';
import { openSignIns } from './sign-ins.ts';
import { openTokens } from './tokens.ts';
import { openUsers } from './users.ts';

/** What a test has its own of. */
export type PeopleOptions = { readonly openDirectory?: OpenDirectory; readonly cost?: ScryptCost };

/** `data`: the directory of the head of the audit. */
export function openPeople(base: { catalog: Catalog; clock: Clock; log: Log; sealer: Sealer; data: string }, { openDirectory, cost }: PeopleOptions = {}) {
  const { catalog, clock, log, sealer } = base;
  const audit = openAudit({ catalog, clock, log, sealer, directory: base.data });
  const directory = openDirectoryAccounts({ catalog, clock, log, sealer, audit, ...(openDirectory !== undefined && { open: openDirectory }) });
  const hashes = openPasswordHashes(cost);
  const roles = openRoles({ catalog, clock });
  const tokens = openTokens({ catalog, clock });
  const attempts = openNameAttempts({ catalog, clock, sealer });
  const users = openUsers({ catalog, clock, hashes, attempts, roles });
  const signIns = openSignIns({ catalog, clock, log, sealer, hashes, tokens, attempts, directory });
  return { audit, directory, roles, tokens, users, signIns };
}
