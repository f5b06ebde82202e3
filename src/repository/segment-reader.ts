import { idBytes, packIdBytes } from './chunk.ts';
import { indexDamaged } from './failures.ts';
import {
  decodeSegmentFooter,
  decodeSegmentTail,
  entriesPerBlock,
  entryBytes,
  fanBytes,
  openBlock,
  packEntryBytes,
  packNumber,
  sealedBlockBytes,
  segmentFootBytes,
  segmentHeadBytes,
  segmentTailBytes,
  type SegmentFooter,
} from './index-segment.ts';
import { tagBytes } from './keys.ts';
import type { Recent } from './recent.ts';
import type { Storage } from './storage/storage.ts';

/** Where a chunk's header is. */
export type Location = { readonly pack: string; readonly packBytes: number; readonly offset: number; readonly bytes: number };

export type Segment = {
  readonly id: string;
  readonly name: string;
  readonly bytes: number;
  readonly entries: number;
  readonly packs: number;
  packAt(number: number): { id: string; bytes: number };
  packNumber(id: string): number;
  /** Every entry of an id; numbers are of this segment's pack table. */
  find(id: Buffer): Promise<{ pack: number; offset: number; bytes: number }[]>;
  /** All entries in order, in runs of whole blocks. */
  runs(): AsyncIterable<Buffer>;
};

export async function openSegment(storage: Storage, key: Uint8Array, id: string, name: string, bytes: number, cache: Recent<Buffer>): Promise<Segment> {
  const { footer, packTable, fanOut } = await readTables(storage, key, id, name, bytes);
  const blockLength = (block: number): number => (block < footer.blocks - 1 ? sealedBlockBytes : (footer.entries - block * entriesPerBlock) * entryBytes + tagBytes);
  const placeOf = (block: number): number => segmentHeadBytes + block * sealedBlockBytes;
  const readBlock = async (block: number): Promise<Buffer> => {
    const cacheKey = `${id}/${block}`;
    const known = cache.get(cacheKey);
    if (known !== undefined) return known;
    const sealed = await storage.read(name, { from: placeOf(block), bytes: blockLength(block) });
    const plain = openBlock(id, key, block, sealed);
    cache.set(cacheKey, plain);
    return plain;
  };

  return {
    id,
    name,
    bytes,
    entries: footer.entries,
    packs: footer.packs,
    packAt: (number) => ({
      id: packTable.toString('hex', number * packEntryBytes, number * packEntryBytes + packIdBytes),
      bytes: packTable.readUInt32LE(number * packEntryBytes + packIdBytes),
    }),
    packNumber: (pack) => packNumber(packTable, Buffer.from(pack, 'hex')),
    async find(wanted) {
      const found: { pack: number; offset: number; bytes: number }[] = [];
      for (let block = firstBlock(fanOut, wanted); block < footer.blocks && fanOrder(fanOut, block, wanted) <= 0; block++) {
        const plain = await readBlock(block);
        for (let at = firstEntry(plain, wanted); at < plain.length && plain.compare(wanted, 0, idBytes, at, at + idBytes) === 0; at += entryBytes) {
          found.push({ pack: plain.readUInt32LE(at + idBytes), offset: plain.readUInt32LE(at + idBytes + 4), bytes: plain.readUInt16LE(at + idBytes + 8) });
        }
      }
      return found;
    },
    async *runs() {
      const blocksAtOnce = 64;
      for (let block = 0; block < footer.blocks; block += blocksAtOnce) {
        const end = Math.min(footer.blocks, block + blocksAtOnce);
        const sealed = await storage.read(name, { from: placeOf(block), bytes: placeOf(end - 1) + blockLength(end - 1) - placeOf(block) });
        const plain: Buffer[] = [];
        for (let k = block; k < end; k++) {
          const at = (k - block) * sealedBlockBytes;
          plain.push(openBlock(id, key, k, sealed.subarray(at, at + blockLength(k))));
        }
        yield Buffer.concat(plain);
      }
    },
  };
}

async function readTables(storage: Storage, key: Uint8Array, id: string, name: string, bytes: number) {
  if (bytes < segmentHeadBytes + segmentFootBytes) throw indexDamaged({ segment: id, what: 'it is too short' });
  const guess = Math.min(bytes, 64 << 10);
  let tail = asBuffer(await storage.read(name, { from: bytes - guess, bytes: guess }));
  const footer = decodeSegmentFooter(id, tail.subarray(tail.length - segmentFootBytes));
  const wanted = segmentTailBytes(footer);
  if (segmentHeadBytes + blocksBytes(footer) + wanted !== bytes) throw indexDamaged({ segment: id, what: 'its parts do not add up to its size' });
  tail = wanted <= guess ? tail.subarray(tail.length - wanted) : asBuffer(await storage.read(name, { from: bytes - wanted, bytes: wanted }));
  return { footer, ...decodeSegmentTail(id, key, footer, tail) };
}

function blocksBytes(footer: SegmentFooter): number {
  return footer.entries * entryBytes + footer.blocks * tagBytes;
}

/** The last block that starts before `wanted`: an id's entries may begin in its end. */
function firstBlock(fanOut: Buffer, wanted: Buffer): number {
  let low = 0;
  let high = fanOut.length / fanBytes;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (fanOrder(fanOut, middle, wanted) < 0) low = middle + 1;
    else high = middle;
  }
  return Math.max(0, low - 1);
}

/** Below 0 when the block starts before `wanted`, as far as eight bytes tell. */
function fanOrder(fanOut: Buffer, block: number, wanted: Buffer): number {
  return fanOut.compare(wanted, 0, fanBytes, block * fanBytes, (block + 1) * fanBytes);
}

function firstEntry(plain: Buffer, wanted: Buffer): number {
  let low = 0;
  let high = plain.length / entryBytes;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (plain.compare(wanted, 0, idBytes, middle * entryBytes, middle * entryBytes + idBytes) < 0) low = middle + 1;
    else high = middle;
  }
  return low * entryBytes;
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
