/**
 * This server as one of those at work on the catalog (docs/design/catalog.md, "Leases").
 *
 *   member ──renewed every third of the lease──▶ member
 *     │ the catalog does not answer: unsure once the lease is over; no order is given to a host until it was renewed
 *     └ replaced by another that found the lease over: lost, and the process ends; its next start is another member
 *
 * Which lease is over is judged by the clock of the database, and only by a server that has heard from the database for
 * a whole lease: one that comes back first after the database was away does not take the others for dead.
 */
import type { Catalog } from '../catalog/catalog.ts';
import { serverReplaced } from '../catalog/failures.ts';
import type { Clock } from '../base/clock.ts';
import { describe, isFailure } from '../base/failure.ts';
import type { Log } from '../base/log.ts';

export const usualLeaseMs = 15_000;
const clocksApartMs = 5_000;

export type Membership = {
  /** Whether nobody can have taken this server's place yet, as far as its own clock knows. */
  isSure(): boolean;
  /** Resolves with why, when it was replaced. */
  readonly lost: Promise<Error>;
  /** Calls `act` about once a second while the catalog answers, where others may share it. */
  keep(act: () => Promise<void>): void;
  leave(): Promise<void>;
};

export async function joinServers(options: { catalog: Catalog; name: string; version: string; clock: Clock; log: Log; leaseMs?: number; signal: AbortSignal }): Promise<Membership> {
  const { catalog, name, version, clock, log, leaseMs = usualLeaseMs, signal } = options;
  const isShared = catalog.kind === 'postgres';
  const lost = Promise.withResolvers<Error>();
  let act = async (): Promise<void> => await Promise.resolve();
  let renewedMs = clock.monotonicMs();
  await catalog.servers.register(name, version, leaseMs);
  let heardSinceMs: number | null = clock.monotonicMs();
  catalog.onAway((why) => {
    heardSinceMs = null;
    if (isFailure(why, serverReplaced)) lost.resolve(why);
  });
  if (isShared) {
    const aheadMs = await catalog.servers.databaseAhead(() => clock.now());
    if (Math.abs(aheadMs) > clocksApartMs) log.warn('the clock of this machine and that of the database are apart: times of sessions differ between servers', { seconds: Math.round(aheadMs / 1000) });
  }

  async function renew(): Promise<void> {
    const askedMs = clock.monotonicMs();
    if (!(await catalog.servers.renew(leaseMs))) return lost.resolve(serverReplaced({ server: name }));
    renewedMs = askedMs;
    heardSinceMs ??= askedMs;
  }

  async function round(): Promise<void> {
    const isUnsure = heardSinceMs === null;
    if (isUnsure || clock.monotonicMs() - renewedMs >= leaseMs / 3) await renew();
    if (heardSinceMs !== null && clock.monotonicMs() - heardSinceMs >= leaseMs) {
      for (const ended of await catalog.servers.endLapsed()) log.warn('a server was silent for longer than its lease; its sessions are taken over', { server: ended.name });
    }
    await act();
  }

  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      await round().catch((error: unknown) => {
        if (!signal.aborted) log.warn('the work of the servers could not be looked at', { why: describe(error) });
      });
      await clock.wait(Math.min(1_000, leaseMs / 10), signal).catch(() => {});
    }
  };
  // From now on, for a start may take longer than the lease.
  if (isShared) void run();

  return {
    isSure: () => !isShared || clock.monotonicMs() - renewedMs < leaseMs,
    lost: lost.promise,
    keep: (next) => void (act = next),
    leave: async () => await catalog.servers.leave().catch((error: unknown) => log.info('the catalog did not hear that this server ends', { why: describe(error) })),
  };
}
