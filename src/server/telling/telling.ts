/** All that tells: put together, and run for as long as the server does. */
import type { Catalog } from '../../catalog/catalog.ts';
import type { Clock } from '../../base/clock.ts';
import type { Log } from '../../base/log.ts';
import type { OplogStandings } from '../oplog-standings.ts';
import type { Points } from '../points.ts';
import type { Sealer } from '../sealing.ts';
import type { PolicyPromises } from '../policy-promises.ts';
import { openNewsReader } from './news.ts';
import { openNotifications } from './notifications.ts';
import { openProtectionWatch } from './protection-watch.ts';
import { openReports } from './reports.ts';
import { openSetReading } from './set-reading.ts';
import { openTeller } from './teller.ts';

type Options = { catalog: Catalog; sealer: Sealer; points: Points; standings: OplogStandings; clock: Clock; log: Log; fingerprint: () => string; server: () => string; policies: PolicyPromises; everyMs?: number | undefined };

export function openTelling({ catalog, sealer, points, standings, clock, log, fingerprint, server, policies, everyMs }: Options) {
  const notifications = openNotifications({ catalog, sealer, clock, fingerprint });
  const reports = openReports({ catalog, points, standings, clock, server, reading: openSetReading({ catalog, policies, standings }) });
  const reader = openNewsReader({ catalog, reports, policies, server });
  const teller = openTeller({ catalog, notifications, reader, clock, log, server, ...(everyMs !== undefined && { everyMs }) });
  const watch = openProtectionWatch({ catalog, reports, clock, log });
  return {
    services: { notifications, reports, teller },
    /** `isMine`: whether this server is the one that tells. */
    run: async (signal: AbortSignal, isMine: () => Promise<boolean>): Promise<void> => void (await Promise.all([teller.run(signal, isMine), watch.run(signal, isMine)])),
  };
}
