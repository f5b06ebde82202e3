/**
 * A folder of an SMB 3 share as storage: each object is a file, written beside and moved into place (docs/design/smb.md).
 *
 *   put, create   write .tmp/<random>, flush, close, read back · rename without replacing (new), or replacing (replace, commit)
 *   lost in it    connect again, and see by the temporary file whether the rename was done: it is there, or the object is
 *
 * Connections are lost and come back: everything here is repeated until `retryMs` have passed, and what is repeated has the
 * same outcome as done once. A server that says no is believed at once.
 */
import { randomBytes } from 'node:crypto';
import { systemClock, type Clock } from '../../base/clock.ts';
import { objectMissing, objectShort, placeMissing, shareBusy, shareDenied, shareUnreachable, storageFailed, storageFull } from '../failures.ts';
import type { SmbLocation } from './location.ts';
import { isRefused, Refused, type Answered } from './share-lane.ts';
import { openShareLanes, type ShareLanes } from './share-lanes.ts';
import { slotBytes } from './share-memory.ts';
import { filePathOf, segmentOf } from './share-names.ts';
import { removeAbandoned, tryShare } from './share-trial.ts';
import { isLost, openShareFile, type FileSurroundings, type ShareFile } from './share-writer.ts';
import type { ShareEntry, ShareOrder } from './share-wire.ts';
import type { Storage, StorageWriter, StoredObject } from './storage.ts';

export type ShareOptions = {
  readonly create?: boolean;
  readonly clock?: Clock;
  /** How long a server may be away before what is under way fails. */
  readonly retryMs?: number;
  /** How long a file may be held open by others before it cannot be deleted or replaced. */
  readonly busyMs?: number;
  /** Of one answer. */
  readonly answerMs?: number;
  readonly connections?: number | undefined;
  /** Of a connection that nobody uses. */
  readonly idleMs?: number;
};

const temporary = '.tmp';
const readBytes = slotBytes;
const firstReadBytes = 256 << 10;

export async function openShare(location: SmbLocation, password: string, options: ShareOptions = {}): Promise<Storage> {
  const { server, port, share, user, domain, encryption, netbios } = location;
  const base = location.path.split('/').filter((segment) => segment !== '').join('/');
  const place = `smb://${server}${port === 445 ? '' : `:${port}`}/${share}${base === '' ? '' : `/${base}`}`;
  const settings = { server, port, share, user, domain, password, encryption, netbios, timeoutMs: 20_000 };
  const { answerMs = 60_000, connections = 4, idleMs = 30_000 } = options;
  const lanes = openShareLanes({ place, settings, most: connections, answerMs, idleMs });
  try {
    if (options.create === true) await makeFolders(async (order) => await lanes.ask(order), base);
    const { answer } = await lanes.ask({ do: 'stat', path: base });
    if (!answer.entry!.isFolder) throw placeMissing({ place });
    return shareStorage(lanes, place, base, options);
  } catch (error) {
    await lanes.close();
    throw isRefused(error, 'missing') ? placeMissing({ place }, error) : explained(error, place, base);
  }
}

