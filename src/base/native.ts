/**
 * Every call into native code that Node does not offer, in one place.
 *
 * libc comes from the machine. Zstandard and OpenSSL come from the Node binary itself, which exports them: with a context
 * kept from call to call they are two to three times faster on 64 KiB frames than node:zlib and node:crypto, which make a
 * new one each time (docs/decisions/0003-zstd-contexts.md). Numbers are Linux's, the same on x86-64 and arm64 unless a table says otherwise.
 * Windows' own calls are in native-windows.ts; its Node exports OpenSSL and not Zstandard, which is then node:zlib's.
 */
import koffi from 'koffi';
import { nativeMissing, systemCallFailed } from './failures.ts';
import { lockOpenFile } from './native-windows.ts';
import { zlibCompressor, zlibDecompressor } from './zlib-zstd.ts';

const isWindows = process.platform === 'win32';
const own = koffi.load(null);
const libc = isWindows ? undefined : fromLibc(koffi.load('libc.so.6'));

function fromLibc(library: ReturnType<typeof koffi.load>) {
  return {
    ioctl: library.func('int ioctl(int fd, unsigned long request, _Inout_ uint8_t *argument)'),
    flock: library.func('int flock(int fd, int operation)'),
    mount: library.func('int mount(const char *source, const char *target, const char *type, unsigned long flags, const char *data)'),
    umount2: library.func('int umount2(const char *target, int flags)'),
    prctl: library.func('int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d)'),
    memfd_create: library.func('int memfd_create(const char *name, unsigned int flags)'),
    ftruncate: library.func('int ftruncate(int fd, int64_t bytes)'),
    mmap: library.func('void *mmap(void *at, size_t bytes, int protection, int flags, int fd, int64_t offset)'),
    munmap: library.func('int munmap(void *at, size_t bytes)'),
    syscall: library.func('long syscall(long number, long a, long b, long c)'),
    openat2: library.func('long syscall(long number, int folder, const char *path, const uint8_t *how, size_t size)'),
    fcntl: library.func('int fcntl(int fd, int command, long argument)'),
  };
}

function linux(call: keyof ReturnType<typeof fromLibc>): ReturnType<ReturnType<typeof koffi.load>['func']> {
  if (libc === undefined) throw nativeMissing({ call });
  return libc[call];
}

function failOn(call: string, result: number): void {
  if (result < 0) throw systemCallFailed({ call, errno: koffi.errno() });
}

/** Takes an advisory lock on an open file without waiting; false when somebody else holds it. */
export function tryLockFile(fd: number): boolean {
  if (isWindows) return lockOpenFile(fd);
  const LOCK_EX = 2;
  const LOCK_NB = 4;
  const EAGAIN = 11;
  if ((linux('flock')(fd, LOCK_EX | LOCK_NB) as number) === 0) return true;
  if (koffi.errno() === EAGAIN) return false;
  throw systemCallFailed({ call: 'flock', errno: koffi.errno() });
}

/** Memory that is shared with whoever inherits the descriptor. It takes no room before it is touched. */
export function makeSharedMemory(bytes: number): number {
  const MFD_CLOEXEC = 1;
  const fd = linux('memfd_create')('tidemark', MFD_CLOEXEC) as number;
  failOn('memfd_create', fd);
  failOn('ftruncate', linux('ftruncate')(fd, bytes) as number);
  return fd;
}

const unmapped = new FinalizationRegistry<{ at: bigint; bytes: number }>(({ at, bytes }) => void linux('munmap')(at, bytes));

/** Stays mapped until nobody holds the buffer or a part of it; the descriptor may be closed before. */
export function mapSharedMemory(fd: number, bytes: number): Buffer {
  const PROT_READ_WRITE = 3;
  const MAP_SHARED = 1;
  const at = linux('mmap')(null, bytes, PROT_READ_WRITE, MAP_SHARED, fd, 0) as bigint;
  if (at === 0xffff_ffff_ffff_ffffn) throw systemCallFailed({ call: 'mmap', errno: koffi.errno() });
  const memory = koffi.view(at, bytes) as ArrayBuffer;
  unmapped.register(memory, { at, bytes });
  return Buffer.from(memory);
}

/**
 * Opens an object below an open folder for reading: no link is followed on the way, no way leads out of the folder or onto another
 * file system. -1 when there is no such object. Needs Linux 5.6.
 */
