/**
 * A lay worker's work: opens sealed frames and writes them into a file, in a thread of its own (lay-worker.ts) or, with none, in this one.
 *
 * An order carries the sealed bytes of one chunk and says for each frame where they are and what its hash must be. All
 * frames are proved before the first byte is written.
 */
import { writeSync } from 'node:fs';
import { chunkBytes, frameBytes, frameLength } from './chunk.ts';
import { openFrame } from './frame-codec.ts';

export type LayFrame = {
  readonly at: number;
  readonly how: 'plain' | 'zstd';
  readonly key: Uint8Array;
  readonly offset: number;
  /** Which of the order's buffers, and where in it. */
  readonly run: number;
  readonly from: number;
  readonly bytes: number;
  readonly hash: Uint8Array;
};
/** Without `fd` the frames are only proved. */
export type LayOrder = { readonly number: number; readonly fd: number | undefined; readonly position: number; readonly bytes: number; readonly runs: readonly Uint8Array[]; readonly frames: readonly LayFrame[] };
export type LayAnswer = { kind: 'laid'; number: number; workMs: number; writeMs: number } | { kind: 'damaged'; number: number; frame: number } | { kind: 'failed'; number: number; why: string };

const plain = Buffer.allocUnsafeSlow(chunkBytes);

/** Blocks of this size are left out where they are zeros, two or more in a row: the file is made of holes, and what is free in it stays one. */
const blockBytes = 4096;
const zeros = Buffer.alloc(2 * blockBytes);

function writeAll(fd: number, bytes: Buffer, position: number): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done, bytes.length - done, position + done);
}

function writeSparsely(fd: number, bytes: Buffer, position: number): void {
  let from = 0;
  for (let at = 0; at < bytes.length; ) {
    if (bytes[at] !== 0 || !isZero(bytes, at, zeros.length)) {
      at += blockBytes;
      continue;
    }
    writeAll(fd, bytes.subarray(from, at), position + from);
    at += zeros.length;
    while (at < bytes.length && isZero(bytes, at, blockBytes)) at += blockBytes;
    from = at;
  }
  if (from < bytes.length) writeAll(fd, bytes.subarray(from), position + from);
}

function isZero(bytes: Buffer, at: number, length: number): boolean {
  const end = Math.min(at + length, bytes.length);
  return bytes.compare(zeros, 0, end - at, at, end) === 0;
}

function lay({ number, fd, position, bytes, runs, frames }: LayOrder): LayAnswer {
  const startedMs = performance.now();
  for (const frame of frames) {
    const start = frame.at * frameBytes;
    const sealed = runs[frame.run]!.subarray(frame.from, frame.from + frame.bytes);
    const isRight = openFrame({ how: frame.how, offset: frame.offset, sealed, hash: frame.hash }, frame.key, plain.subarray(start, start + frameLength(bytes, frame.at)));
    if (!isRight) return { kind: 'damaged', number, frame: frame.at };
  }
  const openedMs = performance.now();
  for (let first = 0; fd !== undefined && first < frames.length; first++) {
    let last = first;
    while (last + 1 < frames.length && frames[last + 1]!.at === frames[last]!.at + 1) last += 1;
    const start = frames[first]!.at * frameBytes;
    const end = frames[last]!.at * frameBytes + frameLength(bytes, frames[last]!.at);
    writeSparsely(fd, plain.subarray(start, end), position + start);
    first = last;
  }
  return { kind: 'laid', number, workMs: openedMs - startedMs, writeMs: performance.now() - openedMs };
}

export function obeyLayOrder(order: LayOrder): LayAnswer {
  try {
    return lay(order);
  } catch (error) {
    return { kind: 'failed', number: order.number, why: error instanceof Error ? error.message : String(error) };
  }
}
