/**
 * What the deployer has begun and not ended: one file, written before the first change that shows, removed after the
 * last. Whoever finds it at its start brings the host back to one version or the other (docs/design/deployer.md).
 */
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import * as z from 'zod';
import { syncDirectory, writeWhole } from '../../base/whole-file.ts';
import { packageName, packageVersion } from '../../contract/packages.ts';

const begun = z.discriminatedUnion('kind', [
  /** `current` goes from one version to another. */
  z.object({ kind: z.literal('switch'), name: packageName, from: packageVersion.nullable(), to: packageVersion }),
  /** New settings are tried; these are the ones before. */
  z.object({ kind: z.literal('configure'), name: packageName, settings: z.string().nullable(), rights: z.string().nullable() }),
  z.object({ kind: z.literal('remove'), name: packageName, data: z.boolean() }),
]);
export type Begun = z.infer<typeof begun>;

const outcome = z.object({ what: z.string(), atMs: z.number(), ok: z.boolean(), says: z.string() });
export type Outcome = z.infer<typeof outcome>;

export type Journal = {
  begin(what: Begun): Promise<void>;
  begun(): Promise<Begun | undefined>;
  /** How it ended goes to disk first, then the journal's entry goes. */
  end(how: Outcome): Promise<void>;
  last(): Promise<Outcome | undefined>;
};

export function openJournal(directory: string): Journal {
  const path = join(directory, 'begun.json');
  const lastPath = join(directory, 'last.json');
  const read = async <T>(file: string, schema: z.ZodType<T>): Promise<T | undefined> => {
    try {
      return schema.parse(JSON.parse(await readFile(file, 'utf8')));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
      throw error;
    }
  };
  return {
    begin: async (what) => await writeWhole(path, JSON.stringify(what), 0o600),
    begun: async () => await read(path, begun),
    async end(how) {
      await writeWhole(lastPath, JSON.stringify(how), 0o600);
      await rm(path, { force: true });
      await syncDirectory(directory);
    },
    last: async () => await read(lastPath, outcome),
  };
}
