/** A node of `bench network`: stores the files it is told of in the archive it is told of, and says what that cost. A process, so that it can live in a namespace. */
import { openArchive, type StoredFile } from '../../src/repository/archive.ts';
import { openChannelStorage } from '../../src/mover/channel-storage.ts';
import { openDirectory } from '../../src/repository/storage/directory.ts';
import type { LinkIdentity } from '../../src/contract/link/trust.ts';
import type { ArchiveAccess } from '../../src/contract/values.ts';

export type NodeJob = { access: ArchiveAccess; identity: LinkIdentity; files: { path: string; from: string; bytes: number }[] };
export type NodeDone = { seconds: number; cpuSeconds: number; processed: number; transferred: number; stored: number; sentBytes: number; peakRssMiB: number };

const FILES_AT_ONCE = 4;

process.once('message', (job: NodeJob) => {
  void store(job).then((done) => process.send!(done, () => process.exit(0)));
});

async function store({ access, identity, files }: NodeJob): Promise<NodeDone> {
  const { location } = access;
  const startedMs = performance.now();
  const startedCpu = process.cpuUsage();
  const channel = location.kind === 'channel' ? await openChannelStorage(location, async () => identity) : undefined;
  const storage = channel ?? (location.kind === 'directory' ? await openDirectory(location.path) : undefined);
  const archive = await openArchive(storage!, access.setId, Buffer.from(access.keyHex, 'hex'));
  const writer = await archive.openWriter({ level: 'balanced' });
  const stored: StoredFile[] = [];
  const queue = [...files].sort((a, b) => b.bytes - a.bytes).values();
  const lane = async (): Promise<void> => {
    for (const file of queue) {
      const answer = await writer.storeFile({ ...file, mode: 0o600 });
      if (answer.kind === 'stored') stored.push(answer.file);
    }
  };
  await Promise.all(Array.from({ length: FILES_AT_ONCE }, lane));
  await writer.publish({ id: 'bench', checkpoint: { t: 1, i: 1 }, top: { t: 1, i: 1, term: 1 }, about: {}, files: stored });
  const seconds = (performance.now() - startedMs) / 1000;
  const { user, system } = process.cpuUsage(startedCpu);
  const { processed, transferred, stored: storedBytes } = writer.counts;
  await writer.close();
  return { seconds, cpuSeconds: (user + system) / 1e6, processed, transferred, stored: storedBytes, sentBytes: channel?.sentBytes ?? 0, peakRssMiB: process.resourceUsage().maxRSS / 1024 };
}
