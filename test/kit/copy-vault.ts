/**
 * Stands for the repository in tests of copies: keeps the last stored bytes of each path and believes every hint about what
 * did not change and what nobody will read, so that a wrong hint ends in wrong bytes.
 */
import { closeSync, existsSync, ftruncateSync, mkdirSync, openSync, readSync, rmSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { requireProgram } from '../../src/base/child-process.ts';
import type { ByteRange } from '../../src/mongo/copy/extents.ts';
import type { FileToRead } from '../../src/mongo/copy/ladder.ts';

export type Vault = {
  readonly directory: string;
  /** For takeCopy. Counts what it read, in passes. */
  store(files: FileToRead[], pass: 'pre' | 'final'): Promise<string[]>;
  readonly passes: { pass: 'pre' | 'final'; bytesRead: number; files: number; unchanged: number; freeBytes: number }[];
  /** Writes the files of a copy into a new directory, as a restore would. */
  lay(files: readonly { path: string }[], to: string): Promise<void>;
};

const PIECE = 1 << 20;
const zeros = Buffer.alloc(PIECE);
const rubbish = Buffer.alloc(PIECE, 0xa5);

export function openVault(directory: string): Vault {
  mkdirSync(directory, { recursive: true });
  const passes: Vault['passes'] = [];
  return {
    directory,
    passes,
    async store(files, pass) {
      const counted = { pass, bytesRead: 0, files: files.length, unchanged: 0, freeBytes: 0 };
      passes.push(counted);
      const gone: string[] = [];
      for (const file of files) {
        const free = file.unchanged === true ? [] : ((await file.free?.()) ?? []);
        const read = storeFile(file, free, join(directory, file.path));
        if (read === undefined) gone.push(file.path);
        else {
          counted.bytesRead += read;
          for (const range of free) counted.freeBytes += Math.max(0, Math.min(range.from + range.bytes, file.bytes) - range.from);
        }
        if (file.unchanged === true) counted.unchanged += 1;
        await new Promise((resolve) => setImmediate(resolve));
      }
      return gone;
    },
    async lay(files, to) {
      for (const { path } of files) {
        mkdirSync(dirname(join(to, path)), { recursive: true });
        await requireProgram('cp', ['--sparse=always', join(directory, path), join(to, path)], { deadlineMs: 60_000 });
      }
    },
  };
}

/** Answers the bytes it read; undefined when the source is gone. */
function storeFile(file: FileToRead, free: readonly ByteRange[], to: string): number | undefined {
  if (file.unchanged === true) {
    if (!existsSync(to)) throw new Error(`${file.path} is said to be unchanged and was never stored`);
    return 0;
  }
  let source: number;
  try {
    source = openSync(file.from, 'r');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    rmSync(to, { force: true });
    return undefined;
  }
  if (file.changed === undefined) rmSync(to, { force: true });
  else if (!existsSync(to)) throw new Error(`ranges of ${file.path} are given and it was never stored`);
  mkdirSync(dirname(to), { recursive: true });
  const target = openSync(to, file.changed === undefined ? 'w+' : 'r+');
  try {
    ftruncateSync(target, file.bytes);
    const ranges = file.changed ?? [{ from: 0, bytes: file.bytes }];
    for (const { from, bytes } of ranges) copyRange(source, target, from, bytes, file.changed === undefined);
    for (const range of ranges) for (const part of free) spoil(target, overlap(range, part), file.bytes);
    return ranges.reduce((sum, range) => sum + range.bytes, 0);
  } finally {
    closeSync(source);
    closeSync(target);
  }
}

function copyRange(source: number, target: number, from: number, bytes: number, skipZeros: boolean): void {
  const buffer = Buffer.alloc(Math.min(bytes, PIECE));
  for (let at = from; at < from + bytes; ) {
    const got = readSync(source, buffer, 0, Math.min(PIECE, from + bytes - at), at);
    if (got === 0) return;
    const piece = buffer.subarray(0, got);
    if (!skipZeros || piece.compare(zeros, 0, got) !== 0) writeSync(target, piece, 0, got, at);
    at += got;
  }
}

function overlap(a: ByteRange, b: ByteRange): ByteRange {
  const from = Math.max(a.from, b.from);
  return { from, bytes: Math.min(a.from + a.bytes, b.from + b.bytes) - from };
}

/** What nobody will read may be anything. */
function spoil(target: number, { from, bytes }: ByteRange, fileBytes: number): void {
  const end = Math.min(from + bytes, fileBytes);
  for (let at = from; at < end; at += PIECE) writeSync(target, rubbish, 0, Math.min(PIECE, end - at), at);
}