function shareStorage(lanes: ShareLanes, place: string, base: string, options: ShareOptions): Storage {
  const { clock = systemClock, retryMs = 120_000, busyMs = 15_000 } = options;
  const at = (name: string): string => [...(base === '' ? [] : [base]), filePathOf(name)].join('/');
  const folders = new Set<string>();
  let tried: Promise<void> | undefined;

  const again = async <T>(work: () => Promise<T>, mayRepeat: (error: unknown) => boolean, ms: number): Promise<T> => {
    const until = clock.monotonicMs() + ms;
    for (let waitMs = 50; ; waitMs = Math.min(waitMs * 2, 2_000)) {
      try {
        return await work();
      } catch (error) {
        if (!mayRepeat(error) || clock.monotonicMs() + waitMs > until) throw error;
      }
      await clock.wait(waitMs);
    }
  };
  const outlast = async <T>(work: () => Promise<T>): Promise<T> => await again(work, isLost, retryMs);
  const ask = async (order: ShareOrder): Promise<Answered> => await outlast(async () => await lanes.ask(order));
  /** For what only needs that others close the file. */
  const patiently = async <T>(object: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await again(work, (error) => isRefused(error, 'busy'), busyMs);
    } catch (error) {
      throw isRefused(error, 'busy') ? shareBusy({ place, object, seconds: Math.round(busyMs / 1000) }, error) : error;
    }
  };
  const guarded = async <T>(object: string, work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw explained(error, place, object);
    }
  };
  const surroundings: FileSurroundings = { lanes, place, outlast };

  const statOf = async (path: string): Promise<ShareEntry | undefined> => (await ask({ do: 'stat', path }).catch(absent))?.answer.entry;

  const prepare = async (): Promise<void> => {
    await makeFolders(ask, at(temporary));
    const nowMs = await outlast(async () => {
      const { lane, release } = lanes.hold();
      try {
        return await tryShare(async (order, sent) => await lane.ask(order, sent), at(temporary), place);
      } finally {
        release();
      }
    });
    await removeAbandoned(ask, at(temporary), nowMs);
  };
  const begin = async (name: string): Promise<{ path: string; file: ShareFile }> => {
    tried ??= prepare();
    await tried.catch((error: unknown) => {
      tried = undefined;
      throw error;
    });
    const folder = at(name).split('/').slice(0, -1).join('/');
    if (!folders.has(folder)) await makeFolders(ask, folder);
    folders.add(folder);
    const path = at(`${temporary}/${randomBytes(12).toString('hex')}`);
    return { path, file: openShareFile(surroundings, path, name) };
  };

  /** Moves a sealed file into place. Of a rename without an answer, the temporary file tells: while it is there, it was not done. */
  const move = async (path: string, name: string, how: 'keep' | 'replace', isOurs: () => Promise<boolean>): Promise<'stored' | 'exists' | 'gone'> => {
    let isKnown = true;
    return await patiently(name, async () =>
      await outlast(async () => {
        try {
          await lanes.ask({ do: 'rename', from: path, to: at(name), how });
          return 'stored';
        } catch (error) {
          if (isLost(error)) isKnown = false;
          if (!isKnown && isRefused(error, 'exists', 'missing') && (await statOf(path)) === undefined) {
            if ((await statOf(at(name))) === undefined) return 'gone';
            return how === 'replace' || (await isOurs()) ? 'stored' : 'exists';
          }
          if (isRefused(error, 'exists') && how === 'keep') return 'exists';
          throw error;
        }
      }),
    );
  };

  const readUpTo = async (name: string, from: number, bytes: number, keep: boolean, into?: Buffer): Promise<Buffer> => await outlast(async () => await lanes.read({ path: at(name), from, bytes, keep }, into));
  const readRange = async (name: string, from: number, bytes: number, into?: Buffer): Promise<Uint8Array> => {
    if (bytes <= readBytes) {
      const body = await readUpTo(name, from, bytes, true, into);
      if (body.length < bytes) throw objectShort({ object: name, place, wanted: bytes, got: body.length });
      return body;
    }
    const parts = Array.from({ length: Math.ceil(bytes / readBytes) }, (_, k) => ({ at: k * readBytes, bytes: Math.min(readBytes, bytes - k * readBytes) }));
    const whole = Buffer.allocUnsafeSlow(bytes);
    await Promise.all(parts.map(async (part) => await readRange(name, from + part.at, part.bytes, whole.subarray(part.at, part.at + part.bytes))));
    return whole;
  };
  const readAll = async (name: string): Promise<Uint8Array> => {
    const first = await readUpTo(name, 0, firstReadBytes, false);
    if (first.length < firstReadBytes) return first;
    const bytes = (await statOf(at(name)))?.bytes ?? first.length;
    return Buffer.concat([first, await readRange(name, first.length, bytes - first.length)]);
  };

  const put = async (name: string, bytes: Uint8Array, how: 'new' | 'replace'): Promise<'stored' | 'exists'> => {
    for (;;) {
      const { path, file } = await begin(name);
      let isMoved = false;
      try {
        await file.append(bytes);
        await file.seal();
        const isOurs = async (): Promise<boolean> => Buffer.from(await readAll(name)).equals(bytes);
        const outcome = await move(path, name, how === 'new' ? 'keep' : 'replace', isOurs);
        isMoved = outcome === 'stored';
        // The server lost file and rename together: it was started again, and had not yet made them durable.
        if (outcome !== 'gone') return outcome;
      } finally {
        if (!isMoved) await file.drop();
      }
    }
  };

  const create = async (name: string): Promise<StorageWriter> => {
    const { path, file } = await begin(name);
    let isOver = false;
    return {
      append: async (bytes) => await guarded(name, async () => await file.append(bytes)),
      commit: async () =>
        await guarded(name, async () => {
          await file.seal();
          const outcome = await move(path, name, 'replace', async () => true);
          if (outcome === 'gone') throw storageFailed({ place, object: name, why: 'the server lost it when it was started again' });
          isOver = true;
        }),
      async abort() {
        if (isOver) return;
        isOver = true;
        await file.drop();
      },
    };
  };

  async function* listed(folder: string, prefix: string): AsyncIterable<StoredObject> {
    const entries = (await ask({ do: 'list', path: at(folder) }).catch(absent))?.answer.entries ?? [];
    for (const entry of entries) {
      const name = folder === '' ? segmentOf(entry.name) : `${folder}/${segmentOf(entry.name)}`;
      if (name === temporary || !name.startsWith(prefix)) continue;
      if (entry.isFolder) yield* listed(name, prefix);
      else yield { name, bytes: entry.bytes, modifiedMs: entry.modifiedMs };
    }
  }

  return {
    place,
    list: (prefix) => listed(prefix.slice(0, Math.max(0, prefix.lastIndexOf('/'))), prefix),
    stat: async (name) =>
      await guarded(name, async () => {
        const found = await statOf(at(name));
        return found === undefined || found.isFolder ? undefined : { name, bytes: found.bytes, modifiedMs: found.modifiedMs };
      }),
    read: async (name, range) => await guarded(name, async () => await patiently(name, async () => (range === undefined ? await readAll(name) : await readRange(name, range.from, range.bytes)))),
    put: async (name, bytes, how) => await guarded(name, async () => await put(name, bytes, how)),
    create: async (name) => await guarded(name, async () => await create(name)),
    delete: async (name) =>
      await guarded(name, async () => {
        await lanes.forget(at(name));
        await patiently(name, async () => await ask({ do: 'remove', path: at(name) }).catch(absent));
      }),
    freeBytes: async () => await guarded('its free space', async () => (await ask({ do: 'free' })).answer.free ?? null),
    close: async () => await lanes.close(),
  };
}

async function makeFolders(ask: (order: ShareOrder) => Promise<Answered>, path: string): Promise<void> {
  const segments = path.split('/').filter((segment) => segment !== '');
  for (let count = 1; count <= segments.length; count++) {
    await ask({ do: 'make-folder', path: segments.slice(0, count).join('/') }).catch((error: unknown) => {
      // A folder above may be one that the account may use and not change.
      if (!isRefused(error, 'exists') && !(isRefused(error, 'not-allowed') && count < segments.length)) throw error;
    });
  }
}

function absent(error: unknown): undefined {
  if (isRefused(error, 'missing')) return undefined;
  throw error;
}

function explained(error: unknown, place: string, object: string): unknown {
  if (!(error instanceof Refused)) return error;
  switch (error.refusal) {
    case 'missing':
      return objectMissing({ object, place }, error);
    case 'full':
      return storageFull({ place, object }, error);
    case 'not-allowed':
      return shareDenied({ place, object }, error);
    case 'busy':
    case 'broken':
      return shareUnreachable({ place, why: `${object}: ${error.message}` }, error);
    case 'exists':
    case 'no-library':
      return storageFailed({ place, object, why: error.message }, error);
  }
}
