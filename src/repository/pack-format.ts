/**
 * A pack: sealed frames, then the headers of the chunks they belong to, then a directory of those headers.
 *
 *   0      8   "TMPACK1\n"
 *   8     16   pack id
 *  24      …   frames, back to back: AES-256-GCM under the pack's key, nonce = offset
 *   H      …   chunk headers (chunk.ts), back to back: the same, bound to the chunk's id
 *   D      …   directory: the same, bound to the footer's first 12 bytes
 *                32  chunk id
 *                 4  offset of its header
 *                 2  bytes of its header, tag included
 *                    … for each chunk
 *   end-20  4   H
 *   end-16  4   D
 *   end-12  4   bytes of the directory, tag included
 *   end-8   8   "TMPKEND\n"
 *
 * Headers and directory stand at the end, so one read of the trailer (H to the end) tells everything about a pack but the
 * frames: the index is made again and a sweep decides from trailers alone. The nonce is the offset and the key is the
 * pack's own: a frame moved within a pack, or from one to another, does not open.
 */
import { chunkIdOf, decodeHeader, encodeHeader, hashesOf, holeId, idBytes, packIdBytes, type ChunkHeader, type ChunkId } from './chunk.ts';
import { packDamaged } from './failures.ts';
import { countedNonce, decrypt, encrypt, tagBytes, type ArchiveKeys } from './keys.ts';

const headMagic = Buffer.from('TMPACK1\n');
const footMagic = Buffer.from('TMPKEND\n');
export const packHeadBytes = headMagic.length + packIdBytes;
export const packFootBytes = 20;
export const directoryEntryBytes = idBytes + 6;
/** What a pack without a chunk would take. */
export const emptyPackBytes = packHeadBytes + tagBytes + packFootBytes;

export function packHead(id: string): Buffer {
  return Buffer.concat([headMagic, Buffer.from(id, 'hex')]);
}

/** Where a chunk's header is within its pack. */
export type HeaderPlace = { readonly id: ChunkId; readonly offset: number; readonly bytes: number };
export type Footer = { readonly headersAt: number; readonly directoryAt: number; readonly directoryBytes: number };

/** The trailer of a pack whose frames end at `headersAt`. */
export function encodeTrailer(keys: ArchiveKeys, pack: string, headersAt: number, chunks: readonly { id: ChunkId; header: ChunkHeader }[]): { bytes: Buffer; places: HeaderPlace[] } {
  const key = keys.pack(pack);
  const parts: Buffer[] = [];
  const places: HeaderPlace[] = [];
  let at = headersAt;
  for (const { id, header } of chunks) {
    const sealed = encrypt(key, countedNonce(at), encodeHeader(header), Buffer.from(id, 'hex'));
    places.push({ id, offset: at, bytes: sealed.length });
    parts.push(sealed);
    at += sealed.length;
  }
  const directory = Buffer.alloc(places.length * directoryEntryBytes);
  for (const [index, place] of places.entries()) {
    const to = index * directoryEntryBytes;
    directory.write(place.id, to, 'hex');
    directory.writeUInt32LE(place.offset, to + idBytes);
    directory.writeUInt16LE(place.bytes, to + idBytes + 4);
  }
  const foot = Buffer.alloc(packFootBytes);
  foot.writeUInt32LE(headersAt, 0);
  foot.writeUInt32LE(at, 4);
  foot.writeUInt32LE(directory.length + tagBytes, 8);
  footMagic.copy(foot, 12);
  parts.push(encrypt(key, countedNonce(at), directory, foot.subarray(0, 12)), foot);
  return { bytes: Buffer.concat(parts), places };
}

export function decodeFooter(pack: string, foot: Uint8Array, packBytes: number): Footer {
  const buffer = Buffer.from(foot.buffer, foot.byteOffset, foot.length);
  if (!buffer.subarray(12).equals(footMagic)) throw packDamaged({ pack, what: 'it does not end as it must' });
  const footer = { headersAt: buffer.readUInt32LE(0), directoryAt: buffer.readUInt32LE(4), directoryBytes: buffer.readUInt32LE(8) };
  const isOrdered = footer.headersAt >= packHeadBytes && footer.directoryAt >= footer.headersAt;
  if (!isOrdered || footer.directoryAt + footer.directoryBytes + packFootBytes !== packBytes) throw packDamaged({ pack, what: 'its parts do not add up to its size' });
  return footer;
}

export function decodeDirectory(keys: ArchiveKeys, pack: string, footer: Footer, sealed: Uint8Array): HeaderPlace[] {
  const bound = Buffer.alloc(12);
  bound.writeUInt32LE(footer.headersAt, 0);
  bound.writeUInt32LE(footer.directoryAt, 4);
  bound.writeUInt32LE(footer.directoryBytes, 8);
  const directory = decrypt(keys.pack(pack), countedNonce(footer.directoryAt), sealed, bound);
  if (directory === undefined || directory.length % directoryEntryBytes !== 0) throw packDamaged({ pack, what: 'its directory is not what was written' });
  const places: HeaderPlace[] = [];
  for (let at = 0; at < directory.length; at += directoryEntryBytes) {
    places.push({ id: directory.toString('hex', at, at + idBytes), offset: directory.readUInt32LE(at + idBytes), bytes: directory.readUInt16LE(at + idBytes + 4) });
  }
  return places;
}

/** The header of chunk `id`, proved to be that chunk's. */
export function openHeader(keys: ArchiveKeys, pack: string, place: HeaderPlace, sealed: Uint8Array): ChunkHeader {
  const plain = decrypt(keys.pack(pack), countedNonce(place.offset), sealed, Buffer.from(place.id, 'hex'));
  const header = plain === undefined ? undefined : decodeHeader(plain);
  if (header === undefined) throw packDamaged({ pack, what: `the header of chunk ${place.id} is not what was written` });
  const id = chunkIdOf(keys.chunkId, header.bytes, hashesOf(header));
  if (id === holeId || id !== place.id) throw packDamaged({ pack, what: `the header of chunk ${place.id} is another chunk's` });
  return header;
}
