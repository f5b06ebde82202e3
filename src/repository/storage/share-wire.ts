/**
 * What a storage and its share children say to each other, over a pipe of their own beside the memory that they share (share-memory.ts): a length of the head, a length of
 * the body (both 4 bytes, little-endian), the head as JSON, the body as it is. One answer to each order, in order.
 */
import type { SmbSettings } from '../../base/smb-client.ts';

/** Paths are below the share. */
export type ShareOrder =
  | { readonly do: 'connect'; readonly settings: SmbSettings }
  | { readonly do: 'stat'; readonly path: string }
  | { readonly do: 'list'; readonly path: string }
  /** Fewer bytes only at the end of the file, which is kept open for the next read if so wanted. They are put into the slot, where there is one. */
  | { readonly do: 'read'; readonly path: string; readonly from: number; readonly bytes: number; readonly keep: boolean; readonly slot: number | null }
  /** Files kept open for reading are closed: all, or the one that somebody wants to be rid of. */
  | { readonly do: 'forget'; readonly path: string | null }
  | { readonly do: 'begin'; readonly path: string; readonly how: 'new' | 'write' }
  /** The bytes are the body, or in the slot. */
  | { readonly do: 'write'; readonly file: number; readonly from: number; readonly slot: number | null; readonly bytes: number }
  /** All that was written is on the server's disk. */
  | { readonly do: 'flush'; readonly file: number }
  /** The same, and the file is closed. */
  | { readonly do: 'seal'; readonly file: number }
  | { readonly do: 'drop'; readonly file: number; readonly path: string }
  | { readonly do: 'rename'; readonly from: string; readonly to: string; readonly how: 'keep' | 'replace' }
  | { readonly do: 'make-folder'; readonly path: string }
  | { readonly do: 'remove'; readonly path: string }
  | { readonly do: 'free' };

export type ShareEntry = { readonly name: string; readonly isFolder: boolean; readonly bytes: number; readonly modifiedMs: number };

/** What a refusal means, as far as the server said it. `broken`: the child is of no more use. */
export type Refusal = 'missing' | 'exists' | 'busy' | 'full' | 'not-allowed' | 'broken' | 'no-library';

export type ShareAnswer =
  | { readonly ok: true; readonly version?: string; readonly entry?: ShareEntry; readonly entries?: readonly ShareEntry[]; readonly file?: number; readonly free?: number; /** Bytes that were read into a slot. */ readonly got?: number }
  | { readonly ok: false; readonly refusal: Refusal; readonly why: string };

const lengthsBytes = 8;
const headMost = 64 << 20;

export function encodeFrame(head: ShareOrder | ShareAnswer, body?: Uint8Array): Buffer {
  const text = Buffer.from(JSON.stringify(head), 'utf8');
  const start = Buffer.allocUnsafe(lengthsBytes + text.length);
  start.writeUInt32LE(text.length, 0);
  start.writeUInt32LE(body?.length ?? 0, 4);
  text.copy(start, lengthsBytes);
  return start;
}

/** Puts frames together from what a pipe delivers. A body has memory of its own. */
export function openFrames<Head>(take: (head: Head, body: Buffer) => void): (piece: Buffer) => void {
  const lengths = Buffer.alloc(lengthsBytes);
  let head: Buffer | undefined;
  let body: Buffer | undefined;
  let filled = 0;
  return (piece) => {
    // A body of nothing is whole as soon as its head is.
    for (let at = 0; at < piece.length; ) {
      const into = body ?? head ?? lengths;
      const count = Math.min(into.length - filled, piece.length - at);
      piece.copy(into, filled, at, at + count);
      filled += count;
      at += count;
      if (filled < into.length) return;
      filled = 0;
      if (head === undefined) {
        const bytes = lengths.readUInt32LE(0);
        if (bytes > headMost) throw new RangeError(`a head of ${bytes} bytes`);
        head = Buffer.alloc(bytes);
        continue;
      }
      const bodyBytes = lengths.readUInt32LE(4);
      if (body === undefined && bodyBytes > 0) {
        body = Buffer.allocUnsafeSlow(bodyBytes);
        continue;
      }
      take(JSON.parse(head.toString('utf8')) as Head, body ?? Buffer.allocUnsafeSlow(0));
      head = body = undefined;
    }
  };
}
