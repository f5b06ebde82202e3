import { renewIdentity, type EnrolmentAddress } from '../../src/agent/join.ts';
import { readIdentity } from '../../src/contract/link/identity-file.ts';

/** Asks for a new certificate with the one in the file, whatever its age. */
export async function keepRenewedOnce(server: EnrolmentAddress, identityFile: string): Promise<void> {
  const held = await readIdentity(identityFile);
  if (held === undefined) throw new Error(`no identity in ${identityFile}`);
  await renewIdentity(server, held, identityFile);
}
