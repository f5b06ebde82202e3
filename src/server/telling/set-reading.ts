/**
 * What a standing is made of, asked for one set or read for all: of thousands each table is read in lots of a hundred sets, and others
 * have their turn between two lots.
 */
import { setImmediate as turnOfLoop } from 'node:timers/promises';
import type { Catalog } from '../../catalog/catalog.ts';
import type { PointRow } from '../../catalog/points.ts';
import type { AlarmRow, SetRow } from '../../catalog/sets.ts';
import type { VerificationRow } from '../../catalog/verifications.ts';
import type { Promised } from '../../domain/protection.ts';
import type { OplogStandings } from '../oplog-standings.ts';
import type { PolicyPromises } from '../policy-promises.ts';

export type KnownOfSet = { readonly promised: Promised; readonly rows: readonly PointRow[]; readonly alarms: readonly AlarmRow[]; readonly verifications: readonly VerificationRow[] };
export type SetReading = { one(setId: string): Promise<KnownOfSet>; all(): AsyncGenerator<{ readonly set: SetRow; readonly known: KnownOfSet }> };

const lot = 100;

export function openSetReading({ catalog, policies, standings }: { catalog: Catalog; policies: Pick<PolicyPromises, 'promisedTo' | 'promisedToAll'>; standings: Pick<OplogStandings, 'readAhead'> }): SetReading {
  return {
    one: async (setId) => ({ promised: await policies.promisedTo(setId), rows: await catalog.points.list(setId), alarms: await catalog.sets.alarms(setId), verifications: await catalog.verifications.ofSet(setId) }),
    async *all() {
      const sets = await catalog.sets.list();
      if (sets.length === 0) return;
      const promisedTo = await policies.promisedToAll();
      const verifications = Map.groupBy(await catalog.verifications.list(), ({ set_id }) => set_id);
      for (let from = 0; from < sets.length; from += lot) {
        const some = sets.slice(from, from + lot);
        const ids = some.map(({ id }) => id);
        using _ = await standings.readAhead(ids);
        const [points, alarms] = [Map.groupBy(await catalog.points.ofSets(ids), ({ set_id }) => set_id), await catalog.sets.alarmsOf(ids)];
        for (const set of some) yield { set, known: { promised: promisedTo(set.id), rows: points.get(set.id) ?? [], alarms: alarms.get(set.id) ?? [], verifications: verifications.get(set.id) ?? [] } };
        await turnOfLoop();
      }
    },
  };
}
