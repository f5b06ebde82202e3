/** What the handlers of the REST API work with. */
import type { Catalog } from '../catalog/catalog.ts';
import type { SessionRow } from '../catalog/sessions.ts';
import type { SetRow } from '../catalog/sets.ts';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { Session } from '../contract/sessions.ts';
import type { Archives } from './archives.ts';
import type { Credentials } from './credentials.ts';
import type { Distribution } from './distribution.ts';
import type { HostKeys } from './host-keys.ts';
import type { Installers } from './installers.ts';
import type { Moments } from './moments.ts';
import type { OplogStandings } from './oplog-standings.ts';
import type { Points } from './points.ts';
import type { ProtectedSets } from './protected-sets.ts';
import type { SessionEngine } from './session-engine.ts';
import type { SessionLog } from './session-log.ts';
import type { Hosts } from './hosts.ts';
import type { Links } from './links.ts';
import type { Placement } from './placement.ts';
import type { ServiceVersions } from './service-versions.ts';

export type Services = {
  readonly catalog: Catalog;
  readonly clock: Clock;
  readonly log: Log;
  readonly links: Links;
  readonly hosts: Hosts;
  readonly distribution: Distribution;
  readonly versions: ServiceVersions;
  readonly installers: Installers;
  readonly placement: Placement;
  readonly archives: Archives;
  readonly credentials: Credentials;
  readonly hostKeys: HostKeys;
  readonly sets: ProtectedSets;
  readonly points: Points;
  readonly standings: OplogStandings;
  readonly moments: Moments;
  readonly engine: SessionEngine;
  readonly sessionLog: SessionLog;
  viewSession(row: SessionRow): Promise<Session>;
  /** Opens the session that follows the set's oplog, unless it is open. */
  keepOplog(set: SetRow): Promise<void>;
  about(): { version: string; startedAtMs: number; url: string; caFingerprint: string; /** Where hosts reach this server, when it takes any. */ hostPorts: { enrolmentPort?: number; agentControlPort?: number; depotPort?: number; installerPort?: number } };
};
