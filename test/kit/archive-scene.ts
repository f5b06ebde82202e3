import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { TestContext } from 'node:test';
import { openArchive, type Archive, type ArchiveWriter, type PointManifest, type StoredFile } from '../../src/repository/archive.ts';
import { makeArchive } from '../../src/repository/repository.ts';
import type { Storage } from '../../src/repository/storage/storage.ts';

export const setId = 'c'.repeat(24);
const key = Buffer.alloc(32, 9);

/** What an agent writes beside a point. */
export const pointAbout = {
  form: 1,
  setName: 'rs0',
  source: 'a:1',
  method: 'clone',
  mongoVersion: '6.0.5',
  featureCompatibilityVersion: '6.0',
  storage: { engine: 'wiredTiger', directoryPerDb: false, directoryForIndexes: false, encrypted: false },
  accessControl: false,
  binary: '/x',
  lockedMs: 0,
  notes: [],
  remembered: null,
};

/** Bytes that do not compress and are the same in every run. */
export function noise(bytes: number, seed: number): Buffer {
  const out = Buffer.alloc(Math.ceil(bytes / 32) * 32);
  for (let at = 0; at < out.length; at += 32) createHash('sha256').update(`${seed} ${at}`).digest().copy(out, at);
  return out.subarray(0, bytes);
}

export type Scene = {
  /** Writes the contents as source files and stores them as point `id`, compared with the point before it. */
  store(archive: Archive, id: string, contents: Record<string, Buffer>, facts?: Partial<Pick<PointManifest, 'about' | 'checkpoint' | 'top'>>): Promise<{ point: PointManifest; counts: ArchiveWriter['counts'] }>;
  /** Fails unless every file of the point is laid down and read exactly as `contents`. */
  requireExact(archive: Archive, id: string, contents: Record<string, Buffer>): Promise<void>;
};

export async function openScene(t: TestContext): Promise<Scene> {
  const root = await mkdtemp(join(tmpdir(), 'tm-repository-'));
  t.after(async () => await rm(root, { recursive: true }));
  let laid = 0;
  return {
    async store(archive, id, contents, facts = {}) {
      const base = (await archive.points()).at(-1)?.files;
      const writer = await archive.openWriter({ level: 'fast', workers: 0, packBytes: 1 << 20 });
      try {
        const files: StoredFile[] = [];
        for (const [path, content] of Object.entries(contents)) {
          await writeFile(join(root, path), content);
          const answer = await writer.storeFile({ path, from: join(root, path), bytes: content.length, mode: 0o600, base: base?.find((file) => file.path === path) });
          assert.ok(answer.kind === 'stored');
          files.push(answer.file);
        }
        const point = await writer.publish({ id, checkpoint: { t: 1, i: 1 }, top: { t: 2, i: 1, term: 1 }, about: {}, ...facts, files });
        return { point, counts: writer.counts };
      } finally {
        await writer.close();
      }
    },
    async requireExact(archive, id, contents) {
      const point = await archive.point(id);
      assert.deepEqual(point.files.map(({ path }) => path), Object.keys(contents));
      const reader = await archive.openReader({ workers: 0 });
      try {
        assert.deepEqual(await reader.missingChunks(point), []);
        for (const file of point.files) {
          const content = contents[file.path]!;
          const opened = await reader.openFile(file);
          assert.ok(content.equals(await opened.read(0, content.length)), `${id}: ${file.path} reads as other bytes`);
          const to = join(root, `laid-${++laid}`);
          await reader.layFile(file, to);
          assert.ok(content.equals(await readFile(to)), `${id}: ${file.path} was laid down as other bytes`);
          await rm(to);
        }
      } finally {
        await reader.close();
      }
    },
  };
}

/** The archive of the tests in a storage; made when it is not there. */
export async function openTestArchive(storage: Storage): Promise<Archive> {
  const { key: archiveKey } = await makeArchive(storage, key, setId, 'rs0');
  return await openArchive(storage, setId, archiveKey);
}
