/**
 * The kernel's side of FUSE: operations, flags and the layout of every message that we read or write.
 *
 * Version 7.31 is spoken: what Linux 5.4 and later understand. All numbers are in the byte order of the machine
 * (little-endian on x86-64 and arm64), fields follow each other without gaps. A request is a header, the layout of its operation, then
 * names that end in a zero byte or the bytes to write. An answer is a header and the layout that belongs to it.
 * 64-bit fields are read as doubles: exact up to 2^53, and a field with all bits set stays recognizably huge.
 */

export const operations = {
  lookup: 1,
  forget: 2,
  getAttributes: 3,
  setAttributes: 4,
  makeNode: 8,
  makeDirectory: 9,
  unlink: 10,
  removeDirectory: 11,
  rename: 12,
  open: 14,
  read: 15,
  write: 16,
  statFileSystem: 17,
  release: 18,
  sync: 20,
  init: 26,
  openDirectory: 27,
  readDirectory: 28,
  releaseDirectory: 29,
  syncDirectory: 30,
  create: 35,
  interrupt: 36,
  destroy: 38,
  forgetMany: 42,
  allocate: 43,
  readDirectoryPlus: 44,
  rename2: 45,
} as const;

export type Operation = keyof typeof operations;

export const errors = { EPERM: 1, ENOENT: 2, EINTR: 4, EIO: 5, EAGAIN: 11, EEXIST: 17, ENODEV: 19, ENOTDIR: 20, EISDIR: 21, EINVAL: 22, ENOSPC: 28, ENAMETOOLONG: 36, ENOSYS: 38, ENOTEMPTY: 39, EPROTO: 71, EOPNOTSUPP: 95, ESTALE: 116 } as const;

/** What the kernel and we agree on in INIT; only what both sides offer is used. */
export const initFlags = {
  asyncRead: 1 << 0,
  bigWrites: 1 << 5,
  readDirectoryPlus: 1 << 13,
  readDirectoryPlusAuto: 1 << 14,
  asyncDirectIo: 1 << 15,
  /** The kernel collects writes in its page cache, owns size and times, and sends whole pages. */
  writebackCache: 1 << 16,
  parallelDirectories: 1 << 18,
  maxPages: 1 << 22,
} as const;

export const attributeBits = { mode: 1, uid: 2, gid: 4, size: 8, accessed: 16, modified: 32, accessedNow: 128, modifiedNow: 256 } as const;
export const openFlags = { keepCache: 2 } as const;
export const renameFlags = { noReplace: 1 } as const;
export const allocateFlags = { keepSize: 1 } as const;

/** Types in a mode, and the same shifted by 12 in a directory entry. */
export const modes = { typeMask: 0o170000, directory: 0o040000, file: 0o100000 } as const;

type Width = 'u16' | 'u32' | 'u64';
const bytesOf = { u16: 2, u32: 4, u64: 8 } as const;

export type Layout<K extends string> = {
  readonly bytes: number;
  read(from: Buffer, at?: number): Record<K, number>;
  /** Fields that are not given are zero. */
  write(to: Buffer, at: number, values: Partial<Record<K, number>>): void;
  make(values: Partial<Record<K, number>>): Buffer;
};

function layout<K extends string>(fields: Record<K, Width>): Layout<K> {
  const table = Object.entries(fields) as [K, Width][];
  const bytes = table.reduce((sum, [, width]) => sum + bytesOf[width], 0);
  const write = (to: Buffer, at: number, values: Partial<Record<K, number>>): void => {
    let next = at;
    for (const [name, width] of table) {
      writeNumber(to, next, width, values[name] ?? 0);
      next += bytesOf[width];
    }
  };
  return {
    bytes,
    read(from, at = 0) {
      const values = {} as Record<K, number>;
      let next = at;
      for (const [name, width] of table) {
        values[name] = readNumber(from, next, width);
        next += bytesOf[width];
      }
      return values;
    },
    write,
    make(values) {
      const buffer = Buffer.alloc(bytes);
      write(buffer, 0, values);
      return buffer;
    },
  };
}

function readNumber(from: Buffer, at: number, width: Width): number {
  if (width === 'u32') return from.readUInt32LE(at);
  if (width === 'u16') return from.readUInt16LE(at);
  return from.readUInt32LE(at) + from.readUInt32LE(at + 4) * 0x1_0000_0000;
}

function writeNumber(to: Buffer, at: number, width: Width, value: number): void {
  if (width === 'u32') to.writeUInt32LE(value >>> 0, at);
  else if (width === 'u16') to.writeUInt16LE(value, at);
  else {
    to.writeUInt32LE(value % 0x1_0000_0000, at);
    to.writeUInt32LE(Math.floor(value / 0x1_0000_0000), at + 4);
  }
}

