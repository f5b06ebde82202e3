/**
 * An object on its way onto a share: pieces of a temporary file, written with their places, several under way at once.
 *
 *   writing ── all pieces acknowledged, flushed, closed ──▶ sealed ── size, end or whole read back ──▶ checked
 *      │ ▲
 *      │ └── opened again, what no flush had covered written again
 *      └── connection lost
 *
 * A piece is kept until a flush has covered it, so a lost connection costs those pieces and no more, also where the server was
 * started again and has forgotten what it had acknowledged. If it lied about a flush, too: after a loss the whole object is read back.
 */
import { Blake3Hasher } from '@napi-rs/blake-hash';
import { isFailure } from '../../base/failure.ts';
import { readBackDiffers, shareUnreachable } from '../failures.ts';
import type { Answered, ShareLane } from './share-lane.ts';
import type { ShareLanes } from './share-lanes.ts';
import { slotBytes, type Slot } from './share-memory.ts';
import type { ShareOrder } from './share-wire.ts';

export type ShareFile = {
  /** The bytes are the caller's again when it resolves. */
  append(bytes: Uint8Array): Promise<void>;
  /** Everything is on the server's disk, as far as the server says the truth, and was read back. */
  seal(): Promise<void>;
  /** Gives its connection back; the file is removed as far as the server can be reached. */
  drop(): Promise<void>;
};

/** What a file needs of its storage. */
export type FileSurroundings = {
  readonly lanes: ShareLanes;
  readonly place: string;
  /** Repeats what failed for a lost connection, until that has lasted too long. */
  outlast<T>(work: () => Promise<T>): Promise<T>;
};

/** Most objects are small. */
const firstBytes = 64 << 10;
const underWayMost = 3;
/** As soon as so many wait for a flush, it is asked for; and no more than so many are kept. */
const flushFrom = 4;
const keptMost = 8;
/** Objects up to so much are read back whole, of others the end. */
const wholeBytes = 256 << 10;
const endBytes = 64 << 10;

/** Bytes with a place in the file. */
type Piece = { readonly from: number; readonly bytes: Buffer; readonly slot: Slot | undefined };