export function openBeneath(folder: number, path: string): number {
  const OPENAT2 = 437;
  const O_NONBLOCK = 0o4000;
  const O_CLOEXEC = 0o2000000;
  const RESOLVE_NO_XDEV = 1;
  const RESOLVE_NO_SYMLINKS = 4;
  const RESOLVE_BENEATH = 8;
  const how = Buffer.alloc(24);
  how.writeBigUInt64LE(BigInt(O_NONBLOCK | O_CLOEXEC), 0);
  how.writeBigUInt64LE(BigInt(RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH), 16);
  const fd = Number(linux('openat2')(OPENAT2, folder, path, how, how.length));
  const [ENOENT, ENOTDIR] = [2, 20];
  if (fd < 0 && (koffi.errno() === ENOENT || koffi.errno() === ENOTDIR)) return -1;
  failOn(`openat2 ${path}`, fd);
  return fd;
}

const FS_IMMUTABLE_FL = 0x10;

function fileFlags(fd: number): Buffer {
  const FS_IOC_GETFLAGS = 0x80086601;
  const flags = Buffer.alloc(8);
  failOn('ioctl FS_IOC_GETFLAGS', linux('ioctl')(fd, FS_IOC_GETFLAGS, flags) as number);
  return flags;
}

/** Whether nobody can change, rename, link or delete the file, root included, before the flag is lifted. */
export function isImmutableFile(fd: number): boolean {
  return (fileFlags(fd).readUInt32LE(0) & FS_IMMUTABLE_FL) !== 0;
}

/** Needs CAP_LINUX_IMMUTABLE, and a file system that keeps the flag: ext4, XFS, Btrfs and others. */
export function setImmutableFile(fd: number, on: boolean): void {
  const FS_IOC_SETFLAGS = 0x40086602;
  const flags = fileFlags(fd);
  const before = flags.readUInt32LE(0);
  const after = on ? before | FS_IMMUTABLE_FL : before & ~FS_IMMUTABLE_FL;
  if (after === before) return;
  flags.writeUInt32LE(after >>> 0, 0);
  failOn('ioctl FS_IOC_SETFLAGS', linux('ioctl')(fd, FS_IOC_SETFLAGS, flags) as number);
}

/** Whether anybody has the file open for writing: then a read lease is refused. Needs CAP_LEASE where the file is another's. */
export function isOpenForWriting(fd: number): boolean {
  const F_SETLEASE = 1024;
  const [F_RDLCK, F_UNLCK] = [0, 2];
  const EAGAIN = 11;
  if ((linux('fcntl')(fd, F_SETLEASE, F_RDLCK) as number) === 0) {
    failOn('fcntl F_SETLEASE', linux('fcntl')(fd, F_SETLEASE, F_UNLCK) as number);
    return false;
  }
  if (koffi.errno() === EAGAIN) return true;
  throw systemCallFailed({ call: 'fcntl F_SETLEASE', errno: koffi.errno() });
}

/** mount(2), without set-user-id programs, devices and access times. Throws `base.system-call-failed` with the errno. */
export function mountFileSystem(source: string, target: string, type: string, data: string): void {
  const MS_NOSUID = 2;
  const MS_NODEV = 4;
  const MS_NOATIME = 1024;
  failOn(`mount ${target}`, linux('mount')(source, target, type, MS_NOSUID | MS_NODEV | MS_NOATIME, data) as number);
}

/** `lazy` takes it out of the tree although files are open; `force` first breaks the connection to a server of our own. */
export function unmount(path: string, options: { lazy: boolean; force?: boolean }): void {
  failOn(`umount ${path}`, linux('umount2')(path, unmountFlags(options)) as number);
}

/**
 * The same on another thread, for the process that serves the mount: the kernel writes out what is dirty before it lets
 * go, and those writes come to this process. False when the kernel refused.
 */
export async function unmountAside(path: string, options: { lazy: boolean }): Promise<boolean> {
  return await new Promise((resolve, reject) => {
    linux('umount2').async(path, unmountFlags(options), (error: Error | null, result: number) => (error ? reject(error) : resolve(result === 0)));
  });
}

function unmountFlags({ lazy, force }: { lazy: boolean; force?: boolean }): number {
  const MNT_FORCE = 1;
  const MNT_DETACH = 2;
  return (lazy ? MNT_DETACH : 0) | (force === true ? MNT_FORCE : 0);
}

/** Has the kernel send `signal` to this process when its parent dies. Windows has no such thing: there the end of the pipe to the parent is the word. */
export function dieWithParent(signal = 15): void {
  if (isWindows) return;
  const PR_SET_PDEATHSIG = 1;
  failOn('prctl', linux('prctl')(PR_SET_PDEATHSIG, signal, 0, 0, 0) as number);
}

