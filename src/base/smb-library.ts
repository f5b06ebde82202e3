/**
 * libsmbclient as it is loaded: the calls of its public header, and those of the libraries it is made of that have no public one.
 *
 * What a repository needs and the public header lacks, the libraries below export as it is in the protocol: `cli_rename`, `cli_writeall`
 * and `smb2cli_flush`. They want the connection, its session and tree, and the ids of an open file. The connection (`struct cli_state`) is the
 * first field of the struct that the library hands to a callback of its public interface; the others are found below it by the names that its
 * allocator keeps of everything (talloc, whose interface is public), so that no place in a struct is assumed.
 */
import koffi from 'koffi';
import { libraryMissing, smbCallFailed } from './failures.ts';

const library = 'libsmbclient.so.0';
const EBADF = 9;
const ENOTCONN = 107;

/** All are called by the library while one of its own calls runs. */
export const authType = koffi.proto('void SmbcAuth(const char *server, const char *share, void *workgroup, int workgroupBytes, void *user, int userBytes, void *password, int passwordBytes)');
const addServerType = koffi.proto('int SmbcAddServer(void *context, void *server, const char *name, const char *share, const char *workgroup, const char *user)');
const visitType = koffi.proto('void TallocVisit(void *found, int depth, int deepest, int isReference, void *more)');

export type Pointer = bigint;
export type SmbLibrary = ReturnType<typeof load>;

let loaded: SmbLibrary | undefined;

export function loadSmbLibrary(): SmbLibrary {
  return (loaded ??= load());
}

function load() {
  const missing = (why: string, cause?: unknown): Error => libraryMissing({ library: 'libsmbclient', debian: 'libsmbclient', redHat: 'libsmbclient', why }, cause);
  const open = (): ReturnType<typeof koffi.load> => {
    try {
      return koffi.load(library);
    } catch (cause) {
      throw missing(cause instanceof Error ? cause.message.split('\n')[0]! : String(cause), cause);
    }
  };
  const lib = open();
  try {
    return {
      version: lib.func('const char *smbc_version()'),
      newContext: lib.func('void *smbc_new_context()'),
      initContext: lib.func('void *smbc_init_context(void *context)'),
      configure: lib.func('int smbc_setConfiguration(void *context, const char *file)'),
      setDebug: lib.func('void smbc_setDebug(void *context, int level)'),
      setTimeout: lib.func('void smbc_setTimeout(void *context, int ms)'),
      setEncryption: lib.func('void smbc_setOptionSmbEncryptionLevel(void *context, int level)'),
      setNoAnonymous: lib.func('void smbc_setOptionNoAutoAnonymousLogin(void *context, int on)'),
      setAuth: lib.func('void smbc_setFunctionAuthData(void *context, SmbcAuth *callback)'),
      setAddServer: lib.func('void smbc_setFunctionAddCachedServer(void *context, SmbcAddServer *callback)'),
      getAddServer: lib.func('void *smbc_getFunctionAddCachedServer(void *context)'),
      isEncrypted: lib.func('bool cli_state_is_encryption_on(void *connection)'),
      nameOf: lib.func('const char *talloc_get_name(void *of)'),
      visit: lib.func('void talloc_report_depth_cb(void *of, int depth, int deepest, TallocVisit *visit, void *more)'),
      sessionId: lib.func('uint64_t smb2cli_session_current_id(void *session)'),
      treeId: lib.func('uint32_t smb2cli_tcon_current_id(void *tree)'),
      handleOf: lib.func('void *idr_find(void *handles, int file)'),
      flush: lib.func('uint32_t smb2cli_flush(void *connection, uint32_t timeoutMs, void *session, void *tree, uint64_t persistentId, uint64_t volatileId)'),
      mostRead: lib.func('uint32_t smb2cli_conn_max_read_size(void *connection)'),
      rename: lib.func('uint32_t cli_rename(void *connection, const char *from, const char *to, bool replace)'),
      write: lib.func('uint32_t cli_writeall(void *connection, uint16_t file, uint16_t flags, const uint8_t *from, int64_t offset, size_t bytes, void *written)'),
      public: (context: Pointer) => {
        const method = (name: string, type: string) => koffi.decode(lib.func(`void *smbc_getFunction${name}(void *context)`)(context), koffi.proto(type)) as (...args: unknown[]) => unknown;
        return {
          open: method('Open', 'void *SmbcOpen(void *context, const char *url, int flags, unsigned int mode)'),
          read: method('Read', 'int64_t SmbcRead(void *context, void *file, void *to, size_t bytes)'),
          seek: method('Lseek', 'int64_t SmbcSeek(void *context, void *file, int64_t to, int whence)'),
          close: method('Close', 'int SmbcClose(void *context, void *file)'),
          stat: method('Stat', 'int SmbcStat(void *context, const char *url, void *to)'),
          mkdir: method('Mkdir', 'int SmbcMkdir(void *context, const char *url, unsigned int mode)'),
          unlink: method('Unlink', 'int SmbcUnlink(void *context, const char *url)'),
          opendir: method('Opendir', 'void *SmbcOpendir(void *context, const char *url)'),
          readdirplus: method('ReaddirPlus', 'void *SmbcReaddirPlus(void *context, void *folder)'),
          closedir: method('Closedir', 'int SmbcClosedir(void *context, void *folder)'),
          statvfs: method('StatVFS', 'int SmbcStatVFS(void *context, char *url, void *to)'),
        };
      },
    };
  } catch (cause) {
    throw missing('it lacks a call that Tidemark needs', cause);
  }
}

