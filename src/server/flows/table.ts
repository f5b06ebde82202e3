import type { Catalog } from '../../catalog/catalog.ts';
import type { SessionKind } from '../../contract/sessions.ts';
import type { Alarms } from '../alarms.ts';
import type { Archives } from '../archives.ts';
import type { CopyServices } from './copy.ts';
import type { Groups } from '../groups.ts';
import type { Hooks } from '../hooks.ts';
import type { HostReach } from '../host-reach.ts';
import type { WantedServices } from '../wanted-services.ts';
import type { ServiceVersions } from '../service-versions.ts';
import type { LookAtNames } from '../name-checks.ts';
import type { LookAtSet } from '../set-looks.ts';
import type { VisitDeadlines } from '../computer-visit.ts';
import type { Flow } from '../flow.ts';
import type { OplogStandings } from '../oplog-standings.ts';
import type { Placement } from '../placement.ts';
import type { OplogTending } from '../oplog-tending.ts';
import type { Points } from '../points.ts';
import type { ProtectedSets } from '../protected-sets.ts';
import type { Rereads } from '../rereads.ts';
import type { Retention } from '../retention.ts';
import type { Verifications } from '../verifications.ts';
import { backupFlow } from './backup.ts';
import { checkFlow } from './check.ts';
import { copyFlow } from './copy.ts';
import { copyOplogFlow } from './copy-oplog.ts';
import { repairFlow } from './repair.ts';
import { retentionFlow } from './retention.ts';
import { configureFlow } from './configure.ts';
import { deployFlow, type DeployServices } from './deploy.ts';
import { oplogFindFlow } from './oplog-find.ts';
import { oplogFlow } from './oplog.ts';
import { publishFlow } from './publish.ts';
import { restoreCollectionsFlow } from './restore-collections.ts';
import { rescanFlow } from './rescan.ts';
import { restoreSetFlow } from './restore-set.ts';
import { sweepFlow } from './sweep.ts';
import { testRepositoryFlow } from './test-repository.ts';
import { uninstallFlow } from './uninstall.ts';
import { updateFlow } from './update.ts';
import { verifyFlow } from './verify.ts';

export type FlowServices = DeployServices & CopyServices & { hooks: Hooks; wantedServices: WantedServices; versions: ServiceVersions; hostReach: HostReach; groups: Groups; lookAtSet: LookAtSet; lookAtNames: LookAtNames; placement: Placement; sets: ProtectedSets; points: Points; standings: OplogStandings; archives: Archives; alarms: Alarms; retention: Retention; verifications: Verifications; rereads: Rereads; tending: OplogTending; catalog: Catalog; copyEveryMs?: number; oplogWaitMs?: number; findWaitMs?: number; rescanMs?: Partial<VisitDeadlines>; goneAfterMs?: number };

/** One flow for each kind of session. */
export function flowTable(services: FlowServices): Readonly<Record<SessionKind, Flow>> {
  return {
    backup: backupFlow(services) as Flow,
    verify: verifyFlow(services) as Flow,
    publish: publishFlow(services) as Flow,
    'restore-set': restoreSetFlow(services) as Flow,
    'restore-collections': restoreCollectionsFlow(services) as Flow,
    check: checkFlow(services) as Flow,
    test: testRepositoryFlow(services) as Flow,
    sweep: sweepFlow(services) as Flow,
    'oplog-find': oplogFindFlow(services) as Flow,
    oplog: oplogFlow(services) as Flow,
    deploy: deployFlow(services) as Flow,
    rescan: rescanFlow(services) as Flow,
    update: updateFlow(services) as Flow,
    configure: configureFlow(services) as Flow,
    uninstall: uninstallFlow(services) as Flow,
    copy: copyFlow(services) as Flow,
    'copy-oplog': copyOplogFlow(services) as Flow,
    repair: repairFlow(services) as Flow,
    retention: retentionFlow(services) as Flow,
  };
}
