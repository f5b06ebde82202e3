/** Repositories and the archives in them, with their keys unsealed at the last moment. */
import type { Catalog } from '../catalog/catalog.ts';
import type { RepositoryRow } from '../catalog/repositories.ts';
import type { Clock } from '../base/clock.ts';
import { sortableId } from '../base/ids.ts';
import { immutable as immutableForm, repositoryLocation, type ArchiveAccess, type Immutable, type RepositoryLocation } from '../contract/values.ts';
import type { Repository, RepositoryLimits } from '../contract/routes/repositories.ts';
import { usualCopies } from '../domain/policy-run.ts';
import { archiveUnknown, repositoryAttached } from './copy-failures.ts';
import { repositoryExists, repositoryUnknown } from './failures.ts';
import { showPlace } from '../contract/repository-place.ts';
import { limitsOf } from './bandwidth.ts';
import { nameGateways, type Gateways } from './gateways.ts';
import type { Rereads } from './rereads.ts';
import type { Sealer } from './sealing.ts';
import type { Sweeps } from './sweeps.ts';
import type { Links } from './links.ts';
import { localHost } from './hosts.ts';

export type NewRepository = { name: string; /** The id of the host it is on; the server's own by default. */ host?: string; location: RepositoryLocation; secret: string | null; passphrase: string; create: boolean; immutable?: Immutable | null; isDefault: boolean; /** Of somebody else: it is only read. */ isAttached?: boolean; passphraseFile: string | null };

/** As the repository said when it was opened, or was raised since. */
export function immutableOf(row: RepositoryRow): Immutable | null {
  return row.immutable === null ? null : immutableForm.parse(JSON.parse(row.immutable));
}

export function locationOf(row: RepositoryRow): RepositoryLocation {
  return repositoryLocation.parse(JSON.parse(row.location));
}

/** Channels of a data session and connections to a share; parts of an object that go to a bucket at once. */
const usualConnections = (row: RepositoryRow): number => (locationOf(row).kind === 's3' ? 6 : 4);

export type Archives = ReturnType<typeof openArchives>;

