/**
 * Locks that a killed backup left: the host knows them by their markers, and only the set's own sign-in may give them back.
 * So each host is asked for each protected set when it is connected, and once a minute.
 */
import type { Clock } from '../base/clock.ts';
import { describe } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import type { Caller } from '../contract/link/caller.ts';
import type { ProtectedSets } from './protected-sets.ts';
import type { Links } from './links.ts';
import type { TransportLink } from './transport-link.ts';

const everyMs = 60_000;

export function keepLocksUndone({ links, sets, clock, log, signal }: { links: Links; sets: ProtectedSets; clock: Clock; log: Log; signal: AbortSignal }): void {
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
  const report = (error: unknown): void => log.warn('locks of killed backups could not be looked for', { why: describe(error) });
  links.onConnect((caller, link) => void ask(caller, link).catch(report));
  const goRound = async (): Promise<void> => {
    for (;;) {
      await clock.wait(everyMs, signal);
      for (const link of links.all()) {
        const caller = await link.connected(1, signal).catch(() => undefined);
        if (caller !== undefined) await ask(caller, link).catch(report);
      }
    }
  };
  goRound().catch(() => {});
}
