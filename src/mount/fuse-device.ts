/**
 * /dev/fuse: requests come out of it, answers go into it.
 *
 * Several reads wait at the same time, each on a thread of Node's pool, so that the next request is fetched while one is
 * being served. A buffer is used again as soon as its request no longer needs it.
 *
 *   reading ─ ENODEV (unmounted) | ECONNABORTED (broken off) ─→ ended
 */
import { close, open, read, writevSync } from 'node:fs';
import { promisify } from 'node:util';
import { errors, layouts, operations } from './protocol.ts';

export type FuseRequest = {
  readonly operation: number;
  readonly node: number;
  readonly uid: number;
  readonly gid: number;
  /** What follows the header. Valid until the answer is there. */
  readonly body: Buffer;
};

/** Parts of an answer in order, an errno, or nothing at all for the operations that take no answer. */
export type FuseAnswer = readonly Uint8Array[] | number | 'none';

export const maxWriteBytes = 1 << 20;

const headerBytes = layouts.requestHeader.bytes;
const bufferBytes = maxWriteBytes + 4096;

export async function openFuseDevice(path: string): Promise<number> {
  return await promisify(open)(path, 'r+');
}

/** Serves until the file system is unmounted. Closes the device. */
export async function serveRequests(fd: number, handle: (request: FuseRequest) => FuseAnswer | Promise<FuseAnswer>, readsInFlight: number): Promise<void> {
  const loops = Array.from({ length: readsInFlight }, async () => await serveOneByOne(fd, handle));
  await Promise.all(loops);
  await promisify(close)(fd);
}

async function serveOneByOne(fd: number, handle: (request: FuseRequest) => FuseAnswer | Promise<FuseAnswer>): Promise<void> {
  let buffer = Buffer.allocUnsafeSlow(bufferBytes);
  for (;;) {
    const got = await nextRequest(fd, buffer);
    if (got === undefined) return;
    const header = layouts.requestHeader.read(buffer);
    const request = { operation: header.operation, node: header.node, uid: header.uid, gid: header.gid, body: buffer.subarray(headerBytes, got) };
    const unique = Buffer.from(buffer.subarray(8, 16));
    const answer = handle(request);
    if (!(answer instanceof Promise)) {
      send(fd, unique, answer);
      continue;
    }
    const sent = answer.then((late) => send(fd, unique, late));
    // Reads take what they need out of the buffer before they wait; a write's bytes are in it until they are kept.
    if (header.operation === operations.write) await sent;
  }
}

/** The bytes of the next request, or undefined when there will be no more. */
async function nextRequest(fd: number, buffer: Buffer): Promise<number | undefined> {
  for (;;) {
    const { error, bytes } = await new Promise<{ error: NodeJS.ErrnoException | null; bytes: number }>((resolve) =>
      read(fd, buffer, 0, buffer.length, null, (failed, got) => resolve({ error: failed, bytes: got })),
    );
    if (error === null) return bytes;
    // ENOENT: the request was interrupted while it waited in the queue.
    if (error.code === 'ENOENT' || error.code === 'EINTR' || error.code === 'EAGAIN') continue;
    if (error.code === 'ENODEV' || error.code === 'ECONNABORTED') return undefined;
    throw error;
  }
}

function send(fd: number, unique: Buffer, answer: FuseAnswer): void {
  if (answer === 'none') return;
  const parts = typeof answer === 'number' ? [] : answer;
  const bytes = parts.reduce((sum, part) => sum + part.length, layouts.answerHeader.bytes);
  const header = Buffer.allocUnsafe(layouts.answerHeader.bytes);
  header.writeUInt32LE(bytes, 0);
  header.writeInt32LE(typeof answer === 'number' ? -answer : 0, 4);
  unique.copy(header, 8);
  try {
    writevSync(fd, [header, ...parts]);
  } catch (error) {
    // ENOENT: nobody waits for this answer any more. ENODEV and EPERM: the mount has ended meanwhile.
    const errno = -((error as NodeJS.ErrnoException).errno ?? 0);
    if (errno !== errors.ENOENT && errno !== errors.ENODEV && errno !== errors.EPERM) throw error;
  }
}
