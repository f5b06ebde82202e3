/** Zstandard by node:zlib, for a Node that does not export the library itself: the same bytes in and out, a context made for each call. */
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib';

/** Parameters by Zstandard's own numbers. */
export function zlibCompressor(params: Readonly<Record<number, number>>): (from: Uint8Array, to: Uint8Array) => number {
  return (from, to) => placed(zstdCompressSync(from, { params }), to);
}

export function zlibDecompressor(): (from: Uint8Array, to: Uint8Array) => number {
  return (from, to) => {
    try {
      return placed(zstdDecompressSync(from, { maxOutputLength: Math.max(1, to.length) }), to);
    } catch {
      return -1;
    }
  };
}

function placed(bytes: Uint8Array, to: Uint8Array): number {
  if (bytes.length > to.length) return -1;
  to.set(bytes);
  return bytes.length;
}
