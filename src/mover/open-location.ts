import { readIdentity } from '../contract/link/identity-file.ts';
import type { LinkIdentity } from '../contract/link/trust.ts';
import type { ArchiveAccess } from '../contract/values.ts';
import { openStorage } from '../repository/storage/open-storage.ts';
import type { Storage } from '../repository/storage/storage.ts';
import { openChannelStorage } from './channel-storage.ts';
import { identityMissing } from './failures.ts';
import type { AskPace } from './paces.ts';
import { throttledStorage } from './throttled-storage.ts';

/** Which channels of a data session a process takes: a mover and the mount that it starts have some each. */
export type Share = 'all' | 'task' | 'mount';

export type OpenedLocation = { readonly storage: Storage; close(): void };

/** Opens an archive's place, on this host or on another. `identityFile` is what this host shows there; read again for each channel. `stop` is that of the task, `pace` its host's. */
export async function openLocation({ location, secret, isReadOnly, limits = [], connections }: Pick<ArchiveAccess, 'location' | 'secret' | 'isReadOnly' | 'limits' | 'connections'>, identityFile: string | undefined, share: Share, { stop, pace }: { stop?: AbortSignal; pace?: AskPace | undefined } = {}): Promise<OpenedLocation> {
  if (location.kind !== 'channel') {
    const storage = await openStorage({ location, secret }, { isReadOnly, connections });
    return { storage: limits.length === 0 ? storage : throttledStorage(storage, limits, { stop, pace }), close: () => void storage.close?.() };
  }
  const identity = async (): Promise<LinkIdentity> => {
    const found = identityFile === undefined ? undefined : await readIdentity(identityFile);
    if (found === undefined) throw identityMissing({ path: identityFile ?? 'none was given' });
    return found;
  };
  const storage = await openChannelStorage({ ...location, ports: sharedPorts(location.ports, share) }, identity, { stop, pace });
  return { storage, close: () => void storage.close() };
}

/** The first half is the task's; a session of one port cannot be shared. */
export function sharedPorts(ports: readonly number[], share: Share): number[] {
  const half = Math.ceil(ports.length / 2);
  if (share === 'all') return [...ports];
  return share === 'task' ? ports.slice(0, half) : ports.slice(ports.length === 1 ? 0 : half);
}
