import { createWriteStream, renameSync, statSync, type WriteStream } from 'node:fs';

const largestBytes = 20e6;

/** The log of one part: appended to a file that is moved aside (one generation is kept) when it gets too long. */
export type PartLog = { write(text: string): void; /** The last lines written. */ tail(): string[]; close(): Promise<void> };

export function openPartLog(path: string): PartLog {
  let bytes = sizeOf(path);
  let stream = open(path);
  const last: string[] = [];
  return {
    write(text) {
      last.push(...text.split('\n').filter((line) => line !== ''));
      last.splice(0, Math.max(0, last.length - 20));
      bytes += Buffer.byteLength(text);
      stream.write(text);
      if (bytes < largestBytes) return;
      stream.end();
      renameSync(path, `${path}.1`);
      stream = open(path);
      bytes = 0;
    },
    tail: () => [...last],
    close: async () => await new Promise((resolve) => stream.end(() => resolve())),
  };
}

function open(path: string): WriteStream {
  const stream = createWriteStream(path, { flags: 'a', mode: 0o600 });
  // A log that cannot be written (full disk) must not stop what it tells of.
  stream.on('error', () => {});
  return stream;
}

function sizeOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