const attributeFields = {
  inode: 'u64',
  size: 'u64',
  blocks: 'u64',
  accessed: 'u64',
  modified: 'u64',
  changed: 'u64',
  accessedNs: 'u32',
  modifiedNs: 'u32',
  changedNs: 'u32',
  mode: 'u32',
  links: 'u32',
  uid: 'u32',
  gid: 'u32',
  device: 'u32',
  blockBytes: 'u32',
  flags: 'u32',
} as const;

export const layouts = {
  requestHeader: layout({ bytes: 'u32', operation: 'u32', unique: 'u64', node: 'u64', uid: 'u32', gid: 'u32', pid: 'u32', padding: 'u32' }),
  /** `error` is the negative errno, as 32 bits. The 8 bytes of `unique` are copied from the request. */
  answerHeader: layout({ bytes: 'u32', error: 'u32', unique: 'u64' }),

  initRequest: layout({ major: 'u32', minor: 'u32', maxReadAhead: 'u32', flags: 'u32' }),
  initAnswer: layout({
    major: 'u32',
    minor: 'u32',
    maxReadAhead: 'u32',
    flags: 'u32',
    maxBackground: 'u16',
    congestionThreshold: 'u16',
    maxWrite: 'u32',
    timeGranularityNs: 'u32',
    maxPages: 'u16',
    mapAlignment: 'u16',
    flags2: 'u32',
    unused1: 'u64',
    unused2: 'u64',
    unused3: 'u64',
    unused4: 'u32',
  }),

  attributes: layout(attributeFields),
  attributesAnswer: layout({ validSeconds: 'u64', validNs: 'u32', padding: 'u32', ...attributeFields }),
  entryAnswer: layout({ node: 'u64', generation: 'u64', entrySeconds: 'u64', attributeSeconds: 'u64', entryNs: 'u32', attributeNs: 'u32', ...attributeFields }),
  setAttributesRequest: layout({
    valid: 'u32',
    padding: 'u32',
    handle: 'u64',
    size: 'u64',
    lockOwner: 'u64',
    accessed: 'u64',
    modified: 'u64',
    changed: 'u64',
    accessedNs: 'u32',
    modifiedNs: 'u32',
    changedNs: 'u32',
    mode: 'u32',
    unused1: 'u32',
    uid: 'u32',
    gid: 'u32',
    unused2: 'u32',
  }),

  forgetRequest: layout({ lookups: 'u64' }),
  forgetManyRequest: layout({ count: 'u32', padding: 'u32' }),
  forgetOne: layout({ node: 'u64', lookups: 'u64' }),

  makeNodeRequest: layout({ mode: 'u32', device: 'u32', umask: 'u32', padding: 'u32' }),
  makeDirectoryRequest: layout({ mode: 'u32', umask: 'u32' }),
  createRequest: layout({ flags: 'u32', mode: 'u32', umask: 'u32', openFlags: 'u32' }),
  renameRequest: layout({ newParent: 'u64' }),
  rename2Request: layout({ newParent: 'u64', flags: 'u32', padding: 'u32' }),

  openAnswer: layout({ handle: 'u64', flags: 'u32', padding: 'u32' }),
  releaseRequest: layout({ handle: 'u64' }),
  readRequest: layout({ handle: 'u64', from: 'u64', bytes: 'u32', readFlags: 'u32', lockOwner: 'u64', flags: 'u32', padding: 'u32' }),
  writeRequest: layout({ handle: 'u64', from: 'u64', bytes: 'u32', writeFlags: 'u32', lockOwner: 'u64', flags: 'u32', padding: 'u32' }),
  writeAnswer: layout({ bytes: 'u32', padding: 'u32' }),
  allocateRequest: layout({ handle: 'u64', from: 'u64', bytes: 'u64', mode: 'u32', padding: 'u32' }),

  /** Then the name, filled up to a multiple of 8. */
  directoryEntry: layout({ inode: 'u64', next: 'u64', nameBytes: 'u32', type: 'u32' }),
  statAnswer: layout({
    blocks: 'u64',
    free: 'u64',
    available: 'u64',
    files: 'u64',
    filesFree: 'u64',
    blockBytes: 'u32',
    nameBytes: 'u32',
    fragmentBytes: 'u32',
    padding: 'u32',
    spare1: 'u64',
    spare2: 'u64',
    spare3: 'u64',
  }),
} as const;
