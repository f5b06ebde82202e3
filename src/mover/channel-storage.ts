/**
 * An archive on another host, as storage.
 *
 * Pieces of an object are acknowledged behind the caller's back: `append` takes a copy and resolves while there is room
 * in the window, and what fails is told by the next call on that object. `commit` is what makes it durable.
 */
import { systemClock, type Clock } from '../base/clock.ts';
import type { LinkIdentity } from '../contract/link/trust.ts';
import type { ChannelLocation } from '../contract/values.ts';
import type { Storage, StorageWriter } from '../repository/storage/storage.ts';
import { openRequests, type RequestOptions } from './requests.ts';
import { sessionKeptMs } from './serve-archive.ts';
import type { AskPace } from './paces.ts';
import { openSpareBuffers } from './spare-buffers.ts';
import { openThrottle } from './throttle.ts';
import { headroomBytes, pieceBytes, type Message } from './wire.ts';

export type ChannelStorage = Storage & {
  readonly appendOnly: true;
  /** Of bodies, those sent again included. */
  readonly sentBytes: number;
  close(): Promise<void>;
};

export type ChannelOptions = { readonly clock?: Clock; readonly pace?: AskPace | undefined } & Partial<Pick<RequestOptions, 'reachMs' | 'keptMs' | 'answerMs' | 'windowBytes' | 'stop'>>;

const namesAtOnce = 500;
const readBytes = 2 << 20;
/** Copied into memory of their own size. */
const smallBytes = 64 << 10;

export async function openChannelStorage(location: ChannelLocation, identity: () => Promise<LinkIdentity>, options: ChannelOptions = {}): Promise<ChannelStorage> {
  const clock = options.clock ?? systemClock;
  const throttle = openThrottle(location.limits, clock, { pace: options.pace });
  const requests = openRequests({ reachMs: 30_000, keptMs: sessionKeptMs, answerMs: 120_000, windowBytes: 4 << 20, ...options, location, identity, clock, throttle });
  await requests.reached;
  const spares = openSpareBuffers(pieceBytes + headroomBytes);
  let objects = 0;
  let retains: boolean | undefined;

  const bodyOf = (bytes: Uint8Array, carrier: Buffer): { carrier: Buffer; bytes: number } => {
    carrier.set(bytes, headroomBytes);
    return { carrier, bytes: bytes.length };
  };

  const readRange = async (name: string, from: number, bytes: number): Promise<Uint8Array> => {
    await requests.room();
    const { parts } = await requests.ask({ kind: 'read', head: { name, range: { from, bytes } }, brings: bytes });
    return joined(parts);
  };

  const create = async (name: string): Promise<StorageWriter> => {
    const object = ++objects;
    await requests.ask({ kind: 'create', head: { name, object }, object });
    const under = new Set<Promise<unknown>>();
    let offset = 0;
    let failed: Error | undefined;
    let isOver = false;
    const requireWhole = (): void => {
      if (failed !== undefined) throw failed;
    };
    const send = async (piece: Uint8Array, at: number): Promise<void> => {
      const carrier = piece.length < smallBytes ? Buffer.allocUnsafe(headroomBytes + piece.length) : spares.take(headroomBytes + piece.length);
      const { wasSentOnce } = await requests.ask({ kind: 'append', head: { object, offset: at }, body: bodyOf(piece, carrier), object });
      if (wasSentOnce) spares.give(carrier);
    };
    return {
      async append(bytes) {
        for (let at = 0; at < bytes.length; at += pieceBytes) {
          await requests.room();
          requireWhole();
          const piece = bytes.subarray(at, at + pieceBytes);
          const sent = send(piece, offset).catch((error: Error) => (failed ??= error));
          offset += piece.length;
          under.add(sent);
          void sent.finally(() => under.delete(sent));
        }
      },
      async commit() {
        await Promise.all(under);
        requireWhole();
        await requests.ask({ kind: 'commit', head: { object }, object });
        isOver = true;
      },
      async abort() {
        if (isOver) return;
        isOver = true;
        await Promise.all(under);
        // What cannot be told to the other side ends there with the session.
        await requests.ask({ kind: 'abort', head: { object }, object }).catch(() => {});
      },
    };
  };

  return {
    place: `${location.name} (${location.host})`,
    appendOnly: true,
    get sentBytes() {
      return requests.sentBytes;
    },
    async *list(prefix) {
      const { parts } = await requests.ask({ kind: 'list', head: { prefix } });
      for (const { head } of parts) yield* (head as { objects: { name: string; bytes: number; modifiedMs: number }[] }).objects;
    },
    async stat(name) {
      const { head } = await requests.ask({ kind: 'stat', head: { name } });
      return head.object ?? undefined;
    },
    async read(name, range) {
      if (range === undefined) return joined((await requests.ask({ kind: 'read', head: { name } })).parts);
      if (range.bytes <= readBytes) return await readRange(name, range.from, range.bytes);
      const ranges = Array.from({ length: Math.ceil(range.bytes / readBytes) }, (_, k) => ({ from: range.from + k * readBytes, bytes: Math.min(readBytes, range.bytes - k * readBytes) }));
      return Buffer.concat(await Promise.all(ranges.map(async ({ from, bytes }) => await readRange(name, from, bytes))));
    },
    async put(name, bytes, how) {
      await requests.room();
      const { head } = await requests.ask({ kind: 'put', head: { name, how }, body: bodyOf(bytes, Buffer.allocUnsafe(headroomBytes + bytes.length)) });
      return head.outcome;
    },
    create,
    retention: {
      async retain(names) {
        retains ??= (await requests.ask({ kind: 'free', head: {} })).head.retains;
        if (!retains) return;
        for (let at = 0; at < names.length; at += namesAtOnce) await requests.ask({ kind: 'retain', head: { names: names.slice(at, at + namesAtOnce) } });
      },
    },
    async delete(name) {
      await requests.ask({ kind: 'take-back', head: { name } });
    },
    async freeBytes() {
      return (await requests.ask({ kind: 'free', head: {} })).head.bytes;
    },
    close: async () => requests.close(),
  };
}

function joined(parts: readonly Message[]): Buffer {
  return parts.length === 1 ? parts[0]!.body : Buffer.concat(parts.map(({ body }) => body));
}
