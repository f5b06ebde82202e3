/**
 * Looks at replica sets over the wire. The server's own machine asks (rows 11 and 12 of the port table), through its own
 * transport service; where it cannot reach a set, hosts that are connected are asked in turn.
 */
import { isFailure } from '../base/failure.ts';
import type { MongoTarget, SetLook } from '../contract/values.ts';
import { hostUnreachable } from './failures.ts';
import { localHost } from './hosts.ts';
import type { Links } from './links.ts';

export type LookAtSet = (target: MongoTarget, signal?: AbortSignal) => Promise<SetLook>;

/** How many hosts are asked besides the server's own machine. */
const others = 3;
const linkMs = 5_000;

export function openSetLooks(links: Links): LookAtSet {
  return async (target, signal) => {
    const connected = links.all().filter((link) => link.id !== localHost && link.standing().state === 'connected');
    let first: Error | undefined;
    for (const link of [...links.all().filter(({ id }) => id === localHost), ...connected.slice(0, others)]) {
      try {
        return await link.ask('set.look', { target }, { waitMs: linkMs, signal });
      } catch (error) {
        signal?.throwIfAborted();
        first ??= error as Error;
        // Whoever answered and refused would refuse the others as well.
        if (!isFailure(error, { code: 'mongo.unreachable' }) && !isFailure(error, hostUnreachable)) throw error;
      }
    }
    throw first ?? hostUnreachable({ host: localHost, seconds: 0, why: 'no host is known' });
  };
}
