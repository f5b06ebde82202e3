/**
 * Until when each file of a place is locked, in the place itself, so that it goes where the disk goes: `.warden/ledger`, root's alone.
 *
 *   <kept time when it was written> <until> <name>      until: 0, the lock was lifted; -1, the file is gone
 *
 * One line for each change, durable before a file is locked by it; the last one of a name counts, and the end of a file that was cut off
 * does not. Written anew at opening once most of it is history.
 */
import { open, readFile, type FileHandle } from 'node:fs/promises';
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
  let isHurt = !text.endsWith('\n') && text !== '';
  const lines = text.split('\n').slice(0, -1);
  for (const line of lines) {
    const found = /^(\d+) (-?\d+) ([a-z0-9._/-]+)$/.exec(line);
    if (found === null) {
      isHurt = true;
      continue;
    }
    seenMs = Math.max(seenMs, Number(found[1]));
    put(entries, found[3]!, Number(found[2]));
  }
  if (isHurt || text === '' || lines.length > 2 * entries.size + leastHistory) {
    await writeWhole(path, [...entries].map(([name, untilMs]) => lineOf({ name, untilMs }, seenMs)).join(''), 0o600);
  }
  const file: FileHandle = await open(path, 'a', 0o600);
  return {
    entries,
    get seenMs() {
      return seenMs;
    },
    async write(changes, nowMs) {
      if (changes.length === 0) return;
      await file.writeFile(changes.map((change) => lineOf(change, nowMs)).join(''));
      await file.datasync();
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
  return `${Math.floor(nowMs)} ${Math.ceil(untilMs)} ${name}\n`;
}
