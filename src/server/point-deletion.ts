/**
 * Deleting restore points: what would go and which moments with it, told before anything is done.
 *
 * A point that is held or in use stays, and the answer says why. The moments lost are those that no remaining point of
 * the set leads to. Deleting is the repository's, one manifest at a time; space comes back at the next sweep.
 */
import { compareTimes } from '../base/cluster-time.ts';
import { describe } from '../base/failure.ts';
import type { PointRow } from '../catalog/points.ts';
import type { RouteAnswer } from '../contract/routes.ts';
import { lostWithout, type OplogSpan } from '../domain/oplog-chain.ts';
import { stretchOf } from '../domain/restore-choice.ts';
import { repositoryAttached } from './copy-failures.ts';
import { pointBusy, pointHeld } from './failures.ts';
import { factsOf } from './moments.ts';
import type { Services } from './services.ts';

type Deletion = RouteAnswer<'point.delete'>;

export async function planDeletion(ids: readonly string[], apply: boolean, services: Services): Promise<Deletion> {
  const { points } = services;
  const asked = await Promise.all(ids.map(async (id) => await points.find(id)));
  const refused: Deletion['refused'] = [];
  const going: PointRow[] = [];
  for (const row of asked) {
    const why = await whyItStays(row, services);
    if (why === undefined) going.push(row);
    else if (ids.length === 1) throw why;
    else refused.push({ point: row.id, why: why.message });
  }
  const momentsLost = await lostMoments(going, services);
  const plan: Deletion = { applied: apply, points: going.map(points.summary), momentsLost, refused, deleted: [] };
  return apply ? await carryOut(going, plan, services) : plan;
}

async function whyItStays(row: PointRow, { engine, catalog, archives }: Services): Promise<Error | undefined> {
  const repository = await archives.find(row.repository);
  if (repository.is_attached === 1) return repositoryAttached({ repository: repository.name });
  if (row.hold_reason !== null) return pointHeld({ point: row.id, reason: row.hold_reason });
  const session = await engine.userOf(row.id);
  if (session === undefined) return undefined;
  const publication = (await catalog.publications.ofSession(session))?.id ?? null;
  return pointBusy({ point: row.id, session, publication });
}

async function lostMoments(going: readonly PointRow[], { moments }: Services): Promise<OplogSpan[]> {
  const lost: OplogSpan[] = [];
  const gone = new Set(going.map(({ id }) => id));
  const archives = new Map(going.map((row) => [`${row.repository} ${row.set_id}`, { id: row.set_id, repository: row.repository }]));
  for (const archive of archives.values()) {
    const facts = factsOf(await moments.window(archive));
    const stretches = facts.points.flatMap((point) => {
      const stretch = stretchOf(facts, point);
      return stretch === undefined ? [] : [{ id: point.id, chain: point.chain, stretch }];
    });
    // The same times of another history are no substitute.
    for (const chain of new Set(stretches.map((one) => one.chain))) {
      const along = stretches.filter((one) => one.chain === chain);
      lost.push(...lostWithout(along.map(({ stretch }) => stretch), along.filter(({ id }) => !gone.has(id)).map(({ stretch }) => stretch)));
    }
  }
  return lost.sort((a, b) => compareTimes(a.after, b.after));
}

async function carryOut(going: readonly PointRow[], plan: Deletion, { links, archives, catalog, sweeps, log }: Services): Promise<Deletion> {
  const deleted: string[] = [];
  const refused = [...plan.refused];
  for (const { id, repository, set_id } of going) {
    try {
      const { host } = await archives.find(repository);
      await links.of(host).call('point.delete', { archive: await archives.access(repository, set_id), point: id });
      await catalog.points.remove(id);
      await sweeps.want(repository);
      deleted.push(id);
    } catch (error) {
      if (going.length === 1) throw error;
      log.warn('a restore point could not be deleted', { point: id, why: describe(error) });
      refused.push({ point: id, why: describe(error) });
    }
  }
  return { ...plan, refused, deleted };
}
