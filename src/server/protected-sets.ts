/** The protected sets: what is known of them, how they are reached, and how one is added. */
import type { Catalog } from '../catalog/catalog.ts';
import type { SetRow } from '../catalog/sets.ts';
import type { Clock } from '../base/clock.ts';
import type { ProtectedSet } from '../contract/routes/sets.ts';
import { discovered, hostAndPort, mongoTarget, type ArchiveAccess, type Discovered, type MongoTarget } from '../contract/values.ts';
import { whatFollows } from './alarms.ts';
import type { Archives } from './archives.ts';
import { setChanged, setExists, setNameTaken, setUnknown } from './failures.ts';
import { orphanSet } from './orphans.ts';
import { oplogModeOf } from './oplog-mode.ts';
import type { OplogStandings } from './oplog-standings.ts';
import type { Points } from './points.ts';
import { policiesOf } from './policy-objects.ts';
import { withoutNewBase } from './policy-wish.ts';
import type { Sealer } from './sealing.ts';
import type { Links } from './links.ts';
import type { Placement } from './placement.ts';

export type ProtectedSets = ReturnType<typeof openProtectedSets>;

export function openProtectedSets(options: { catalog: Catalog; sealer: Sealer; links: Links; placement: Placement; clock: Clock; archives: Archives; standings: OplogStandings; points: Points }) {
  const { catalog, sealer, links, placement, clock, archives, standings, points } = options;
  const targetPlace = (id: string): string => `sets.target:${id}`;

  async function find(nameOrId: string): Promise<SetRow> {
    const row = await catalog.sets.find(nameOrId);
    if (row !== undefined) return row;
    // Points tell the replica set's own name, which may be another one than it has here.
    const same = (await catalog.sets.list()).filter((each) => discovered.parse(JSON.parse(each.discovered)).name === nameOrId);
    if (same.length === 1) return same[0]!;
    const kept = await archives.ofSet(nameOrId);
    throw setUnknown({ set: nameOrId, keptIn: kept?.name ?? null, place: kept?.place ?? null });
  }

  async function view(row: SetRow): Promise<ProtectedSet> {
    const known = discovered.parse(JSON.parse(row.discovered));
    const [repository, alarms, held, policies] = await Promise.all([archives.find(row.repository), catalog.sets.alarms(row.id), catalog.points.list(row.id), policiesOf(row.id, catalog)]);
    const oplog = await standings.view(row.id, points.good(held, row.repository));
    const without = alarms.some(({ is_settled }) => is_settled === 0) ? await withoutNewBase(row.id, catalog) : [];
    const last = held.filter(({ lost, repository: of }) => lost === 0 && of === row.repository).at(-1);
    return {
      id: row.id,
      name: row.name,
      replicaSet: known.name,
      repository: repository.name,
      hosts: hostAndPort.array().parse(JSON.parse(row.hosts)),
      signIn: row.sign_in as ProtectedSet['signIn'],
      mongoVersion: known.mongoVersion,
      featureCompatibilityVersion: known.featureCompatibilityVersion,
      members: known.members,
      local: known.local,
      addedAtMs: row.added_ms,
      refreshedAtMs: row.refreshed_ms,
      oplog,
      oplogEveryMinutes: oplogModeOf(row).everyMinutes,
      lastPoint: last === undefined ? null : points.summary(last),
      policies: policies.map(({ row: { name, is_enabled } }) => ({ name, isEnabled: is_enabled === 1 })),
      alarms: alarms.map(({ id, at_ms, what, says, backup_session, is_settled }) => ({ id, atMs: at_ms, what, says, backupSession: backup_session, isSettled: is_settled === 1, next: is_settled === 1 ? null : whatFollows(row.name, without) })),
    };
  }

  return {
    find,
    view,
    list: async (): Promise<SetRow[]> => await catalog.sets.list(),
    target: (row: SetRow): MongoTarget => mongoTarget.parse(JSON.parse(sealer.open(row.sealed_target, targetPlace(row.id)))),
    archive: async (row: SetRow): Promise<ArchiveAccess> => await archives.access(row.repository, row.id),

    async add(wanted: { target: MongoTarget; name?: string; repository?: string }): Promise<SetRow> {
      const repository = wanted.repository === undefined ? await archives.usual() : await archives.writable(wanted.repository);
      const found = await placement.discover(wanted.target);
      const name = wanted.name ?? found.name;
      const known = await catalog.sets.list();
      const same = known.find(({ id }) => id === found.setId);
      if (same !== undefined) throw setExists({ set: same.name, setId: found.setId });
      if (known.some((row) => row.name === name)) throw setNameTaken({ name });
      await archives.open(repository, found.setId, found.name);
      const row: SetRow = {
        id: found.setId,
        name,
        repository: repository.id,
        sealed_target: sealer.seal(JSON.stringify(wanted.target), targetPlace(found.setId)),
        sign_in: wanted.target.credential.kind,
        hosts: JSON.stringify(wanted.target.hosts),
        discovered: JSON.stringify(found),
        added_ms: clock.now(),
        refreshed_ms: clock.now(),
        oplog_mode: '{}',
      };
      await catalog.sets.add(row);
      // An archive that is there already, of a set that was protected before, brings its points along.
      await points.mirror(row, await links.of(repository.host).ask('archive.window', { archive: await archives.access(repository.id, row.id) }));
      return row;
    },

    /** Writes down what a new look told; another replica set at the same addresses is refused. */
    async refresh(row: SetRow, found: Discovered): Promise<void> {
      if (found.setId !== row.id) throw setChanged({ set: row.name, expected: row.id, found: found.setId });
      await catalog.sets.refresh(row.id, JSON.stringify(found), clock.now());
    },

    async remove(row: SetRow): Promise<void> {
      await orphanSet(row.id, { catalog, clock });
      await catalog.sets.remove(row.id);
      standings.forget(row.id);
    },
  };
}
