import type { Migration } from 'kysely/migration';
import * as first from './0001-first.ts';
import * as credentials from './0002-credentials.ts';
import * as hosts from './0003-hosts.ts';
import * as groups from './0004-groups.ts';
import * as services from './0005-services.ts';
import * as limits from './0006-limits.ts';
import * as enrolmentKeys from './0007-enrolment-keys.ts';
import * as gateways from './0008-gateways.ts';
import * as locationSecrets from './0009-location-secrets.ts';
import * as people from './0010-people.ts';
import * as copies from './0012-copies.ts';
import * as immutable from './0013-immutable.ts';
import * as policies from './0015-policies.ts';
import * as news from './0016-news.ts';
import * as servers from './0017-servers.ts';
import * as platforms from './0019-platforms.ts';
import * as hostAlarms from './0020-host-alarms.ts';
import * as oplogMode from './0021-oplog-mode.ts';
import * as verifications from './0022-verifications.ts';
import * as orphans from './0023-orphans.ts';
import * as serverAddresses from './0025-server-addresses.ts';
import * as history from './0027-history.ts';
import * as sweeps from './0028-sweeps.ts';
import * as settableLimits from './0029-settable-limits.ts';
import * as plans from './0030-plans.ts';

/** By name, in alphabetical order. A migration that was released is never changed; the next one mends it. */
export const migrations: Record<string, Migration> = {
  '0001-first': first,
  '0002-credentials': credentials,
  '0003-hosts': hosts,
  '0004-groups': groups,
  '0005-services': services,
  '0006-limits': limits,
  '0007-enrolment-keys': enrolmentKeys,
  '0008-gateways': gateways,
  '0009-location-secrets': locationSecrets,
  '0010-people': people,
  '0012-copies': copies,
  '0013-immutable': immutable,
  '0015-policies': policies,
  '0016-news': news,
  '0017-servers': servers,
  '0019-platforms': platforms,
  '0020-host-alarms': hostAlarms,
  '0021-oplog-mode': oplogMode,
  '0022-verifications': verifications,
  '0023-orphans': orphans,
  '0025-server-addresses': serverAddresses,
  '0027-history': history,
  '0028-sweeps': sweeps,
  '0029-settable-limits': settableLimits,
  '0030-plans': plans,
};