/** Puts this process into the idle class of the disk scheduler: it is served when nobody else asks. On Windows its priority is all there is. */
export function yieldDisk(): void {
  if (isWindows) return;
  const number = process.arch === 'arm64' ? 30 : 251;
  const IOPRIO_WHO_PROCESS = 1;
  const IDLE_CLASS = 3 << 13;
  failOn('ioprio_set', Number(linux('syscall')(number, IOPRIO_WHO_PROCESS, 0, IDLE_CLASS)));
}

/** One piece of a file on its disk, as FIEMAP tells it. All three are bytes. */
export type Extent = { logical: number; physical: number; length: number; flags: number };

/** The extents of an open file, in order, after the kernel has written out what was delayed. */
export function fileExtents(fd: number): Extent[] {
  const FS_IOC_FIEMAP = 0xc020660b;
  const FIEMAP_FLAG_SYNC = 1;
  const FIEMAP_EXTENT_LAST = 1;
  const HEADER = 32;
  const EXTENT = 56;
  const batch = 1024;
  const found: Extent[] = [];
  const buffer = Buffer.alloc(HEADER + EXTENT * batch);
  for (let start = 0n; ;) {
    buffer.fill(0, 0, HEADER);
    buffer.writeBigUInt64LE(start, 0);
    buffer.writeBigUInt64LE(0xffffffffffffffffn - start, 8);
    buffer.writeUInt32LE(FIEMAP_FLAG_SYNC, 16);
    buffer.writeUInt32LE(batch, 24);
    failOn('ioctl FIEMAP', linux('ioctl')(fd, FS_IOC_FIEMAP, buffer) as number);
    const mapped = buffer.readUInt32LE(20);
    for (let k = 0; k < mapped; k++) {
      const at = HEADER + k * EXTENT;
      const extent = {
        logical: Number(buffer.readBigUInt64LE(at)),
        physical: Number(buffer.readBigUInt64LE(at + 8)),
        length: Number(buffer.readBigUInt64LE(at + 16)),
        flags: buffer.readUInt32LE(at + 40),
      };
      found.push(extent);
      start = BigInt(extent.logical) + BigInt(extent.length);
    }
    if (mapped < batch || ((found.at(-1)?.flags ?? 1) & FIEMAP_EXTENT_LAST) !== 0) return found;
  }
}

type Context = { readonly pointer: unknown };
const zstd = loadZstd();

function loadZstd() {
  try {
    return {
      createCompressor: own.func('void *ZSTD_createCCtx()'),
      setParameter: own.func('size_t ZSTD_CCtx_setParameter(void *context, int parameter, int value)'),
      compress: own.func('size_t ZSTD_compress2(void *context, _Out_ uint8_t *to, size_t capacity, const uint8_t *from, size_t size)'),
      createDecompressor: own.func('void *ZSTD_createDCtx()'),
      decompress: own.func('size_t ZSTD_decompressDCtx(void *context, _Out_ uint8_t *to, size_t capacity, const uint8_t *from, size_t size)'),
      isError: own.func('unsigned int ZSTD_isError(size_t code)'),
    };
  } catch (cause) {
    if (isWindows) return undefined;
    throw nativeMissing({ call: 'ZSTD_compress2' }, cause);
  }
}

/** Zstandard's advanced parameters by its own numbers; what is not given follows from the level. */
export type CompressorTuning = { readonly strategy?: number; readonly windowLog?: number; readonly hashLog?: number; readonly minMatch?: number };

/** A compressor at one level, kept for many calls. Answers the bytes written into `to`, or -1 when they do not fit. */
export function openCompressor(level: number, tuning: CompressorTuning = {}): (from: Uint8Array, to: Uint8Array) => number {
  if (zstd === undefined) return zlibCompressor(numbered(level, tuning));
  const { compress, setParameter } = zstd;
  const context: Context = { pointer: zstd.createCompressor() as unknown };
  for (const [parameter, value] of Object.entries(numbered(level, tuning))) setParameter(context.pointer, Number(parameter), value);
  return (from, to) => answer(compress(context.pointer, to, to.length, from, from.length) as number | bigint);
}

/** By Zstandard's numbers, without what is left to it. */
function numbered(level: number, { windowLog, hashLog, minMatch, strategy }: CompressorTuning): Record<number, number> {
  const all = { 100: level, 101: windowLog, 102: hashLog, 105: minMatch, 107: strategy };
  return Object.fromEntries(Object.entries(all).flatMap(([parameter, value]) => (value === undefined ? [] : [[parameter, value]])));
}

