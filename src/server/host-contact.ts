/** What a server does with a host that it reaches over SSH: a look, and a first contact. Tests put hosts of their own in its place. */
import type { HostCredential } from '../contract/credentials.ts';
import type { HostLook } from '../contract/host-look.ts';
import { openShell, type Shell } from '../ssh/shell.ts';
import { deployOverSsh, lookOverSsh, type Deployed, type Deployment } from './first-contact.ts';
import type { HostKeys } from './host-keys.ts';

export type ContactPoint = { readonly name: string; readonly address: string; readonly credential: HostCredential };

export type HostContact = {
  look(at: ContactPoint, signal: AbortSignal): Promise<HostLook>;
  deploy(at: ContactPoint, deployment: Omit<Deployment, 'host' | 'open'>): Promise<Deployed>;
};

export function contactOverSsh(hostKeys: HostKeys): HostContact {
  const open = async ({ address, credential }: ContactPoint, signal: AbortSignal | undefined): Promise<Shell> =>
    await openShell({ host: address, credential, hostKey: await hostKeys.rule(address, credential.port), signal });
  return {
    async look(at, signal) {
      await using shell = await open(at, signal);
      return await lookOverSsh(shell, { signal });
    },
    deploy: async (at, deployment) => await deployOverSsh({ ...deployment, host: at.name, open: async (signal) => await open(at, signal) }),
  };
}
