import { closeSync, openSync, renameSync, statSync, writeSync } from 'node:fs';

const largestBytes = 20e6;

/** The log of one part: appended to a file that is moved aside (one generation is kept) when it gets too long. */
export type PartLog = { write(text: string): void; /** The last lines written. */ tail(): string[]; close(): void };

export function openPartLog(path: string): PartLog {
  let bytes = statSync(path, { throwIfNoEntry: false })?.size ?? 0;
  let fd = openSync(path, 'a', 0o600);
  const last: string[] = [];
  const append = (text: string): void => {
    bytes += writeSync(fd, text);
    if (bytes < largestBytes) return;
    closeSync(fd);
    renameSync(path, `${path}.1`);
    fd = openSync(path, 'a', 0o600);
    bytes = 0;
  };
  return {
    write(text) {
      last.push(...text.split('\n').filter((line) => line !== ''));
      last.splice(0, Math.max(0, last.length - 20));
      try {
        append(text);
      } catch {
        // A log that cannot be written (full disk) must not stop what it tells of.
      }
    },
    tail: () => [...last],
    close: () => closeSync(fd),
  };
}
