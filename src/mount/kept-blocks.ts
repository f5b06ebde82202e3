/**
 * Where the overlay's blocks lie: one sparse file for each file that was written to, with every block at its own place.
 *
 * All calls are synchronous: they end in the page cache, and so a write, its line in the journal and the answer to the
 * kernel keep their order without a lock. At most `openAtOnce` files are open.
 */
import { closeSync, existsSync, fdatasyncSync, fstatSync, ftruncateSync, mkdirSync, openSync, readSync, readdirSync, rmSync, writevSync } from 'node:fs';
import { join } from 'node:path';

export type KeptBlocks = {
  /** Fills `to`; what lies beyond the end is zeros. */
  read(id: number, to: Uint8Array, from: number): void;
  write(id: number, parts: readonly Uint8Array[], from: number): void;
  /** Cuts off what lies beyond `bytes`. */
  trim(id: number, bytes: number): void;
  sync(id: number): void;
  delete(id: number): void;
  ids(): number[];
  close(): void;
};

const openAtOnce = 256;

export function openKeptBlocks(directory: string): KeptBlocks {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const pathOf = (id: number): string => join(directory, String(id));
  /** In the order of their last use. */
  const open = new Map<number, number>();

  const shut = (id: number): void => {
    const fd = open.get(id);
    open.delete(id);
    if (fd !== undefined) closeSync(fd);
  };

  const use = (id: number, how: 'r+' | 'make'): number => {
    const known = open.get(id);
    if (known !== undefined) {
      open.delete(id);
      open.set(id, known);
      return known;
    }
    const oldest = open.size >= openAtOnce ? open.keys().next().value : undefined;
    if (oldest !== undefined) shut(oldest);
    const fd = openSync(pathOf(id), how === 'make' && !existsSync(pathOf(id)) ? 'wx+' : 'r+', 0o600);
    open.set(id, fd);
    return fd;
  };

  return {
    read(id, to, from) {
      const fd = use(id, 'r+');
      for (let done = 0; done < to.length; ) {
        const got = readSync(fd, to, done, to.length - done, from + done);
        if (got === 0) {
          to.fill(0, done);
          return;
        }
        done += got;
      }
    },
    write(id, parts, from) {
      const fd = use(id, 'make');
      const bytes = parts.reduce((sum, part) => sum + part.length, 0);
      let rest = parts;
      for (let done = 0; done < bytes; ) {
        const wrote = writevSync(fd, rest, from + done);
        done += wrote;
        if (done < bytes) rest = after(rest, wrote);
      }
    },
    trim(id, bytes) {
      if (!open.has(id) && !existsSync(pathOf(id))) return;
      const fd = use(id, 'r+');
      if (fstatSync(fd).size > bytes) ftruncateSync(fd, bytes);
    },
    sync(id) {
      if (open.has(id) || existsSync(pathOf(id))) fdatasyncSync(use(id, 'r+'));
    },
    delete(id) {
      shut(id);
      rmSync(pathOf(id), { force: true });
    },
    ids: () => readdirSync(directory).map(Number),
    close() {
      for (const id of [...open.keys()]) shut(id);
    },
  };
}

function after(parts: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let skip = bytes;
  return parts.flatMap((part) => {
    const cut = Math.min(skip, part.length);
    skip -= cut;
    return cut === part.length ? [] : [part.subarray(cut)];
  });
}