export type SmbConnection = {
  /** `struct cli_state`; fails when the library has made another connection than the first. */
  pointer(): Pointer;
  isOne(): boolean;
  /** Bytes of one answer of the server: 8 MiB mostly, 64 KiB on port 139. */
  mostRead(): number;
  /** Everything written to the file is on the server's disk when it returns. */
  flush(file: number, timeoutMs: number): void;
};

/** Hears of every connection that the library makes. More than one means that files which are open belong to a dead one. */
export function watchConnection(native: SmbLibrary, context: Pointer): SmbConnection {
  const add = koffi.decode(native.getAddServer(context), addServerType) as (...args: unknown[]) => number;
  const servers: Pointer[] = [];
  native.setAddServer(context, koffi.register((...args: [Pointer, Pointer, string, string, string, string]) => {
    servers.push(args[1]);
    return add(...args);
  }, koffi.pointer(addServerType)));
  const pointer = (): Pointer => {
    if (servers.length !== 1) throw smbCallFailed({ call: 'the connection', errno: ENOTCONN, status: 0 });
    return BigInt(koffi.decode(servers[0]!, 'uint64_t') as bigint | number);
  };
  let found: Link | undefined;
  const link = (): Link => (found ??= findLink(native, pointer()));
  return {
    isOne: () => servers.length === 1,
    pointer,
    mostRead: () => native.mostRead(link().wire) as number,
    flush(file, timeoutMs) {
      const { wire, session, tree, handles } = link();
      const ids = native.handleOf(handles, file) as Pointer | null;
      if (ids === null) throw smbCallFailed({ call: 'a file that is not open', errno: EBADF, status: 0 });
      const [persistentId, volatileId] = koffi.decode(ids, koffi.array('uint64_t', 2)) as [bigint, bigint];
      const status = native.flush(wire, timeoutMs, session, tree, persistentId, volatileId) as number;
      if (status !== 0) throw smbCallFailed({ call: 'flush', errno: 0, status });
    },
  };
}

type Link = { readonly wire: Pointer; readonly session: Pointer; readonly tree: Pointer; readonly handles: Pointer };

/** What hangs below a connection. There is a second session and tree for SMB 1, which were never given an id. */
function findLink(native: SmbLibrary, connection: Pointer): Link {
  const found = new Map<string, Pointer[]>();
  const visit = koffi.register((at: Pointer, depth: number, _deepest: number, isReference: number) => {
    const name = native.nameOf(at) as string | null;
    if (depth === 1 && isReference === 0 && name !== null) found.set(name, [...(found.get(name) ?? []), at]);
  }, koffi.pointer(visitType));
  try {
    native.visit(connection, 0, 1, visit, null);
  } finally {
    koffi.unregister(visit);
  }
  const one = (name: string, isWanted: (at: Pointer) => boolean = () => true): Pointer => {
    const all = found.get(name) ?? [];
    const [only, ...others] = all.length === 1 ? all : all.filter(isWanted);
    if (only === undefined || others.length > 0) throw libraryMissing({ library: 'libsmbclient', debian: 'libsmbclient', redHat: 'libsmbclient', why: `there is ${only === undefined ? 'no' : 'more than one'} ${name} of a connection` });
    return only;
  };
  return {
    wire: one('struct smbXcli_conn'),
    session: one('struct smbXcli_session', (at) => BigInt(native.sessionId(at) as bigint | number) !== 0n),
    tree: one('struct smbXcli_tcon', (at) => native.treeId(at) !== 0),
    handles: one('struct idr_context'),
  };
}