/** A decompressor kept for many calls. Answers the bytes written into `to`, or -1 when the input is not whole. */
export function openDecompressor(): (from: Uint8Array, to: Uint8Array) => number {
  if (zstd === undefined) return zlibDecompressor();
  const { decompress } = zstd;
  const context: Context = { pointer: zstd.createDecompressor() as unknown };
  return (from, to) => answer(decompress(context.pointer, to, to.length, from, from.length) as number | bigint);
}

function answer(code: number | bigint): number {
  return (zstd!.isError(code) as number) !== 0 ? -1 : Number(code);
}

const gcm = loadGcm();

function loadGcm() {
  try {
    return {
      create: own.func('void *EVP_CIPHER_CTX_new()'),
      aes256: own.func('void *EVP_aes_256_gcm()'),
      control: own.func('int EVP_CIPHER_CTX_ctrl(void *context, int type, int argument, _Inout_ uint8_t *pointer)'),
      sealWith: own.func('int EVP_EncryptInit_ex(void *context, void *type, void *engine, const uint8_t *key, const uint8_t *nonce)'),
      seal: own.func('int EVP_EncryptUpdate(void *context, _Out_ uint8_t *to, _Out_ uint8_t *written, const uint8_t *from, int size)'),
      sealed: own.func('int EVP_EncryptFinal_ex(void *context, _Out_ uint8_t *to, _Out_ uint8_t *written)'),
      openWith: own.func('int EVP_DecryptInit_ex(void *context, void *type, void *engine, const uint8_t *key, const uint8_t *nonce)'),
      open: own.func('int EVP_DecryptUpdate(void *context, _Out_ uint8_t *to, _Out_ uint8_t *written, const uint8_t *from, int size)'),
      opened: own.func('int EVP_DecryptFinal_ex(void *context, _Out_ uint8_t *to, _Out_ uint8_t *written)'),
    };
  } catch (cause) {
    throw nativeMissing({ call: 'EVP_aes_256_gcm' }, cause);
  }
}

const gcmTagBytes = 16;
const getTag = 0x10;
const setTag = 0x11;

/** AES-256-GCM with 12-byte nonces and 16-byte tags, no additional data, in a context kept for many calls. */
export type Gcm = {
  /** Writes ciphertext and tag into `to`. */
  seal(key: Uint8Array, nonce: Uint8Array, plain: Uint8Array, to: Uint8Array): void;
  /** Writes the plain bytes into `to`; false unless tag and key fit, and then what is in `to` is worthless. */
  open(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array, to: Uint8Array): boolean;
};

export function openGcm(): Gcm {
  const [sealing, opening] = [gcm.create() as unknown, gcm.create() as unknown];
  const [written, nothing] = [Buffer.alloc(4), Buffer.alloc(gcmTagBytes)];
  const need = (call: string, result: unknown): void => {
    if (result !== 1) throw systemCallFailed({ call, errno: 0 });
  };
  need('EVP_EncryptInit_ex', gcm.sealWith(sealing, gcm.aes256(), null, null, null));
  need('EVP_DecryptInit_ex', gcm.openWith(opening, gcm.aes256(), null, null, null));
  return {
    seal(key, nonce, plain, to) {
      if (to.length < plain.length + gcmTagBytes) throw new RangeError('no room for ciphertext and tag');
      requireSizes(key, nonce);
      need('EVP_EncryptInit_ex', gcm.sealWith(sealing, null, null, key, nonce));
      need('EVP_EncryptUpdate', gcm.seal(sealing, to, written, plain, plain.length));
      need('EVP_EncryptFinal_ex', gcm.sealed(sealing, nothing, written));
      need('EVP_CIPHER_CTX_ctrl', gcm.control(sealing, getTag, gcmTagBytes, to.subarray(plain.length, plain.length + gcmTagBytes)));
    },
    open(key, nonce, sealed, to) {
      const size = sealed.length - gcmTagBytes;
      if (size < 0 || to.length < size) return false;
      requireSizes(key, nonce);
      need('EVP_DecryptInit_ex', gcm.openWith(opening, null, null, key, nonce));
      need('EVP_DecryptUpdate', gcm.open(opening, to, written, sealed, size));
      need('EVP_CIPHER_CTX_ctrl', gcm.control(opening, setTag, gcmTagBytes, sealed.subarray(size)));
      return gcm.opened(opening, nothing, written) === 1;
    },
  };
}

/** OpenSSL reads as much as it needs, whatever is behind. */
function requireSizes(key: Uint8Array, nonce: Uint8Array): void {
  if (key.length !== 32 || nonce.length !== 12) throw new RangeError(`a key of ${key.length} bytes and a nonce of ${nonce.length}`);
}
