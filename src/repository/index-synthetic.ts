/** An index of any size, made without chunks, to measure lookups and memory at sizes that no test can store. */
import { randomId } from '../base/ids.ts';
import { idBytes } from './chunk.ts';
import { openChunkIndex, type ChunkIndex } from './chunk-index.ts';
import { encodePackTable, openSegmentBuilder, type PackSize } from './index-segment.ts';
import { keysOf } from './keys.ts';
import { objectNames } from './object-names.ts';
import { packStore } from './pack-store.ts';
import type { Storage } from './storage/storage.ts';

const chunksPerPack = 64;
const spread = 2 ** 32;

/** The id of the `number`-th of `count` chunks: ids rise with the number and are spread evenly, as hashes are. */
export function syntheticId(number: number, count: number, id: Buffer = Buffer.alloc(idBytes)): Buffer {
  let state = number | 0;
  for (let at = 8; at < idBytes; at += 4) {
    state = (Math.imul(state ^ (state >>> 16), 0x45d9f3b) + 0x9e3779b9) | 0;
    id.writeInt32BE(state, at);
  }
  const place = ((number + (state >>> 0) / spread) / count) * spread;
  id.writeUInt32BE(Math.floor(place), 0);
  id.writeUInt32BE(Math.floor((place % 1) * spread), 4);
  return id;
}

/** Writes one segment of `count` chunks in packs of 64. */
export async function writeSyntheticIndex(storage: Storage, setId: string, archiveKey: Uint8Array, count: number): Promise<{ bytes: number; packs: number }> {
  const names = objectNames(setId);
  const packs: PackSize[] = Array.from({ length: Math.ceil(count / chunksPerPack) }, (_, number) => ({ id: number.toString(16).padStart(2 * 16, '0'), bytes: 1 << 26 }));
  const segment = randomId();
  const builder = await openSegmentBuilder(await storage.create(names.segment(segment)), segment, keysOf(archiveKey).index(segment), encodePackTable(packs));
  const one = Buffer.alloc(idBytes);
  for (let number = 0; number < count; number++) {
    builder.add(syntheticId(number, count, one), 0, number % packs.length, number % (1 << 26), 672);
    if (number % 8192 === 0) await builder.drain();
  }
  const { bytes } = await builder.finish();
  return { bytes, packs: packs.length };
}

/** The index as readers and writers open it. */
export async function openIndexOf(storage: Storage, setId: string, archiveKey: Uint8Array): Promise<ChunkIndex> {
  const names = objectNames(setId);
  const keys = keysOf(archiveKey);
  return await openChunkIndex(storage, keys, names, packStore(storage, keys, names));
}
