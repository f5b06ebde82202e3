/**
 * Importing a repository of somebody else, and taking it over (docs/design/backup-copy.md, "Import and adopt").
 *
 * Taking over goes step by step, each of which may be the last one before a crash; done again, it does what is left. That
 * nobody else is at work there is looked at first, and again right before it becomes writable.
 */
import type { CopyRow } from '../catalog/copies.ts';
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
  const { archives } = services;
  const row = await archives.add({ ...wanted, create: false, isDefault: false, isAttached: true, passphraseFile: null });
  await listWhatIsThere(row, services);
  return row;
}

/** Every archive there is now, and its points: others may have made some since. */
async function listWhatIsThere(row: RepositoryRow, { archives, moments }: Services): Promise<void> {
  for (const { setId } of await archives.takeIn(row)) await moments.window({ id: setId, repository: row.id });
}

const work = { writer: 'a backup or a copy', sweep: 'a sweep', oplog: 'the following of the oplog' } as const;

/** What this server itself does in a repository that is its own is no reason to wait. */
async function requireFree(row: RepositoryRow, { archives, links }: Services): Promise<void> {
  if (row.is_attached === 0) return;
  for (const { setId, setName } of await archives.list(row.id)) {
    const { holders } = await links.of(row.host).ask('archive.holders', { archive: await archives.access(row.id, setId) });
    const [first] = holders;
    if (first !== undefined) throw repositoryHeld({ repository: row.name, set: setName, what: work[first.what], until: new Date(first.untilMs).toISOString() });
  }
}

export async function adopt(row: RepositoryRow, apply: boolean, services: Services): Promise<Adoption> {
  const { archives, catalog, copies } = services;
  if (row.is_attached === 1) await listWhatIsThere(row, services);
  await requireFree(row, services);
  const inIt = new Set((await archives.list(row.id)).map(({ setId }) => setId));
  const sets = (await services.sets.list()).filter(({ id }) => inIt.has(id));
  const moving = sets.filter(({ repository }) => repository !== row.id);
  // Those of sets that were moved before a crash too: a set is not copied to where it is.
  const ending = (await copies.list()).filter(({ set_id, repository }) => repository === row.id && sets.some(({ id }) => id === set_id));
  const plan = [
    ...(row.is_attached === 1 ? [`repository ${row.name} may be written from now on: no other server may use it any more`] : []),
    ...(await Promise.all(moving.map(async (set) => `set ${set.name} goes on in ${row.name}: backups and oplog go there, and no longer to ${(await archives.find(set.repository)).name}`))),
    ...(await Promise.all(ending.map(async (copy) => `the copy ${await copies.nameOf(copy)} ends`))),
  ];
  if (apply) {
    for (const set of moving) await requireIdle(set, services);
    await requireFree(row, services);
    if (row.is_attached === 1) await archives.tryPlace(row);
    await catalog.repositories.takeOver(row.id);
    for (const set of moving) await moveSet(set, row, ending.filter(({ set_id }) => set_id === set.id), services);
    for (const copy of ending) if (!moving.some(({ id }) => id === copy.set_id)) await copies.end(copy);
  }
  return { applied: apply, repository: row.name, plan, sets: moving.map(({ name }) => name) };
}

async function requireIdle(set: SetRow, { catalog }: Services): Promise<void> {
  const inTheWay = (await catalog.sessions.unfinished()).find(({ set_id, kind }) => set_id === set.id && kind === 'backup');
  if (inTheWay !== undefined) throw setBusy({ set: set.name, session: inTheWay.id });
}

/** The follower of its oplog ends first, and what copies there ends before the next one begins: one chain never has two writers. */
async function moveSet(set: SetRow, row: RepositoryRow, ending: readonly CopyRow[], services: Services): Promise<void> {
  const { catalog, copies, engine, sets, standings } = services;
  await requireIdle(set, services);
  const open = (await catalog.sessions.unfinished()).filter(({ set_id }) => set_id === set.id);
  for (const { id, kind } of open) if (kind === 'oplog') await engine.end(id);
  await catalog.sets.moveTo(set.id, row.id);
  for (const copy of ending) await copies.end(copy);
  // What was archived elsewhere says nothing of how far it is archived here.
  await standings.change(set.id, { state: 'waiting', chain: null, through: null, committed: null, stretches: [], says: `goes on in repository ${row.name}`, session: null });
  await services.keepOplog(await sets.find(set.id));
}
