/**
 * The overlay's journal: one line for each change, in the order in which they happened.
 *
 *   9a3f01c2 ["overlay",1,"<digest of the point's files>","<boot id>",true,1795464567000]
 *   51be77d0 ["make",58,1,"mongod.lock","file",384,0,0,1795464567012]
 *   …
 *
 * Eight hex digits are the CRC-32 of the rest. A line is one write: a killed server leaves at most a last line that is
 * torn, which was never acknowledged and is cut off. A bad line before the last is damage, and the overlay is refused.
 */
import { closeSync, fdatasyncSync, fsyncSync, ftruncateSync, openSync, readFileSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import { crc32 } from 'node:zlib';
import { overlayDamaged } from './failures.ts';
import type { Change } from './tree.ts';

export type OverlayHeading = { readonly digest: string; readonly boot: string; readonly throwAway: boolean; readonly madeAtMs: number };
type HeadingLine = readonly ['overlay', 1, digest: string, boot: string, throwAway: boolean, madeAtMs: number];

export type OverlayJournal = {
  /** What was in force when the journal was made; differs from the one asked for when it is an old journal. */
  readonly heading: OverlayHeading;
  readonly changes: readonly Change[];
  append(change: Change): void;
  sync(): void;
  close(): void;
};

/** Opens the journal at `path`, or makes it with `heading`. */
export function openJournal(path: string, heading: OverlayHeading): OverlayJournal {
  const fd = openSync(path, 'a+', 0o600);
  try {
    const { lines, wholeBytes } = parse(readFileSync(path), dirname(path));
    ftruncateSync(fd, wholeBytes);
    let length = wholeBytes;
    const append = (line: Change | HeadingLine): void => {
      const text = JSON.stringify(line);
      const bytes = Buffer.from(`${crc32(text).toString(16).padStart(8, '0')} ${text}\n`);
      try {
        // A full disk may take a part of a line and refuse the rest: all of it must be there, or none.
        for (let done = 0; done < bytes.length; ) done += writeSync(fd, bytes, done);
        length += bytes.length;
      } catch (error) {
        ftruncateSync(fd, length);
        throw error;
      }
    };
    const first = lines[0] as HeadingLine | undefined;
    if (first === undefined) {
      append(['overlay', 1, heading.digest, heading.boot, heading.throwAway, heading.madeAtMs]);
      fsyncSync(fd);
    } else if (first[0] !== 'overlay' || first[1] !== 1) throw overlayDamaged({ directory: dirname(path), line: 1 });
    return {
      heading: first === undefined ? heading : { digest: first[2], boot: first[3], throwAway: first[4], madeAtMs: first[5] },
      changes: lines.slice(1) as Change[],
      append,
      sync: () => fdatasyncSync(fd),
      close: () => closeSync(fd),
    };
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

function parse(bytes: Buffer, directory: string): { lines: unknown[]; wholeBytes: number } {
  const lines: unknown[] = [];
  let at = 0;
  for (let end = bytes.indexOf(10, at); end >= 0; end = bytes.indexOf(10, at)) {
    const line = parseLine(bytes.toString('utf8', at, end));
    if (line === undefined) {
      if (end === bytes.length - 1) break;
      throw overlayDamaged({ directory, line: lines.length + 1 });
    }
    lines.push(line);
    at = end + 1;
  }
  return { lines, wholeBytes: at };
}

function parseLine(line: string): unknown {
  const text = line.slice(9);
  if (line[8] !== ' ' || crc32(text) !== Number.parseInt(line.slice(0, 8), 16)) return undefined;
  return JSON.parse(text);
}
