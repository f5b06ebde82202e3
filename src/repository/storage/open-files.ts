import { close, open } from 'node:fs';
import { promisify } from 'node:util';

const openFd = promisify(open);

/** A file kept open, with the reads that use it now. It is closed when nobody does and it is idle, forgotten or one too many. */
type Kept = { readonly fd: Promise<number>; users: number; dropped: boolean };

export type OpenFiles = {
  use<T>(path: string, work: (fd: number) => Promise<T>): Promise<T>;
  forget(path: string): void;
};

/** Keeps the files of recent reads open: objects that never change, read in many small ranges. */
export function openFiles(options: { most?: number; idleMs?: number } = {}): OpenFiles {
  const { most = 64, idleMs = 5_000 } = options;
  const kept = new Map<string, Kept>();
  let idle: NodeJS.Timeout | undefined;

  const end = (file: Kept): void => {
    file.fd.then(
      (fd) => close(fd, () => {}),
      () => {},
    );
  };
  const forget = (path: string): void => {
    const file = kept.get(path);
    if (file === undefined) return;
    kept.delete(path);
    file.dropped = true;
    if (file.users === 0) end(file);
  };
  const forgetIdle = (): void => {
    idle = undefined;
    for (const [path, file] of kept) if (file.users === 0) forget(path);
    if (kept.size > 0) watch();
  };
  const watch = (): void => {
    idle ??= setTimeout(forgetIdle, idleMs).unref();
  };

  return {
    async use(path, work) {
      let file = kept.get(path);
      if (file === undefined) file = { fd: openFd(path, 'r'), users: 0, dropped: false };
      kept.delete(path);
      kept.set(path, file);
      file.users += 1;
      try {
        return await work(await file.fd);
      } catch (error) {
        forget(path);
        throw error;
      } finally {
        file.users -= 1;
        if (file.dropped && file.users === 0) end(file);
        for (const [oldest] of kept) {
          if (kept.size <= most) break;
          forget(oldest);
        }
        watch();
      }
    },
    forget,
  };
}
