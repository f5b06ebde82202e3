/**
 * Locks that a killed backup left: the host knows them by their markers, and only the set's own sign-in may give them back.
 * So each host is asked for each protected set when it is connected, and once a minute.
 */
import { describe } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import type { Caller } from '../contract/link/caller.ts';
import type { ProtectedSets } from './protected-sets.ts';
import type { Links } from './links.ts';
import type { TransportLink } from './transport-link.ts';

export function keepLocksUndone({ links, sets, log, signal }: { links: Links; sets: ProtectedSets; log: Log; signal: AbortSignal }): void {
  const ask = async (caller: Caller, link: TransportLink): Promise<void> => {
    for (const set of await sets.list()) {
      try {
        const { undone } = await caller.call('set.undo-leftovers', { target: sets.target(set) });
        for (const sentence of undone) log.warn(sentence, { set: set.name, host: link.host });
      } catch (error) {
        log.warn('a host could not be asked for locks of killed backups', { set: set.name, host: link.host, why: describe(error) });
      }
    }
  };
  links.goRound(async (caller, link) => {
    await ask(caller, link).catch((error: unknown) => log.warn('locks of killed backups could not be looked for', { why: describe(error) }));
  }, signal);
}
