/**
 * A process with one connection to a share: orders in, answers out, one at a time. It blocks while the server is at work,
 * so a pipe is all it listens to; a call that hangs is ended with the process, and so is one that crashes.
 *
 *   waiting ─ connect ─→ connected ─ order ─→ answered ─┐      pipe closed, parent gone ─→ ended
 *                            ↑                          │
 *                            └──────────────────────────┘      `broken` was answered: the parent ends it
 */
import { readSync, writeSync } from 'node:fs';
import { getSystemErrorName } from 'node:util';
import { isFailure, type Failure } from '../../base/failure.ts';
import { libraryMissing, smbCallFailed } from '../../base/failures.ts';
import { dieWithParent, mapSharedMemory } from '../../base/native.ts';
import { openSmbClient, type SmbClient, type SmbFile } from '../../base/smb-client.ts';
import { slotBytes, slotsMost } from './share-memory.ts';
import { encodeFrame, openFrames, type Refusal, type ShareAnswer, type ShareOrder } from './share-wire.ts';

const pipe = 3;
/** Of the storage; it is given as an open file. */
const sharedMemory = 4;
const keptOpenMost = 16;

/** Names of errno by what they mean here; the rest is a connection or a server in trouble. */
const meanings: Readonly<Record<string, Refusal>> = {
  ENOENT: 'missing',
  ENOTDIR: 'missing',
  ENODEV: 'missing',
  EISDIR: 'missing',
  EEXIST: 'exists',
  EBUSY: 'busy',
  ETXTBSY: 'busy',
  ENOSPC: 'full',
  EDQUOT: 'full',
  EFBIG: 'full',
  EACCES: 'not-allowed',
  EPERM: 'not-allowed',
  EROFS: 'not-allowed',
};

/** The same of NT statuses. */
const statuses: Readonly<Record<number, Refusal>> = {
  0xc0000034: 'missing',
  0xc000003a: 'missing',
  0xc0000035: 'exists',
  0xc0000043: 'busy',
  0xc0000056: 'busy',
  0xc0000054: 'busy',
  0xc000007f: 'full',
  0xc0000044: 'full',
  0xc0000022: 'not-allowed',
  0xc00000a2: 'not-allowed',
};

const statusNames: Readonly<Record<number, string>> = { 0xc0000022: 'ACCESS_DENIED', 0xc0000043: 'SHARING_VIOLATION', 0xc0000035: 'OBJECT_NAME_COLLISION', 0xc0000034: 'OBJECT_NAME_NOT_FOUND', 0xc000007f: 'DISK_FULL', 0xc0000044: 'QUOTA_EXCEEDED' };

let client: SmbClient | undefined;
const reading = new Map<string, SmbFile>();
const writing = new Map<number, SmbFile>();
let files = 0;
let buffer = Buffer.alloc(0);
let slots: Buffer | undefined;

function slotOf(number: number): Buffer {
  slots ??= mapSharedMemory(sharedMemory, slotsMost * slotBytes);
  return slots.subarray(number * slotBytes, (number + 1) * slotBytes);
}

function forget(path: string): void {
  const file = reading.get(path);
  if (file === undefined) return;
  reading.delete(path);
  client!.close(file);
}

function readingOf(path: string): SmbFile {
  const file = reading.get(path) ?? client!.open(path, 'read');
  reading.delete(path);
  reading.set(path, file);
  for (const [oldest] of reading) {
    if (reading.size <= keptOpenMost) break;
    forget(oldest);
  }
  return file;
}

function fileOf(number: number): SmbFile {
  const file = writing.get(number);
  if (file === undefined) throw smbCallFailed({ call: 'a file that is not open', errno: 9, status: 0 });
  return file;
}

