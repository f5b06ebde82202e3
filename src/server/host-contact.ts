/** What a server does with a host that it reaches over SSH: a look, and a first contact. Tests put hosts of their own in its place. */
import type { HostCredential } from '../contract/credentials.ts';
import type { HostLook } from '../contract/host-look.ts';
import type { HostKey } from '../ssh/host-key.ts';
import { openShell, type Shell } from '../ssh/shell.ts';
import { openWindowsHost } from '../ssh/windows-host.ts';
import { deployOverSsh, lookOverSsh, type Deployed, type Deployment } from './first-contact.ts';
import type { HostKeys } from './host-keys.ts';
import { deployWindowsOverSsh, type WindowsOverSsh } from './windows-over-ssh.ts';

export type ContactPoint = { readonly name: string; readonly address: string; readonly credential: HostCredential };

export type HostContact = {
  look(at: ContactPoint, signal: AbortSignal): Promise<HostLook>;
  deploy(at: ContactPoint, deployment: Omit<Deployment, 'host' | 'open'>): Promise<Deployed>;
  /** Where the host has turned out to run Windows. */
  deployWindows(at: ContactPoint, deployment: Omit<WindowsOverSsh, 'host' | 'open'>): Promise<{ hostKey: HostKey }>;
};

export function contactOverSsh(hostKeys: HostKeys): HostContact {
  const open = async ({ address, credential }: ContactPoint, signal: AbortSignal | undefined): Promise<Shell> =>
    await openShell({ host: address, credential, hostKey: await hostKeys.rule(address, credential.port), signal });
  return {
    async look(at, signal) {
      await using shell = await open(at, signal);
      return await lookOverSsh(shell, { signal });
    },
    deployWindows: async (at, deployment) =>
      await deployWindowsOverSsh({ ...deployment, host: at.name, open: async (signal) => await openWindowsHost({ host: at.address, credential: at.credential, hostKey: await hostKeys.rule(at.address, at.credential.port), signal }) }),
    deploy: async (at, deployment) => await deployOverSsh({ ...deployment, host: at.name, open: async (signal) => await open(at, signal) }),
  };
}