export function openShareFile({ lanes, place, outlast }: FileSurroundings, path: string, object: string): ShareFile {
  let held: { lane: ShareLane; release(): void } | undefined;
  let opened: Promise<number> | undefined;
  let hasLost = false;
  let isBegun = false;
  let isAcknowledged = false;
  let filling: { readonly bytes: Buffer; readonly slot: Slot | undefined } | undefined;
  let filled = 0;
  let offset = 0;
  let failed: Error | undefined;
  const underWay = new Set<Promise<void>>();
  const unflushed = new Set<Piece>();
  let flushing: Promise<void> | undefined;
  const hash = new Blake3Hasher();
  let end: Buffer = Buffer.alloc(0);

  const open = async (): Promise<{ lane: ShareLane; file: number }> => {
    if (held?.lane.isLost === true) {
      held.release();
      held = undefined;
      opened = undefined;
      hasLost ||= isBegun;
    }
    held ??= lanes.hold();
    const { lane } = held;
    // A file that was begun and whose acknowledgement was lost is there, and its name is nobody else's.
    opened ??= begin(lane).then(async (file) => {
      // A server that was started again may have forgotten what was not flushed.
      if (hasLost) for (const piece of unflushed) await lane.ask(...write(file, piece));
      return file;
    });
    return { lane, file: await opened };
  };
  const begin = async (lane: ShareLane): Promise<number> => {
    const how = isBegun ? 'write' : 'new';
    isBegun = true;
    const order: ShareOrder = { do: 'begin', path, how };
    const { answer } = await lane.ask(order).catch(async (error: unknown) => {
      if (how === 'write' && !isAcknowledged && !lane.isLost) return await lane.ask({ ...order, how: 'new' });
      throw error;
    });
    return answer.file!;
  };
  const ask = async (order: (file: number) => ShareOrder): Promise<Answered> =>
    await outlast(async () => {
      const { lane, file } = await open();
      return await lane.ask(order(file));
    });

  const send = (piece: Piece): void => {
    unflushed.add(piece);
    const sent = outlast(async () => {
      const { lane, file } = await open();
      await lane.ask(...write(file, piece));
    })
      .then(() => void (isAcknowledged = true))
      .catch((error: Error) => void (failed ??= error))
      .finally(() => underWay.delete(sent));
    underWay.add(sent);
  };
  const done = (piece: Piece): void => {
    unflushed.delete(piece);
    piece.slot?.free();
  };
  /** Others go on being written meanwhile. */
  const flush = async (): Promise<void> => {
    const covered = [...unflushed];
    await Promise.all(underWay);
    if (failed === undefined) await ask((file) => ({ do: 'flush', file })).catch((error: Error) => void (failed ??= error));
    for (const piece of covered) done(piece);
    flushing = undefined;
  };
  const sendFilled = async (): Promise<void> => {
    if (filling === undefined) return;
    const piece = { from: offset, bytes: filling.bytes.subarray(0, filled), slot: filling.slot };
    hash.update(piece.bytes);
    end = endOf(end, piece.bytes);
    offset += filled;
    filling = undefined;
    filled = 0;
    send(piece);
    if (unflushed.size >= flushFrom) flushing ??= flush();
    if (unflushed.size >= keptMost) await flushing;
    while (underWay.size >= underWayMost) await Promise.race(underWay);
  };
  const room = (bytes: number): { bytes: Buffer; slot: Slot | undefined } => {
    if (offset === 0 && bytes < slotBytes) return { bytes: Buffer.allocUnsafeSlow(Math.max(firstBytes, bytes)), slot: undefined };
    const slot = lanes.slot();
    return { bytes: slot?.bytes ?? Buffer.allocUnsafeSlow(slotBytes), slot };
  };
  const requireWhole = (): void => {
    if (failed !== undefined) throw failed;
  };

  const readBack = async (): Promise<void> => {
    const differs = (what: string): Error => readBackDiffers({ place, object, what });
    const { answer } = await lanes.ask({ do: 'stat', path });
    const bytes = answer.entry!.bytes;
    if (bytes !== offset) throw differs(`${bytes} bytes instead of ${offset}`);
    if (offset > wholeBytes && !hasLost) {
      const got = await lanes.read({ path, from: offset - end.length, bytes: end.length, keep: false });
      if (!got.equals(end)) throw differs(`its last ${end.length} bytes are others`);
      return;
    }
    const whole = new Blake3Hasher();
    for (let at = 0; at < offset; ) {
      const body = await lanes.read({ path, from: at, bytes: Math.min(slotBytes, offset - at), keep: false });
      if (body.length === 0) throw differs(`it ends after ${at} of ${offset} bytes`);
      whole.update(body);
      at += body.length;
    }
    if (whole.digest('hex') !== hash.digest('hex')) throw differs('its bytes are others');
  };

  return {
    async append(bytes) {
      requireWhole();
      for (let at = 0; at < bytes.length; ) {
        filling ??= room(bytes.length);
        const count = Math.min(filling.bytes.length - filled, bytes.length - at);
        filling.bytes.set(bytes.subarray(at, at + count), filled);
        filled += count;
        at += count;
        if (filled === filling.bytes.length) await sendFilled();
      }
      requireWhole();
    },
    async seal() {
      await sendFilled();
      await flushing;
      await Promise.all(underWay);
      requireWhole();
      await ask((file) => ({ do: 'seal', file }));
      for (const piece of unflushed) done(piece);
      await outlast(readBack);
      held?.release();
      held = undefined;
    },
    async drop() {
      failed ??= new Error(`${object} was given up`);
      await flushing;
      await Promise.all(underWay);
      filling?.slot?.free();
      filling = undefined;
      for (const piece of unflushed) done(piece);
      const file = await opened?.catch(() => undefined);
      const lane = held?.lane;
      held?.release();
      held = undefined;
      if (lane === undefined || lane.isLost || file === undefined) await lanes.ask({ do: 'remove', path }).catch(() => {});
      else await lane.ask({ do: 'drop', file, path }).catch(() => {});
    },
  };
}

function write(file: number, { from, bytes, slot }: Piece): [ShareOrder, { body?: Uint8Array; slot?: Slot | undefined }] {
  return [{ do: 'write', file, from, slot: slot?.number ?? null, bytes: bytes.length }, slot === undefined ? { body: bytes } : { slot }];
}

function endOf(before: Buffer, piece: Buffer): Buffer {
  return piece.length >= endBytes ? Buffer.from(piece.subarray(piece.length - endBytes)) : Buffer.concat([before, piece]).subarray(-endBytes);
}

/** A connection that is gone: whether the server has done what it was asked is not known. */
export function isLost(error: unknown): boolean {
  return isFailure(error, shareUnreachable);
}