export function openArchives(options: { catalog: Catalog; sealer: Sealer; links: Links; clock: Clock; rereads: Rereads; sweeps: Sweeps }) {
  const { catalog, sealer, links, clock, rereads, sweeps } = options;
  const { repositories } = catalog;

  async function find(nameOrId: string): Promise<RepositoryRow> {
    const row = await repositories.find(nameOrId);
    if (row === undefined) throw repositoryUnknown({ repository: nameOrId });
    return row;
  }

  function secretOf(row: RepositoryRow): string | null {
    return row.sealed_secret === null ? null : sealer.open(row.sealed_secret, `repositories.secret:${row.id}`);
  }

  return {
    find,

    async usual(): Promise<RepositoryRow> {
      const usual = (await repositories.list()).find(({ is_default }) => is_default === 1);
      if (usual === undefined) throw repositoryUnknown({ repository: 'default' });
      return usual;
    },

    async add(wanted: NewRepository): Promise<RepositoryRow> {
      const known = await repositories.list();
      const location = JSON.stringify(wanted.location);
      const host = wanted.host ?? localHost;
      const same = known.find((row) => row.name === wanted.name || (row.location === location && row.host === host));
      if (same !== undefined) throw repositoryExists({ name: same.name === wanted.name ? wanted.name : showPlace(wanted.location), known: same.name });
      const { location: place, secret, passphrase, create, immutable = null, isAttached: attach = false } = wanted;
      const { repositoryId, keyHex, immutable: kept } = await links.of(host).call('repository.open', { location: place, secret, passphrase, create, attach, immutable });
      const twin = known.find(({ id }) => id === repositoryId);
      if (twin !== undefined) throw repositoryExists({ name: showPlace(wanted.location), known: twin.name });
      const row: RepositoryRow = {
        id: repositoryId === '' ? sortableId(clock) : repositoryId,
        name: wanted.name,
        host,
        location,
        sealed_secret: wanted.secret === null ? null : sealer.seal(wanted.secret, `repositories.secret:${repositoryId}`),
        sealed_passphrase: sealer.seal(wanted.passphrase, `repositories.passphrase:${repositoryId}`),
        sealed_key: sealer.seal(keyHex, `repositories.key:${repositoryId}`),
        passphrase_file: wanted.passphraseFile,
        is_default: wanted.isDefault ? 1 : 0,
        added_ms: clock.now(),
        limits: '[]',
        is_attached: wanted.isAttached === true ? 1 : 0,
        immutable: kept === null ? null : JSON.stringify(kept),
        gateways: JSON.stringify({ through: [], hosts: null } satisfies Gateways),
        copies_at_once: null,
        connections: null,
      };
      await repositories.add(row);
      return row;
    },

    async view(row: RepositoryRow): Promise<Repository> {
      const archives = await repositories.archives(row.id);
      const [points, sets, hosts] = await Promise.all([catalog.points.list(), catalog.sets.list(), catalog.hosts.list()]);
      return {
        id: row.id,
        name: row.name,
        host: hosts.find(({ id }) => id === row.host)?.name ?? row.host,
        location: locationOf(row),
        isDefault: row.is_default === 1,
        isAttached: row.is_attached === 1,
        immutable: immutableOf(row),
        limits: limitsOf(row),
        copiesAtOnce: row.copies_at_once ?? usualCopies.repository,
        connections: row.connections ?? usualConnections(row),
        gateways: nameGateways(row, hosts),
        reread: row.is_attached === 1 ? null : rereads.view(await rereads.of(row)),
        sweeps: row.is_attached === 1 ? null : sweeps.view(await sweeps.of(row)),
        addedAtMs: row.added_ms,
        passphraseFile: row.passphrase_file,
        archives: archives.map(({ set_id, set_name }) => ({
          setId: set_id,
          setName: set_name,
          isProtected: sets.some(({ id, repository }) => id === set_id && repository === row.id),
          points: points.filter((point) => point.set_id === set_id && point.repository === row.id && point.lost === 0).length,
        })),
      };
    },

    async setLimits(row: RepositoryRow, { limits, copiesAtOnce, connections }: RepositoryLimits): Promise<RepositoryRow> {
      const change = { ...(limits !== undefined && { limits: JSON.stringify(limits) }), ...(copiesAtOnce !== undefined && { copies_at_once: copiesAtOnce }), ...(connections !== undefined && { connections }) };
      if (Object.keys(change).length > 0) await repositories.setLimits(row.id, change);
      return await find(row.id);
    },

    /** The place says first whether it can. */
    async raise(row: RepositoryRow, days: number): Promise<RepositoryRow> {
      await links.of(row.host).call('repository.raise', { location: locationOf(row), secret: secretOf(row), days });
      await repositories.setImmutable(row.id, JSON.stringify({ ...immutableOf(row), days }));
      return await find(row.id);
    },

    /** Fails where the place breaks what a repository rests on; before the first writing there. */
    async tryPlace(row: RepositoryRow): Promise<void> {
      await links.of(row.host).call('repository.try', { location: locationOf(row), secret: secretOf(row) });
    },

    async setGateways(row: RepositoryRow, gateways: Gateways): Promise<RepositoryRow> {
      await repositories.setGateways(row.id, JSON.stringify(gateways));
      return await find(row.id);
    },

    /** Makes the set's archive in the repository, or finds it; its key is kept sealed. */
    async open(repository: RepositoryRow, setId: string, setName: string): Promise<void> {
      const location = locationOf(repository);
      const repositoryKeyHex = sealer.open(repository.sealed_key, `repositories.key:${repository.id}`);
      const { keyHex } = await links.of(repository.host).ask('archive.open', { location, secret: secretOf(repository), repositoryKeyHex, setId, setName });
      const sealed_key = sealer.seal(keyHex, `archives.key:${repository.id}:${setId}`);
      await repositories.putArchive({ repository: repository.id, set_id: setId, set_name: setName, sealed_key });
    },

    /** What a host needs to open the place itself, without a key to what is in it. */
    async place(repositoryId: string): Promise<{ location: RepositoryLocation; secret: string | null }> {
      const row = await find(repositoryId);
      return { location: locationOf(row), secret: secretOf(row) };
    },

    /** Every archive that is there, with its key, kept sealed: of a repository that others have filled. */
    async takeIn(repository: RepositoryRow): Promise<{ setId: string; setName: string }[]> {
      const repositoryKeyHex = sealer.open(repository.sealed_key, `repositories.key:${repository.id}`);
      const { archives } = await links.of(repository.host).ask('repository.archives', { location: locationOf(repository), secret: secretOf(repository), repositoryKeyHex });
      for (const { setId, setName, keyHex } of archives) {
        await repositories.putArchive({ repository: repository.id, set_id: setId, set_name: setName, sealed_key: sealer.seal(keyHex, `archives.key:${repository.id}:${setId}`) });
      }
      return archives.map(({ setId, setName }) => ({ setId, setName }));
    },

    /** A set's archive in a repository, by the set's name there or its id. */
    async archiveIn(repository: RepositoryRow, set: string): Promise<{ setId: string; setName: string }> {
      const found = (await repositories.archives(repository.id)).filter(({ set_id, set_name }) => set_id === set || set_name === set);
      if (found.length !== 1) throw archiveUnknown({ set, repository: repository.name, several: found.length > 1 });
      return { setId: found[0]!.set_id, setName: found[0]!.set_name };
    },

    /** Fails where nothing may be written. */
    async writable(nameOrId: string): Promise<RepositoryRow> {
      const row = await find(nameOrId);
      if (row.is_attached === 1) throw repositoryAttached({ repository: row.name });
      return row;
    },

    async list(repositoryId: string): Promise<{ setId: string; setName: string }[]> {
      return (await repositories.archives(repositoryId)).map(({ set_id, set_name }) => ({ setId: set_id, setName: set_name }));
    },

    /** The repository that holds points of a set that is not protected any more, by its replica set's name or id. */
    async ofSet(nameOrId: string): Promise<{ name: string; place: string } | undefined> {
      for (const row of await repositories.list()) {
        const isThere = (await repositories.archives(row.id)).some(({ set_id, set_name }) => set_id === nameOrId || set_name === nameOrId);
        if (isThere) return { name: row.name, place: showPlace(locationOf(row)) };
      }
      return undefined;
    },

    async access(repositoryId: string, setId: string): Promise<ArchiveAccess> {
      const repository = await find(repositoryId);
      const archive = await repositories.archive(repositoryId, setId);
      if (archive === undefined) throw repositoryUnknown({ repository: `${repository.name} (archive of ${setId})` });
      return { location: locationOf(repository), secret: secretOf(repository), setId, keyHex: sealer.open(archive.sealed_key, `archives.key:${repositoryId}:${setId}`), ...(repository.is_attached === 1 && { isReadOnly: true }), ...(repository.connections !== null && { connections: repository.connections }) };
    },
  };
}
