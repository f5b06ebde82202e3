/**
 * Servers on one catalog share two secrets, the authority and the master key, which are not in it. The catalog knows
 * both by their fingerprints, so that a server with others is refused before it has issued or sealed anything.
 */
import { createHash } from 'node:crypto';
import type { Catalog } from '../catalog/catalog.ts';
import { secretsOther } from './installation-failures.ts';
import type { Sealer } from './sealing.ts';

export async function demandSameSecrets(catalog: Catalog, sealer: Sealer, authorityFingerprint: string): Promise<void> {
  const own = JSON.stringify({ authority: authorityFingerprint, key: createHash('sha256').update(sealer.keyFor('same-secrets')).digest('hex') });
  const known = await catalog.settings.putFirst('secrets', own);
  if (known !== own) throw secretsOther({});
}