function obey(order: ShareOrder, body: Buffer): { head: ShareAnswer; body?: Uint8Array } {
  if (order.do === 'connect') {
    client = openSmbClient(order.settings);
    return { head: { ok: true, version: client.version } };
  }
  const share = client!;
  switch (order.do) {
    case 'stat':
      return { head: { ok: true, entry: share.stat(order.path) } };
    case 'list':
      return { head: { ok: true, entries: share.list(order.path) } };
    case 'read': {
      if (order.slot === null && buffer.length < order.bytes) buffer = Buffer.alloc(order.bytes);
      const into = (order.slot === null ? buffer : slotOf(order.slot)).subarray(0, order.bytes);
      const file = readingOf(order.path);
      try {
        const got = share.read(file, order.from, into);
        return order.slot === null ? { head: { ok: true }, body: into.subarray(0, got) } : { head: { ok: true, got } };
      } finally {
        if (!order.keep) forget(order.path);
      }
    }
    case 'forget':
      for (const path of order.path === null ? [...reading.keys()] : [order.path]) forget(path);
      return { head: { ok: true } };
    case 'begin': {
      const file = share.open(order.path, order.how);
      writing.set(++files, file);
      return { head: { ok: true, file: files } };
    }
    case 'write':
      share.write(fileOf(order.file), order.from, order.slot === null ? body : slotOf(order.slot).subarray(0, order.bytes));
      return { head: { ok: true } };
    case 'flush':
      share.flush(fileOf(order.file));
      return { head: { ok: true } };
    case 'seal': {
      const file = fileOf(order.file);
      share.flush(file);
      writing.delete(order.file);
      share.close(file);
      return { head: { ok: true } };
    }
    case 'drop': {
      const file = writing.get(order.file);
      writing.delete(order.file);
      if (file !== undefined) share.close(file);
      share.remove(order.path);
      return { head: { ok: true } };
    }
    case 'rename':
      share.rename(order.from, order.to, order.how);
      return { head: { ok: true } };
    case 'make-folder':
      share.makeFolder(order.path);
      return { head: { ok: true } };
    case 'remove':
      share.remove(order.path);
      return { head: { ok: true } };
    case 'free':
      return { head: { ok: true, free: share.freeBytes() } };
  }
}

function answer(order: ShareOrder, body: Buffer): { head: ShareAnswer; body?: Uint8Array } {
  try {
    return obey(order, body);
  } catch (error) {
    if (isFailure(error, libraryMissing)) return { head: { ok: false, refusal: 'no-library', why: String(error.details['why']) } };
    if (!isFailure(error, smbCallFailed)) return { head: { ok: false, refusal: 'broken', why: error instanceof Error ? error.message : String(error) } };
    return { head: { ok: false, ...refusalOf(error, order) } };
  }
}

function refusalOf(error: Failure, order: ShareOrder): { refusal: Refusal; why: string } {
  const { call, errno, status } = error.details as CallDetails;
  const name = status === 0 ? getSystemErrorName(-errno) : (statusNames[status] ?? `0x${status.toString(16)}`);
  const refusal = meaningOf(error.details);
  const why = `${call}: ${name}`;
  // The library says "no such file" of a server that it could not ask, too.
  return refusal === 'missing' && order.do !== 'connect' && !isAlive() ? { refusal: 'broken', why: `${why}, and the share cannot be asked` } : { refusal, why };
}

type CallDetails = { readonly call: string; readonly errno: number; readonly status: number };

function meaningOf(details: Record<string, unknown>): Refusal {
  const { errno, status } = details as CallDetails;
  return (status === 0 ? meanings[getSystemErrorName(-errno)] : statuses[status]) ?? 'broken';
}

function isAlive(): boolean {
  try {
    client!.stat('');
  } catch (error) {
    if (!isFailure(error, smbCallFailed) || meaningOf(error.details) === 'broken') return false;
  }
  return client!.isWhole();
}

function say(bytes: Uint8Array): void {
  for (let done = 0; done < bytes.length; ) done += writeSync(pipe, bytes, done, bytes.length - done);
}

dieWithParent(9);
const take = openFrames<ShareOrder>((order, body) => {
  const { head, body: answered } = answer(order, body);
  say(encodeFrame(head, answered));
  if (answered !== undefined) say(answered);
});
const heard = Buffer.alloc(1 << 20);
for (let got = readSync(pipe, heard); got > 0; got = readSync(pipe, heard)) take(heard.subarray(0, got));
