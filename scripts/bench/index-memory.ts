/**
 * An index of many chunks, made up, written and asked as the repository does it; run as a process of its own so that its
 * peak memory is the repository's. `node index-memory.ts CHUNKS DIRECTORY`; prints one JSON document.
 *
 * One segment, as merging leaves it; packs of 64 chunks that exist in a listing only. Questions are for chunks that are
 * there and for chunks that are not, half and half: what a first full of another machine's data asks.
 */
import { mkdirSync } from 'node:fs';
import { openChunkIndex } from '../../src/repository/chunk-index.ts';
import { idBytes, packIdBytes } from '../../src/repository/chunk.ts';
import { encodePackTable, openSegmentBuilder, type PackSize } from '../../src/repository/index-segment.ts';
import { keysOf } from '../../src/repository/keys.ts';
import { objectNames } from '../../src/repository/object-names.ts';
import { packStore } from '../../src/repository/pack-store.ts';
import { openDirectory } from '../../src/repository/storage/directory.ts';
import type { Storage } from '../../src/repository/storage/storage.ts';
import { openRandom } from './random.ts';

const CHUNKS_IN_A_PACK = 64;
const PACK_BYTES = 32 << 20;
const QUESTIONS = 20_000;
const DRAIN_EVERY = 10_000;

const [chunks, directory] = [Number(process.argv[2]), process.argv[3]!];
mkdirSync(directory, { recursive: true });
const keys = keysOf(Buffer.alloc(32, 7));
const names = objectNames('0123456789abcdef01234567');
const storage = withListedPacks(await openDirectory(directory), Math.ceil(chunks / CHUNKS_IN_A_PACK));

const built = await measured(async () => await buildSegment(chunks));
const index = await openChunkIndex(storage, keys, names, packStore(storage, keys, names));
const afterOpen = process.resourceUsage().maxRSS / 1024;
const covered = await measured(async () => await index.coverPacks());
const random = openRandom('questions');
let found = 0;
const asked = await measured(async () => {
  for (let k = 0; k < QUESTIONS; k++) {
    const id = chunkId(random.int(chunks), chunks);
    if (k % 2 === 1) id[idBytes - 1]! ^= 0xff;
    for await (const _ of index.candidates(id.toString('hex'))) found++;
  }
});
if (found !== QUESTIONS / 2) throw new Error(`${found} of ${QUESTIONS / 2} chunks were found`);
console.log(
  JSON.stringify({
    chunks,
    packs: index.segments[0]!.packs,
    indexBytes: index.segments[0]!.bytes,
    buildSeconds: built,
    listPacksSeconds: covered,
    questionsPerSecond: Math.round(QUESTIONS / asked),
    peakRssMiB: { afterOpening: Math.round(afterOpen), atTheEnd: Math.round(process.resourceUsage().maxRSS / 1024) },
  }),
);

async function buildSegment(count: number): Promise<void> {
  const segment = '00'.repeat(16);
  const writer = await storage.create(names.segment(segment));
  const packs = Math.ceil(count / CHUNKS_IN_A_PACK);
  const table = encodePackTable(Array.from({ length: packs }, (_, number): PackSize => ({ id: packId(number, packs), bytes: PACK_BYTES })));
  const builder = await openSegmentBuilder(writer, segment, keys.index(segment), table);
  const id = Buffer.alloc(idBytes);
  for (let k = 0; k < count; k++) {
    builder.add(chunkId(k, count, id), 0, k % packs, (k % CHUNKS_IN_A_PACK) << 18, 900);
    if (k % DRAIN_EVERY === 0) await builder.drain();
  }
  await builder.finish();
}

/** Spread evenly, ascending with the number, as keyed hashes sorted are. */
function chunkId(number: number, count: number, id = Buffer.alloc(idBytes)): Buffer {
  id.writeUInt32BE(Math.floor((number / count) * 2 ** 32), 0);
  id.writeUInt32BE(number, 4);
  return id;
}

function packId(number: number, count: number): string {
  return Math.floor((number / count) * 2 ** 48).toString(16).padStart(12, '0') + number.toString(16).padStart(2 * packIdBytes - 12, '0');
}

/** The storage, with a listing of packs that are not there: 1.6 million files would measure the file system. */
function withListedPacks(plain: Storage, packs: number): Storage {
  return {
    ...plain,
    async *list(prefix) {
      if (prefix !== names.packs) return yield* plain.list(prefix);
      for (let number = 0; number < packs; number++) yield { name: names.pack(packId(number, packs)), bytes: PACK_BYTES, modifiedMs: 0 };
    },
  };
}

async function measured(work: () => Promise<unknown>): Promise<number> {
  const startedMs = performance.now();
  await work();
  return Number(((performance.now() - startedMs) / 1000).toFixed(2));
}
