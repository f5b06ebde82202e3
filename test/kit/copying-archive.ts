/** A run of a backup copy without a server: all points and chains of one archive into another. As a process, one to be killed. */
import { openArchive, type Archive } from '../../src/repository/archive.ts';
import { copyOplog } from '../../src/repository/copy-oplog.ts';
import { copyPoint } from '../../src/repository/copy-point.ts';
import { makeArchive } from '../../src/repository/repository.ts';
import { openDirectory } from '../../src/repository/storage/directory.ts';
import { setId } from './archive-scene.ts';

/** Answers the bytes of frames that were read of the source. */
export async function runCopy(source: Archive, target: Archive): Promise<{ read: number }> {
  await copyOplog({ source: source.parts, target: target.parts, from: { t: 0, i: 0 } }, (await source.oplog.chains()).chains);
  const there = new Set((await target.points()).map(({ id }) => id));
  let read = 0;
  for (const point of await source.points()) {
    if (there.has(`${point.id}-bb`)) continue;
    const copy = await copyPoint({ source, target, level: 'fast', workers: 0, packBytes: 1 << 19 }, point, { id: `${point.id}-bb`, copiedFrom: { repository: 'aa', repositoryName: 'first', point: point.id } });
    read += copy.bytes.read;
  }
  return { read };
}

async function openUnder(directory: string, fill: number): Promise<Archive> {
  const storage = await openDirectory(directory);
  const { key } = await makeArchive(storage, Buffer.alloc(32, fill), setId, 'rs0');
  return await openArchive(storage, setId, key);
}

if (import.meta.main) {
  const [from, to] = process.argv.slice(2) as [string, string];
  process.stdout.write('begun\n');
  await runCopy(await openUnder(from, 1), await openUnder(to, 2));
}
