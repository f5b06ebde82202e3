/**
 * Tables of mongod's `local` database in a copy, found as mongod finds them: the catalogue names their files, the metadata
 * says what WiredTiger calls those. Undefined, or a RangeError, where anything is not exactly as expected.
 */
import { open, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { BSON } from 'mongodb';
import { nameCheckpoint, readConfiguration, unpackCheckpoint } from './metadata.ts';
import { readRows, type Row } from './row-store.ts';

export type Table = {
  /** In the journal. */
  readonly fileId: number;
  /** Whether recovery applies what the journal says of it. */
  readonly isJournaled: boolean;
  /** As the checkpoint has them, in the order of their keys. */
  rows(from?: Buffer): AsyncGenerator<Row>;
};

export type JournalPart = { readonly path: string; readonly from: number };

export type DataDirectory = AsyncDisposable & {
  /** Tables of collections, and of their indexes as `<namespace> <index>`, as the checkpoint has them. */
  tables(names: readonly string[]): Promise<Map<string, Table> | undefined>;
  /** The journal's files that recovery reads, and where in each it begins. */
  journal(): Promise<readonly JournalPart[] | undefined>;
};

const catalogue = '_mdb_catalog.wt';

export async function openDataDirectory(directory: string): Promise<DataDirectory | undefined> {
  const turtle = await readFile(join(directory, 'WiredTiger.turtle'));
  const journalFrom = journalPlace(turtle.toString('latin1'));
  if (journalFrom === undefined || (await readdir(directory)).includes('WiredTiger.backup')) return undefined;
  const metadata = await open(join(directory, 'WiredTiger.wt'));

  async function table(path: string): Promise<Table | undefined> {
    const configuration = await readConfiguration(turtle, metadata, path);
    const id = /(?:^|,)id=(\d+)(?:,|$)/.exec(configuration ?? '')?.[1];
    const name = nameCheckpoint(configuration ?? '');
    const checkpoint = name === undefined ? undefined : unpackCheckpoint(name);
    if (configuration === undefined || id === undefined || checkpoint === undefined) return undefined;
    const { root, allocationBytes } = checkpoint;
    return {
      fileId: Number(id),
      isJournaled: configuration.includes('log=(enabled=true)'),
      async *rows(from) {
        if (root === undefined) return;
        await using file = await open(join(directory, path));
        yield* readRows({ file, root, allocationBytes }, from);
      },
    };
  }

  return {
    async journal() {
      const names = (await readdir(join(directory, 'journal')).catch(() => [])).filter((name) => /^WiredTigerLog\.\d{10}$/.test(name)).sort();
      const numbers = names.map((name) => Number(name.slice(name.indexOf('.') + 1)));
      const first = numbers.indexOf(journalFrom.file);
      const isRun = numbers.every((number, k) => number === numbers[0]! + k);
      if (first < 0 || !isRun) return undefined;
      return names.slice(first).map((name, k) => ({ path: join(directory, 'journal', name), from: k === 0 ? journalFrom.offset : 0 }));
    },
    async tables(names) {
      const left = new Set(names);
      const found = new Map<string, Table>();
      const take = async (name: string, ident: unknown): Promise<void> => {
        const taken = left.has(name) && typeof ident === 'string' ? await table(`${ident}.wt`) : undefined;
        if (taken === undefined) return;
        left.delete(name);
        found.set(name, taken);
      };
      for await (const { value, ends } of (await table(catalogue))?.rows() ?? []) {
        if (left.size === 0) break;
        if (ends) continue;
        const { ns, ident, idxIdent } = BSON.deserialize(value) as { ns?: unknown; ident?: unknown; idxIdent?: Record<string, unknown> };
        if (typeof ns !== 'string' || !ns.startsWith('local.')) continue;
        await take(ns, ident);
        for (const [index, of] of Object.entries(idxIdent ?? {})) await take(`${ns} ${index}`, of);
      }
      return left.size === 0 ? found : undefined;
    },
    [Symbol.asyncDispose]: async () => await metadata.close(),
  };
}

function journalPlace(turtle: string): { file: number; offset: number } | undefined {
  const found = /checkpoint_lsn=\((\d+),(\d+)\)/.exec(turtle);
  return found === null ? undefined : { file: Number(found[1]), offset: Number(found[2]) };
}
