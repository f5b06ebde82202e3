/**
 * What one copy remembers for the next one of the same member, so that it reads less. Kept by the caller beside the point
 * whose bytes it describes; opaque to everybody else.
 *
 * A file is the same as then when inode, size, mtime and ctime are. Two traps are closed here: a file written within the
 * second before it was looked at may be written again without its times showing it, so its times are not remembered;
 * and a crash of the machine may keep a file's new bytes and lose its new times, so another boot trusts nothing.
 */
import { readFile } from 'node:fs/promises';
import * as z from 'zod';
import type { SourceFile } from './files.ts';

const remembered = z.object({
  form: z.literal(1),
  /** host:port of the member, as its set knows it. */
  member: z.string(),
  dbPath: z.string(),
  boot: z.string(),
  /** The kept clone that holds the bytes of the point, if one was kept. */
  clone: z.string().nullable(),
  /** path → inode, bytes, times; no times: not to be trusted. */
  files: z.record(z.string(), z.tuple([z.string(), z.number(), z.string()])),
});

export type Remembered = z.infer<typeof remembered>;
export type Stamp = { readonly inode: string; readonly bytes: number; readonly times: string };

const FRESH_NS = 1_000_000_000n;

/** The stamp of a file that was looked at before it was read. */
export function stampOf(file: SourceFile): Stamp {
  const trusted = BigInt(Math.trunc(file.seenMs)) * 1_000_000n - FRESH_NS;
  const settled = file.mtimeNs < trusted && file.ctimeNs < trusted;
  return { inode: file.inode, bytes: file.bytes, times: settled ? `${file.mtimeNs}/${file.ctimeNs}` : '' };
}

export function isSame(file: SourceFile, stamp: Stamp | undefined): boolean {
  return stamp !== undefined && stamp.inode === file.inode && stamp.bytes === file.bytes && stamp.times === `${file.mtimeNs}/${file.ctimeNs}`;
}

export type Known = Map<string, Stamp>;

export function remember(at: { member: string; dbPath: string; boot: string }, clone: string | null, known: Known): Remembered {
  const files: Remembered['files'] = {};
  for (const [path, stamp] of known) files[path] = [stamp.inode, stamp.bytes, stamp.times];
  return { form: 1, ...at, clone, files };
}

/** Undefined when it is not about these files, in this life of the machine. */
export function recall(previous: unknown, at: { member: string; dbPath: string; boot: string }): { clone: string | null; known: Known } | undefined {
  const parsed = remembered.safeParse(previous);
  if (!parsed.success) return undefined;
  const { member, dbPath, boot, clone, files } = parsed.data;
  if (member !== at.member || dbPath !== at.dbPath || boot !== at.boot) return undefined;
  const known: Known = new Map();
  for (const [path, [inode, bytes, times]] of Object.entries(files)) known.set(path, { inode, bytes, times });
  return { clone, known };
}

export async function bootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
}
