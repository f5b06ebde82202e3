/** Owner and rights of files on Windows, through its own calls. What the bytes mean: security-descriptor.ts. */
import { toNamespacedPath } from 'node:path';
import koffi from 'koffi';
import { nodeCodeOf } from './native-windows.ts';
import { readSecurity, readSid, type Security } from './security-descriptor.ts';

const OWNER = 1;
const RIGHTS = 4;
const PROTECTED_RIGHTS = 0x80000000;

function load() {
  const [advapi, kernel] = [koffi.load('advapi32.dll'), koffi.load('kernel32.dll')];
  return {
    get: advapi.func('int __stdcall GetFileSecurityW(const char16_t *path, uint32 what, _Out_ uint8_t *security, uint32 bytes, _Out_ uint32 *needed)'),
    set: advapi.func('int __stdcall SetFileSecurityW(const char16_t *path, uint32 what, const uint8_t *security)'),
    openToken: advapi.func('int __stdcall OpenProcessToken(intptr_t process, uint32 access, _Out_ intptr_t *token)'),
    ofToken: advapi.func('int __stdcall GetTokenInformation(intptr_t token, int what, _Out_ uint8_t *about, uint32 bytes, _Out_ uint32 *needed)'),
    makeFolder: kernel.func('int __stdcall CreateDirectoryW(const char16_t *path, const uint8_t *attributes)'),
    close: kernel.func('int __stdcall CloseHandle(intptr_t handle)'),
    lastError: kernel.func('uint32 __stdcall GetLastError()'),
  };
}

let loaded: ReturnType<typeof load> | undefined;
const calls = (): ReturnType<typeof load> => (loaded ??= load());

function refused(call: string): Error {
  const win32 = calls().lastError() as number;
  return Object.assign(new Error(`${nodeCodeOf(win32)}: ${call} failed with Win32 error ${win32}`), { code: nodeCodeOf(win32), win32 });
}

/** Of a file or folder; of a link its own. */
export function securityOf(path: string): Security {
  const bytes = Buffer.alloc(64 << 10);
  if ((calls().get(toNamespacedPath(path), OWNER | RIGHTS, bytes, bytes.length, [0]) as number) === 0) throw refused(`looking at the rights of ${path}`);
  return readSecurity(bytes);
}

/** Takes the place of every right that it has and inherits. */
export function setRights(path: string, rights: Buffer): void {
  if ((calls().set(toNamespacedPath(path), (RIGHTS | PROTECTED_RIGHTS) >>> 0, rights) as number) === 0) throw refused(`setting the rights of ${path}`);
}

/** With these rights from its first moment. `EEXIST` where there is one. */
export function makeFolderWithRights(path: string, rights: Buffer): void {
  const attributes = Buffer.alloc(24);
  attributes.writeUInt32LE(attributes.length, 0);
  attributes.writeBigUInt64LE(BigInt(koffi.address(rights)), 8);
  if ((calls().makeFolder(toNamespacedPath(path), attributes) as number) === 0) throw refused(`making ${path}`);
}

/** Whom this process runs as. */
export function ownAccount(): string {
  const [QUERY, USER, THIS_PROCESS] = [8, 1, -1];
  const token: [number | bigint] = [0];
  if ((calls().openToken(THIS_PROCESS, QUERY, token) as number) === 0) throw refused('OpenProcessToken');
  try {
    const about = Buffer.alloc(256);
    if ((calls().ofToken(token[0], USER, about, about.length, [0]) as number) === 0) throw refused('GetTokenInformation');
    // A pointer to the account and its attributes, and behind them the account.
    return readSid(about, 16);
  } finally {
    calls().close(token[0]);
  }
}
