/**
 * Until when each file of a place is locked, in the place itself, so that it goes where the disk goes: `.warden/ledger`, root's alone.
 *
 *   <kept time when it was written> <until> <name> <check>      until: 0, the lock was lifted; -1, the file is gone
 *                                                               check: CRC-32 of what is before it
 *
 * One line for each change, durable before a file is locked by it; the last one of a name counts. A line that was cut off is not counted,
 * and taken off before anything is written behind it: glued to the next one its numbers would be others. Written anew at opening once most
 * of it is history.
 */
import { open, readFile, truncate, type FileHandle } from 'node:fs/promises';
import { crc32 } from 'node:zlib';
import { writeWhole } from '../../base/whole-file.ts';

export type LedgerChange = { readonly name: string; /** In kept time. */ readonly untilMs: number };

export type Ledger = {
  /** Until when; 0: was lifted. */
  readonly entries: ReadonlyMap<string, number>;
  /** The latest moment that a line was written at. */
  readonly seenMs: number;
  write(changes: readonly LedgerChange[], nowMs: number): Promise<void>;
  close(): Promise<void>;
};

export const lifted = 0;
export const gone = -1;

const leastHistory = 1000;

export async function openLedger(path: string): Promise<Ledger> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return '';
    throw error;
  });
  const entries = new Map<string, number>();
  let seenMs = 0;
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  let goodBytes = Buffer.byteLength(whole);
  // Takes no room, where the disk is full.
  if (whole !== text) await truncate(path, goodBytes);
  const lines = whole.split('\n').slice(0, -1);
  for (const line of lines) {
    const found = /^((\d+) (-?\d+) ([a-z0-9._/-]+)) ([0-9a-f]{8})$/.exec(line);
    if (found === null || found[5] !== checkOf(found[1]!)) continue;
    seenMs = Math.max(seenMs, Number(found[2]));
    put(entries, found[4]!, Number(found[3]));
  }
  if (text === '' || lines.length > 2 * entries.size + leastHistory) {
    const anew = [...entries].map(([name, untilMs]) => lineOf({ name, untilMs }, seenMs)).join('');
    await writeWhole(path, anew, 0o600);
    goodBytes = Buffer.byteLength(anew);
  }
  const file: FileHandle = await open(path, 'a', 0o600);
  let isTorn = false;
  return {
    entries,
    get seenMs() {
      return seenMs;
    },
    async write(changes, nowMs) {
      if (changes.length === 0) return;
      if (isTorn) await file.truncate(goodBytes);
      isTorn = true;
      const added = changes.map((change) => lineOf(change, nowMs)).join('');
      await file.writeFile(added);
      await file.datasync();
      isTorn = false;
      goodBytes += Buffer.byteLength(added);
      seenMs = Math.max(seenMs, Math.floor(nowMs));
      for (const { name, untilMs } of changes) put(entries, name, untilMs);
    },
    close: async () => await file.close(),
  };
}

function put(entries: Map<string, number>, name: string, untilMs: number): void {
  if (untilMs === gone) entries.delete(name);
  else entries.set(name, untilMs);
}

function lineOf({ name, untilMs }: LedgerChange, nowMs: number): string {
  const line = `${Math.floor(nowMs)} ${Math.ceil(untilMs)} ${name}`;
  return `${line} ${checkOf(line)}\n`;
}

function checkOf(line: string): string {
  return crc32(line).toString(16).padStart(8, '0');
}
