/**
 * Files of an SMB 3 share without a mount: every call into libsmbclient, Samba's client library.
 *
 * It is loaded when a share is opened and never before. Its calls block, one context is for one thread, and what it does with
 * a broken network is its own affair: run it in a process that may be killed (repository/storage/share-child.ts).
 *
 * Its public rename removes what stands in the way and then renames, so for a moment there is neither; and it cannot be asked
 * to have anything on a disk. Both are taken from the libraries below it (smb-library.ts).
 *
 * One client is one connection. The library would make a new one behind the back of its caller; then every call fails.
 */
import { closeSync, writeSync } from 'node:fs';
import koffi from 'koffi';
import { smbCallFailed } from './failures.ts';
import { authType, loadSmbLibrary, watchConnection, type Pointer, type SmbConnection, type SmbLibrary } from './smb-library.ts';

export type SmbSettings = {
  readonly server: string;
  readonly port: number;
  readonly share: string;
  readonly user: string;
  /** Empty: an account of the server itself. */
  readonly domain: string;
  readonly password: string;
  readonly encryption: 'required' | 'if-offered';
  readonly netbios: boolean;
  /** Of one answer of the server. */
  readonly timeoutMs: number;
};

export type SmbEntry = { readonly name: string; readonly isFolder: boolean; readonly bytes: number; readonly modifiedMs: number };

declare const opaque: unique symbol;
export type SmbFile = { readonly [opaque]: 'SMBCFILE' };

/** Paths are below the share, with '/' between their segments. What fails is `base.smb-call-failed`, with the errno of the public calls or the NT status of the others. */
export type SmbClient = {
  readonly version: string;
  /** False when the library made another connection than the first. */
  isWhole(): boolean;
  stat(path: string): SmbEntry;
  list(path: string): SmbEntry[];
  /** `new` fails with EEXIST. While it is open nobody can rename or delete it. */
  open(path: string, how: 'read' | 'new' | 'write'): SmbFile;
  /** Fills `into`, and answers how much of it; less only at the end of the file. */
  read(file: SmbFile, from: number, into: Uint8Array): number;
  write(file: SmbFile, from: number, bytes: Uint8Array): void;
  /** All of the file is on the server's disk, says the server, when it returns. */
  flush(file: SmbFile): void;
  close(file: SmbFile): void;
  /** One step on the server either way: `keep` fails with `nameCollision` where `to` exists. */
  rename(from: string, to: string, how: 'keep' | 'replace'): void;
  makeFolder(path: string): void;
  remove(path: string): void;
  freeBytes(): number;
};

const EIO = 5;
const EACCES = 13;
/** A disk may have much to do. */
const flushMs = 50_000;

/**
 * What the machine's own smb.conf says is overruled: SMB 3, signed, NTLMv2, and names by DNS alone unless NetBIOS is wanted.
 * SMB 3.0 is what Windows 2012 and Samba 4.0 speak.
 */
function configuration({ encryption, netbios }: SmbSettings): string {
  return [
    '[global]',
    'client min protocol = SMB3_00',
    'client max protocol = SMB3_11',
    'client signing = required',
    'client ntlmv2 auth = yes',
    'client lanman auth = no',
    'client plaintext auth = no',
    'client use kerberos = off',
    `client smb encrypt = ${encryption === 'required' ? 'required' : 'desired'}`,
    `disable netbios = ${netbios ? 'no' : 'yes'}`,
    `name resolve order = ${netbios ? 'host wins bcast' : 'host'}`,
    // It would keep addresses in a file of the machine, for eleven minutes, and believe what others have left there.
    'name cache timeout = 0',
    'lock directory = /dev/null',
    '',
  ].join('\n');
}

/** A file that has no name: the library reads its settings from one. */
function configure(native: SmbLibrary, context: Pointer, text: string): void {
  const fd = koffi.load('libc.so.6').func('int memfd_create(const char *name, unsigned int flags)')('smb.conf', 0) as number;
  if (fd < 0) throw smbCallFailed({ call: 'memfd_create', errno: koffi.errno(), status: 0 });
  try {
    writeSync(fd, text);
    if ((native.configure(context, `/proc/self/fd/${fd}`) as number) < 0) throw smbCallFailed({ call: 'smbc_setConfiguration', errno: koffi.errno(), status: 0 });
  } finally {
    closeSync(fd);
  }
}

/** Writes a C string into a buffer of the library's, which has room for `most` bytes. */
function fill(to: Pointer, most: number, text: string): void {
  const bytes = Buffer.from(`${text}\0`, 'utf8');
  if (bytes.length > most) throw new RangeError('a name or password is longer than the library takes');
  Buffer.from(koffi.view(to, most) as ArrayBuffer).set(bytes);
}

/** Makes the connection and signs in; the share's own top is looked at. */
export function openSmbClient(settings: SmbSettings): SmbClient {
  const native = loadSmbLibrary();
  const context = native.newContext() as Pointer;
  native.setDebug(context, 0);
  native.setTimeout(context, settings.timeoutMs);
  native.setNoAnonymous(context, 1);
  native.setAuth(context, koffi.register((_server: string, _share: string, workgroup: Pointer, workgroupBytes: number, user: Pointer, userBytes: number, password: Pointer, passwordBytes: number) => {
    fill(workgroup, workgroupBytes, settings.domain);
    fill(user, userBytes, settings.user);
    fill(password, passwordBytes, settings.password);
  }, koffi.pointer(authType)));
  if ((native.initContext(context) as Pointer | null) === null) throw smbCallFailed({ call: 'smbc_init_context', errno: koffi.errno(), status: 0 });
  configure(native, context, configuration(settings));
  // From 1 on it requires signatures.
  native.setEncryption(context, settings.encryption === 'required' ? 2 : 1);
  const connection = watchConnection(native, context);
  const client = { version: native.version() as string, ...callsOf(native, context, settings, connection) };
  try {
    client.stat('');
  } catch (error) {
    // Who may not see the share's top is connected all the same.
    if (!connection.isOne()) throw error;
  }
  // The library takes the wish and does not see to it: whether a share is encrypted is the server's decision (4.17).
  if (settings.encryption === 'required' && native.isEncrypted(connection.pointer()) !== true) throw smbCallFailed({ call: 'encryption, which the server does not ask for', errno: EACCES, status: 0 });
  return client;
}

