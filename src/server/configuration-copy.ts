/**
 * The configuration of this server, kept in its repositories (docs/design/server-recovery.md): once a day, and within a minute of a change.
 *
 *   looked at each minute ──people have changed something since it was stored there last, or it is a day old──▶ sealed here ──▶ stored in each repository that may be written
 *        └ not stored: said once in the log, tried again each minute
 *
 * Sealed with a key that is made of the repository's: its passphrase opens it, and no host on the way can.
 */
import { hkdfSync } from 'node:crypto';
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import * as z from 'zod';
import type { Catalog } from '../catalog/catalog.ts';
import type { CatalogSnapshot } from '../catalog/snapshot.ts';
import type { RepositoryRow } from '../catalog/repositories.ts';
import type { Clock } from '../base/clock.ts';
import { describe } from '../base/failure.ts';
import { nextSortableId, sortableId } from '../base/ids.ts';
import type { Log } from '../base/log.ts';
import type { Archives } from './archives.ts';
import type { Links } from './links.ts';
import { sealerWith, type Sealer } from './sealing.ts';

export type Configuration = { readonly form: 1; readonly version: string; readonly madeAtMs: number; readonly secrets: { readonly masterKeyHex: string; readonly authority: string }; readonly catalog: CatalogSnapshot };

export const configurationForm = z.object({
  form: z.literal(1),
  version: z.string(),
  madeAtMs: z.number(),
  secrets: z.object({ masterKeyHex: z.string().regex(/^[0-9a-f]{64}$/), authority: z.string() }),
  catalog: z.object({ migration: z.string(), tables: z.record(z.string(), z.array(z.record(z.string(), z.unknown()))) }),
});

const keptCopies = 30;
const dayMs = 86_400_000;

/** Bound to its name, so that an old copy cannot take the place of a new one. */
export function sealConfiguration(configuration: Configuration, repositoryKey: Uint8Array, name: string): Uint8Array {
  const packed = zstdCompressSync(Buffer.from(JSON.stringify(configuration))).toString('base64');
  return Buffer.from(sealerWith(keyFor(repositoryKey)).seal(packed, name));
}

export function openConfiguration(bytes: Uint8Array, repositoryKey: Uint8Array, name: string): Configuration {
  const packed = sealerWith(keyFor(repositoryKey)).open(Buffer.from(bytes).toString('utf8'), name);
  return configurationForm.parse(JSON.parse(zstdDecompressSync(Buffer.from(packed, 'base64')).toString('utf8')));
}

const keyFor = (repositoryKey: Uint8Array): Uint8Array => new Uint8Array(hkdfSync('sha256', repositoryKey, '', 'tidemark server configuration', 32));

export function keepConfigurationCopied(options: {
  catalog: Catalog;
  archives: Archives;
  links: Links;
  sealer: Sealer;
  secrets: Configuration['secrets'];
  /** Tells this installation from others that use the same repository. */
  installation: string;
  version: string;
  clock: Clock;
  log: Log;
  isMine: () => Promise<boolean>;
  everyMs?: number;
  signal: AbortSignal;
}): void {
  const { catalog, archives, links, clock, log, signal, everyMs = 60_000 } = options;
  const stored = new Map<string, { wishes: string; atMs: number }>();
  const said = new Set<string>();

  /** Again behind a copy that a clock which was ahead has named: a recovery takes the last by name. */
  async function store(row: RepositoryRow, snapshot: CatalogSnapshot): Promise<void> {
    const newest = await storeAs(sortableId(clock), row, snapshot);
    if (newest !== undefined) await storeAs(nextSortableId([newest], clock), row, snapshot);
  }

  /** Answers a later one that is there. */
  async function storeAs(id: string, row: RepositoryRow, snapshot: CatalogSnapshot): Promise<string | undefined> {
    const name = `server/${options.installation}/${id}`;
    const key = Buffer.from(options.sealer.open(row.sealed_key, `repositories.key:${row.id}`), 'hex');
    const configuration: Configuration = { form: 1, version: options.version, madeAtMs: clock.now(), secrets: options.secrets, catalog: snapshot };
    const { location, secret } = await archives.place(row.id);
    const bytes = Buffer.from(sealConfiguration(configuration, key, name)).toString('base64');
    const { newest = name } = await links.of(row.host).call('repository.keep-configuration', { location, secret, name, bytes, keep: keptCopies }, { signal, waitMs: 5_000 });
    return newest > name ? newest.slice(newest.lastIndexOf('/') + 1) : undefined;
  }

  async function look(): Promise<void> {
    if (!(await options.isMine())) return;
    const wishes = await catalog.snapshots.wishes();
    const due = (await catalog.repositories.list()).filter(({ id, is_attached }) => {
      const last = stored.get(id);
      return is_attached !== 1 && (last === undefined || last.wishes !== wishes || clock.monotonicMs() - last.atMs >= dayMs);
    });
    if (due.length === 0) return;
    const snapshot = await catalog.snapshots.take();
    for (const row of due) {
      try {
        await store(row, snapshot);
        stored.set(row.id, { wishes, atMs: clock.monotonicMs() });
        said.delete(row.id);
      } catch (error) {
        if (!said.has(row.id) && !signal.aborted) log.warn('the configuration of this server was not copied to a repository; it is tried again', { repository: row.name, why: describe(error) });
        said.add(row.id);
      }
    }
  }

  const run = async (): Promise<void> => {
    while (!signal.aborted) {
      await look().catch((error: unknown) => {
        if (!signal.aborted) log.warn('the configuration of this server could not be looked at', { why: describe(error) });
      });
      await clock.wait(everyMs, signal).catch(() => {});
    }
  };
  void run();
}
