/**
 * This server as one of those at work on the catalog (docs/design/catalog.md, "Leases").
 *
 *   sure ──renewed every third of the lease──▶ sure
 *     │ not renewed for four fifths of it: unsure. No order is given to a host, and those on the way are given up
 *     │    └ renewed after all: sure again
 *     └ replaced by another that found the lease over: lost, and the process ends; its next start is another member
 *
 * Renewing waits for nothing else: neither for the work of this server nor, beyond its deadline, for the database. Which lease is
 * over is judged by the clock of the database, and only by a server that has heard from the database for a whole lease: one
 * that comes back first after the database was away does not take the others for dead.
 */
import type { Catalog } from '../catalog/catalog.ts';
import { serverReplaced } from '../catalog/failures.ts';
import type { Clock } from '../base/clock.ts';
import { withDeadline } from '../base/deadline.ts';
import { describe, isFailure } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import { leaseUnsure } from './failures.ts';

export const usualLeaseMs = 15_000;
const clocksApartMs = 5_000;
/** Two that are late leave time for a third before this server has to stop. */
const shortestRenewalMs = 1_000;

/** Whether this server may still tell hosts to do things. */
export type Sureness = {
  /** Whether nobody can have taken this server's place yet, as far as its own clock knows. */
  isSure(): boolean;
  /** Aborted when this server is not sure any more; another one when it is again. */
  sure(): AbortSignal;
};

export type Membership = Sureness & {
  /** Resolves with why, when it was replaced. */
  readonly lost: Promise<Error>;
  /** Calls `act` about once a second while the catalog answers, where others may share it. */
  keep(act: () => Promise<void>): void;
  leave(): Promise<void>;
};

/** Of a server that shares its catalog with nobody. */
export const alwaysSure: Sureness = { isSure: () => true, sure: () => new AbortController().signal };

type MemberCatalog = Pick<Catalog, 'kind' | 'onAway'> & { readonly servers: Pick<Catalog['servers'], 'register' | 'renew' | 'endLapsed' | 'leave' | 'databaseAhead'> };

export async function joinServers(options: { catalog: MemberCatalog; name: string; version: string; clock: Clock; log: Log; leaseMs?: number; signal: AbortSignal }): Promise<Membership> {
  const { catalog, name, version, clock, log, leaseMs = usualLeaseMs, signal } = options;
  const isShared = catalog.kind === 'postgres';
  const tickMs = Math.min(1_000, leaseMs / 10);
  const lost = Promise.withResolvers<Error>();
  const lease = openLease({ clock, leaseMs, log });
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
    if (heardSinceMs !== null && !lease.isDue()) return;
    const askedMs = clock.monotonicMs();
    try {
      const isThere = await withDeadline('the renewal of the lease', Math.max(shortestRenewalMs, leaseMs / 5), async () => await catalog.servers.renew(leaseMs));
      if (!isThere) return lost.resolve(serverReplaced({ server: name }));
      lease.renewed(askedMs);
      heardSinceMs ??= askedMs;
    } catch (error) {
      heardSinceMs = null;
      throw error;
    }
  }

  async function endLapsed(): Promise<void> {
    if (heardSinceMs === null || clock.monotonicMs() - heardSinceMs < leaseMs || !lease.isSure()) return;
    for (const ended of await catalog.servers.endLapsed()) log.warn('a server was silent for longer than its lease; its sessions are taken over', { server: ended.name });
  }

  /** Again and again, whatever becomes of the others. */
  const loop = async (what: string, act: () => Promise<void>): Promise<void> => {
    while (!signal.aborted) {
      await act().catch((error: unknown) => {
        if (!signal.aborted) log.warn(`${what}, which is tried again`, { why: describe(error) });
      });
      await clock.wait(tickMs, signal).catch(() => {});
    }
  };
  // From now on, for a start may take longer than the lease.
  if (isShared) {
    void loop('the lease of this server was not renewed', renew);
    void loop('the servers that are silent could not be looked for', endLapsed);
    void lease.watch(signal);
  }

  return {
    isSure: () => !isShared || lease.isSure(),
    sure: () => lease.sure(),
    lost: lost.promise,
    keep(act) {
      if (isShared) void loop('the work of the servers could not be looked at', act);
    },
    leave: async () => await catalog.servers.leave().catch((error: unknown) => log.info('the catalog did not hear that this server ends', { why: describe(error) })),
  };
}

/** The lease by the clock of this process, which goes on while it is paused; reckoned from before the question, so it ends here first. */
function openLease({ clock, leaseMs, log }: { clock: Clock; leaseMs: number; log: Log }) {
  const sureMs = (leaseMs * 4) / 5;
  let renewedMs = clock.monotonicMs();
  let sure = new AbortController();
  const leftMs = (): number => renewedMs + sureMs - clock.monotonicMs();
  return {
    isSure: () => leftMs() > 0,
    isDue: () => clock.monotonicMs() - renewedMs >= leaseMs / 3,
    sure: () => sure.signal,
    renewed(askedMs: number): void {
      renewedMs = askedMs;
      if (sure.signal.aborted && leftMs() > 0) sure = new AbortController();
    },
    /** Aborts what must not go on as soon as this server is not sure any more. */
    async watch(signal: AbortSignal): Promise<void> {
      while (!signal.aborted) {
        if (leftMs() <= 0 && !sure.signal.aborted) {
          const why = leaseUnsure({ seconds: Math.round((clock.monotonicMs() - renewedMs) / 1000) });
          log.warn(why.message);
          sure.abort(why);
        }
        await clock.wait(Math.max(leaseMs / 50, leftMs()), signal).catch(() => {});
      }
    },
  };
}