function callsOf(native: SmbLibrary, context: Pointer, { server, port, share }: SmbSettings, connection: SmbConnection): Omit<SmbClient, 'version'> {
  const calls = native.public(context);
  const host = server.includes(':') ? `[${server}]` : server;
  const top = `smb://${host}:${port}/${encodeURIComponent(share)}`;
  const urlOf = (path: string): string => [top, ...segmentsOf(path).map(encodeURIComponent)].join('/');
  const need = <T>(call: string, answer: T): T => {
    if (answer === null || answer === -1 || answer === -1n) throw smbCallFailed({ call, errno: koffi.errno() || EIO, status: 0 });
    return answer;
  };
  const needOk = (call: string, status: number): void => {
    if (status !== 0) throw smbCallFailed({ call, errno: 0, status });
  };
  const pointerOf = (file: SmbFile): Pointer => file as unknown as Pointer;
  const numberOf = (file: SmbFile): number => koffi.decode(pointerOf(file), 'int') as number;
  const seek = (file: SmbFile, to: number): void => void need('lseek', calls.seek(context, pointerOf(file), to, 0));

  return {
    isWhole: () => connection.isOne(),
    stat(path) {
      const found = Buffer.alloc(256);
      need('stat', calls.stat(context, urlOf(path), found));
      connection.pointer();
      return { name: segmentsOf(path).at(-1) ?? '', isFolder: (found.readUInt32LE(modeAt) & 0o170000) === 0o040000, bytes: Number(found.readBigInt64LE(48)), modifiedMs: timeOf(found, 88) };
    },
    list(path) {
      const folder = need('opendir', calls.opendir(context, urlOf(path))) as Pointer;
      try {
        const found: SmbEntry[] = [];
        for (let at = calls.readdirplus(context, folder) as Pointer | null; at !== null; at = calls.readdirplus(context, folder) as Pointer | null) {
          const entry = entryOf(at);
          if (entry.name !== '.' && entry.name !== '..') found.push(entry);
        }
        return found;
      } finally {
        calls.closedir(context, folder);
      }
    },
    open(path, how) {
      const O_CREAT_EXCL_RDWR = 0o302;
      const flags = how === 'read' ? 0 : how === 'write' ? 2 : O_CREAT_EXCL_RDWR;
      const file = need('open', calls.open(context, urlOf(path), flags, 0o600)) as unknown as SmbFile;
      connection.pointer();
      return file;
    },
    read(file, from, into) {
      seek(file, from);
      // Of several answers at once the library does not wait for those behind the end of the file, and refuses every later call.
      const most = connection.mostRead();
      for (let done = 0; done < into.length; ) {
        const got = Number(need('read', calls.read(context, pointerOf(file), into.subarray(done), Math.min(most, into.length - done))));
        if (got === 0) return done;
        done += got;
      }
      return into.length;
    },
    write: (file, from, bytes) => needOk('write', native.write(connection.pointer(), numberOf(file), 0, bytes, from, bytes.length, null) as number),
    flush: (file) => connection.flush(numberOf(file), flushMs),
    close: (file) => void need('close', calls.close(context, pointerOf(file))),
    rename: (from, to, how) => needOk('rename', native.rename(connection.pointer(), pathOf(from), pathOf(to), how === 'replace') as number),
    makeFolder: (path) => void need('mkdir', calls.mkdir(context, urlOf(path), 0o700)),
    remove: (path) => void need('unlink', calls.unlink(context, urlOf(path))),
    freeBytes() {
      const found = Buffer.alloc(256);
      need('statvfs', calls.statvfs(context, top, found));
      // Bytes of a sector, sectors of a unit, units that this user may still fill: a quota counts.
      return Number(found.readBigUInt64LE(0) * found.readBigUInt64LE(8) * found.readBigUInt64LE(32));
    },
  };
}

/** In struct stat; sizes and times are at the same place on both. */
const modeAt = process.arch === 'arm64' ? 16 : 24;

function timeOf(bytes: Buffer, at: number): number {
  return Number(bytes.readBigInt64LE(at)) * 1000 + Number(bytes.readBigInt64LE(at + 8)) / 1e6;
}

/** struct libsmb_file_info. */
function entryOf(at: Pointer): SmbEntry {
  const found = Buffer.from(koffi.view(at, 104) as ArrayBuffer);
  const FOLDER = 0x10;
  return { name: koffi.decode.string(found.readBigUInt64LE(88)), isFolder: (found.readUInt16LE(8) & FOLDER) !== 0, bytes: Number(found.readBigUInt64LE(0)), modifiedMs: timeOf(found, 40) };
}

function segmentsOf(path: string): string[] {
  return path.split('/').filter((segment) => segment !== '');
}

function pathOf(path: string): string {
  return `\\${segmentsOf(path).join('\\')}`;
}
