/**
 * Alarms of hosts: what the warden of a host of hardened repositories tells, asked for once a minute. No backup answers them, as it
 * does those of sets (alarms.ts): each stands until its warden tells it no more.
 */
import { createHash } from 'node:crypto';
import type { Catalog } from '../catalog/catalog.ts';
import type { Clock } from '../base/clock.ts';
import { describe, isFailure } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import { orderNotUnderstood } from '../contract/failures.ts';
import type { Caller } from '../contract/link/caller.ts';
import type { HostAlarm } from '../contract/routes/hosts.ts';
import type { Links } from './links.ts';

export function keepHostAlarms({ links, catalog, clock, log, signal }: { links: Links; catalog: Catalog; clock: Clock; log: Log; signal: AbortSignal }): void {
  links.goRound(async (caller, { id, host }) => {
    try {
      await hear(caller, { id, host }, { catalog, clock, log });
    } catch (error) {
      // A transport of an older version.
      if (!isFailure(error, orderNotUnderstood)) log.info('the alarms of a host could not be asked for', { host, why: describe(error) });
    }
  }, signal);
}

async function hear(caller: Caller, { id: host, host: name }: { id: string; host: string }, { catalog, clock, log }: { catalog: Catalog; clock: Clock; log: Log }): Promise<void> {
  const { alarms } = await caller.call('warden.alarms', {});
  const rows = alarms.map(({ atMs, place, says }) => ({ id: createHash('sha256').update(JSON.stringify([host, place, atMs, says])).digest('hex').slice(0, 24), place, at_ms: atMs, says }));
  for (const { place, says } of await catalog.hostAlarms.stand(host, rows, clock.now())) log.error('alarm', { host: name, place, says });
}

export async function standingHostAlarms(catalog: Catalog): Promise<HostAlarm[]> {
  const [rows, hosts] = await Promise.all([catalog.hostAlarms.unsettled(), catalog.hosts.list()]);
  return rows.map(({ host, place, at_ms, says }) => ({ host: hosts.find(({ id }) => id === host)?.name ?? host, place, atMs: at_ms, says }));
}
