/**
 * What Windows offers beyond Node, as functions of kernel32: moves that are on disk when they return, locks of open files,
 * folders written out. Nothing is loaded before the first call, and none is made on another system.
 *
 * A call that fails throws an error with Node's own code for it, so that what stands above need not know the system.
 */
import { toNamespacedPath } from 'node:path';
import koffi from 'koffi';

/** Win32's numbers in Node's words. A file that somebody holds is `EBUSY`, or `EPERM` where Windows does not say why. */
const codes: Readonly<Record<number, string>> = { 1: 'ENOTSUP', 2: 'ENOENT', 3: 'ENOENT', 5: 'EPERM', 32: 'EBUSY', 33: 'EBUSY', 39: 'ENOSPC', 50: 'ENOTSUP', 80: 'EEXIST', 112: 'ENOSPC', 183: 'EEXIST', 1295: 'EDQUOT' };

export function nodeCodeOf(win32: number): string {
  return codes[win32] ?? 'EIO';
}

function load() {
  const kernel = koffi.load('kernel32.dll');
  return {
    lastError: kernel.func('uint32 __stdcall GetLastError()'),
    move: kernel.func('int __stdcall MoveFileExW(const char16_t *from, const char16_t *to, uint32 flags)'),
    lock: kernel.func('int __stdcall LockFileEx(void *file, uint32 flags, uint32 reserved, uint32 low, uint32 high, _Inout_ uint8_t *where)'),
    open: kernel.func('intptr_t __stdcall CreateFileW(const char16_t *path, uint32 access, uint32 share, void *security, uint32 how, uint32 flags, void *template)'),
    flush: kernel.func('int __stdcall FlushFileBuffers(intptr_t file)'),
    close: kernel.func('int __stdcall CloseHandle(intptr_t file)'),
    // Node exports its own libuv: a descriptor is a number of its runtime, the handle behind it is Windows'.
    handleOf: koffi.load(null).func('void *uv_get_osfhandle(int fd)'),
  };
}

let loaded: ReturnType<typeof load> | undefined;
const calls = (): ReturnType<typeof load> => (loaded ??= load());

function refused(call: string): Error {
  const win32 = calls().lastError() as number;
  return Object.assign(new Error(`${nodeCodeOf(win32)}: ${call} failed with Win32 error ${win32}`), { code: nodeCodeOf(win32), win32 });
}

/** The name is on disk when it resolves. Without `replace` a target that is there is `EEXIST`, and of two at once one is moved. */
export async function moveThrough(from: string, to: string, options: { replace: boolean }): Promise<void> {
  const REPLACE_EXISTING = 1;
  const WRITE_THROUGH = 8;
  const flags = WRITE_THROUGH | (options.replace ? REPLACE_EXISTING : 0);
  const [source, target] = [toNamespacedPath(from), toNamespacedPath(to)];
  const moved = await new Promise<number>((resolve, reject) => {
    calls().move.async(source, target, flags, (error: Error | null, result: number) => (error ? reject(error) : resolve(result)));
  });
  if (moved !== 0) return;
  // The other thread has kept the reason: asked again on this one, it is told here, unless the hindrance is gone.
  if ((calls().move(source, target, flags) as number) === 0) throw refused(`the move of ${from} to ${to}`);
}

/** Takes a lock on an open file without waiting; false when somebody else holds it. It ends with the file or the process. */
export function lockOpenFile(fd: number): boolean {
  const EXCLUSIVE_AT_ONCE = 3;
  const LOCK_VIOLATION = 33;
  const { lock, handleOf, lastError } = calls();
  // Locks of Windows keep others from reading what they cover: this one covers a byte far behind every file's end.
  const where = Buffer.alloc(32);
  where.writeUInt32LE(0x40000000, 20);
  if ((lock(handleOf(fd), EXCLUSIVE_AT_ONCE, 0, 1, 0, where) as number) !== 0) return true;
  if ((lastError() as number) === LOCK_VIOLATION) return false;
  throw refused('LockFileEx');
}

/** Writes out a folder's own entries, for folders that were made: files come with `moveThrough`. */
export function flushFolder(path: string): void {
  const [GENERIC_WRITE, SHARE_ALL, OPEN_EXISTING, BACKUP_SEMANTICS] = [0x40000000, 7, 3, 0x02000000];
  const { open, flush, close } = calls();
  const handle = open(toNamespacedPath(path), GENERIC_WRITE, SHARE_ALL, null, OPEN_EXISTING, BACKUP_SEMANTICS, null) as number | bigint;
  if (Number(handle) === -1) throw refused(`opening the folder ${path}`);
  try {
    if ((flush(handle) as number) === 0) throw refused(`writing out the folder ${path}`);
  } finally {
    close(handle);
  }
}
