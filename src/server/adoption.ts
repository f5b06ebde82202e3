/**
 * Importing a repository of somebody else, and taking it over (docs/design/backup-copy.md, "Import and adopt").
 *
 * Taking over goes step by step, each of which may be the last one before a crash; done again, it does what is left. That
 * nobody else is at work there is looked at first, and again right before it becomes writable.
 */
import type { RepositoryRow } from '../catalog/repositories.ts';
import type { SetRow } from '../catalog/sets.ts';
import type { RouteAnswer } from '../contract/routes.ts';
import { repositoryHeld } from './copy-failures.ts';
import type { NewRepository } from './archives.ts';
import { setBusy } from './failures.ts';
import type { Services } from './services.ts';

type Adoption = RouteAnswer<'repository.adopt'>;

/** Attaches a repository and lists what is in it. Nothing is written there. */
export async function importRepository(wanted: Pick<NewRepository, 'name' | 'host' | 'location' | 'secret' | 'passphrase'>, services: Services): Promise<RepositoryRow> {
  const { archives, moments } = services;
  const row = await archives.add({ ...wanted, create: false, isDefault: false, isAttached: true, passphraseFile: null });
  for (const { setId } of await archives.takeIn(row)) await moments.window({ id: setId, repository: row.id });
  return row;
}

const work = { writer: 'a backup or a copy', sweep: 'a sweep', oplog: 'the following of the oplog' } as const;

/** What this server itself does in a repository that is its own is no reason to wait. */
async function requireFree(row: RepositoryRow, { archives, links }: Services): Promise<void> {
  if (row.is_attached === 0) return;
  for (const { setId, setName } of await archives.list(row.id)) {
    const { holders } = await links.of(row.host).call('archive.holders', { archive: await archives.access(row.id, setId) });
    const [first] = holders;
    if (first !== undefined) throw repositoryHeld({ repository: row.name, set: setName, what: work[first.what], until: new Date(first.untilMs).toISOString() });
  }
}

export async function adopt(row: RepositoryRow, apply: boolean, services: Services): Promise<Adoption> {
  const { archives, catalog, copies } = services;
  await requireFree(row, services);
  const inIt = new Set((await archives.list(row.id)).map(({ setId }) => setId));
  const moving = (await services.sets.list()).filter((set) => inIt.has(set.id) && set.repository !== row.id);
  const ending = (await copies.list()).filter(({ set_id, repository }) => repository === row.id && moving.some(({ id }) => id === set_id));
  const plan = [
    ...(row.is_attached === 1 ? [`repository ${row.name} may be written from now on: no other server may use it any more`] : []),
    ...(await Promise.all(moving.map(async (set) => `set ${set.name} goes on in ${row.name}: backups and oplog go there, and no longer to ${(await archives.find(set.repository)).name}`))),
    ...(await Promise.all(ending.map(async (copy) => `the copy ${await copies.nameOf(copy)} ends`))),
  ];
  if (apply) {
    await catalog.repositories.takeOver(row.id);
    for (const copy of ending) await copies.end(copy);
    for (const set of moving) await moveSet(set, row, services);
  }
  return { applied: apply, repository: row.name, plan, sets: moving.map(({ name }) => name) };
}

/** The follower of its oplog ends first: one chain never has two writers, and neither has one set. */
async function moveSet(set: SetRow, row: RepositoryRow, services: Services): Promise<void> {
  const { catalog, engine, sets, standings } = services;
  const open = (await catalog.sessions.unfinished()).filter(({ set_id }) => set_id === set.id);
  const inTheWay = open.find(({ kind }) => kind === 'backup');
  if (inTheWay !== undefined) throw setBusy({ set: set.name, session: inTheWay.id });
  for (const { id, kind } of open) if (kind === 'oplog') await engine.end(id);
  await catalog.sets.moveTo(set.id, row.id);
  // What was archived elsewhere says nothing of how far it is archived here.
  await standings.change(set.id, { state: 'waiting', chain: null, through: null, committed: null, says: `goes on in repository ${row.name}`, session: null });
  await services.keepOplog(await sets.find(set.id));
}
