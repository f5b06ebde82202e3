/** A process of `bench storage`: stores files in an archive, or lays its point down, and says what that cost. */
import { mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { atOnce } from '../../src/base/at-once.ts';
import { openArchive, type Archive, type StoredFile } from '../../src/repository/archive.ts';
import type { StoragePlace } from '../../src/repository/storage/location.ts';
import { openStorage } from '../../src/repository/storage/open-storage.ts';
import type { BenchFile } from './storage-bed.ts';

export type StorageWork = { readonly kind: 'store'; readonly files: readonly BenchFile[] } | { readonly kind: 'restore'; readonly to: string };
export type StorageJob = { readonly place: StoragePlace; readonly setId: string; readonly keyHex: string; readonly work: StorageWork };
export type StorageDone = { readonly seconds: number; readonly cpuSeconds: number; readonly storedBytes: number; readonly peakRssMiB: number };

const filesAtOnce = { store: 4, restore: 3 };
const point = 'bench';

process.once('message', (job: StorageJob) => {
  void run(job).then((done) => process.send!(done, () => process.exit(0)));
});

async function run({ place, setId, keyHex, work }: StorageJob): Promise<StorageDone> {
  const startedMs = performance.now();
  const archive = await openArchive(await openStorage(place), setId, Buffer.from(keyHex, 'hex'));
  const storedBytes = work.kind === 'store' ? await store(archive, work.files) : await layDown(archive, work.to);
  const { user, system } = process.cpuUsage();
  return { seconds: (performance.now() - startedMs) / 1000, cpuSeconds: (user + system) / 1e6, storedBytes, peakRssMiB: Math.round(process.resourceUsage().maxRSS / 1024) };
}

async function store(archive: Archive, files: readonly BenchFile[]): Promise<number> {
  const writer = await archive.openWriter({ level: 'balanced' });
  const stored: StoredFile[] = [];
  await atOnce(filesAtOnce.store, [...files].sort((a, b) => b.bytes - a.bytes), async (file) => {
    const answer = await writer.storeFile({ ...file, mode: 0o600 });
    if (answer.kind === 'stored') stored.push(answer.file);
  });
  await writer.publish({ id: point, checkpoint: { t: 1, i: 1 }, top: { t: 1, i: 1, term: 1 }, about: {}, files: stored });
  const bytes = writer.counts.stored;
  await writer.close();
  return bytes;
}

async function layDown(archive: Archive, to: string): Promise<number> {
  const { files } = await archive.point(point);
  const reader = await archive.openReader();
  await atOnce(filesAtOnce.restore, [...files].sort((a, b) => b.bytes - a.bytes), async (file) => {
    mkdirSync(dirname(join(to, file.path)), { recursive: true });
    await reader.layFile(file, join(to, file.path));
  });
  await reader.close();
  return 0;
}
