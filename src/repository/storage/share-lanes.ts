/**
 * The connections of one storage to its share: a first one for all, more of them while several orders wait, and none while
 * nobody asks anything. Each is a process; each is given back when it was idle for half a minute.
 */
import type { SmbSettings } from '../../base/smb-client.ts';
import { openShareLane, type Answered, type ShareLane } from './share-lane.ts';
import { openShareMemory, slotBytes, type ShareMemory, type Slot } from './share-memory.ts';
import type { ShareOrder } from './share-wire.ts';

export type LanesOptions = { readonly place: string; readonly settings: SmbSettings; readonly most: number; readonly answerMs: number; readonly idleMs: number };

export type ShareLanes = {
  ask(order: ShareOrder): Promise<Answered>;
  /** Up to so many bytes, in memory of their own or in the caller's. */
  read(order: ReadOrder, into?: Buffer): Promise<Buffer>;
  /** A place for a piece that is written, where one is free. */
  slot(): Slot | undefined;
  /** A lane for a file that is written: it is not given back before `release`. */
  hold(): { readonly lane: ShareLane; release(): void };
  /** Closes a file that any lane keeps open for reading. */
  forget(path: string): Promise<void>;
  close(): Promise<void>;
};

export type ReadOrder = Omit<Extract<ShareOrder, { do: 'read' }>, 'do' | 'slot'>;

type Open = { readonly lane: ShareLane; holds: number; idle: NodeJS.Timeout | undefined };

/** Less goes through the pipe. */
const slotFrom = 32 << 10;
/** Files that were read are closed after so long, so that they can be deleted. */
const keptOpenMs = 2_000;

export function openShareLanes({ place, settings, most, answerMs, idleMs }: LanesOptions): ShareLanes {
  const lanes = new Set<Open>();
  const ends = new Set<Promise<void>>();
  let memory: ShareMemory | undefined;
  const shared = (): ShareMemory => (memory ??= openShareMemory());
  let isClosed = false;

  const start = (): Open => {
    const lane = openShareLane({ place, memory: shared().fd, settings, answerMs });
    const open: Open = { lane, holds: 0, idle: undefined };
    lanes.add(open);
    const end = lane.ended.then(() => {
      clearTimeout(open.idle);
      lanes.delete(open);
      ends.delete(end);
    });
    ends.add(end);
    return open;
  };

  const pick = (order?: ShareOrder): Open => {
    const live = [...lanes].filter(({ lane }) => !lane.isLost);
    const same = order?.do === 'read' ? live.find(({ lane }) => lane.reading.has(order.path) && lane.pending < 2) : undefined;
    if (same !== undefined) return same;
    let best: Open | undefined;
    for (const one of live) if (best === undefined || one.lane.pending + one.holds < best.lane.pending + best.holds) best = one;
    if (best !== undefined && (live.length >= most || best.lane.pending + best.holds === 0)) return best;
    return start();
  };

  /** Its read files first, then itself. */
  const rest = (open: Open): void => {
    clearTimeout(open.idle);
    if (open.holds > 0 || open.lane.pending > 0 || open.lane.isLost) return;
    open.idle = setTimeout(() => {
      if (open.lane.pending > 0 || open.holds > 0) return;
      if (open.lane.reading.size > 0) open.lane.ask({ do: 'forget', path: null }).catch(() => {});
      open.idle = setTimeout(() => {
        if (open.lane.pending === 0 && open.holds === 0) open.lane.end('it was idle');
      }, idleMs);
      open.idle.unref();
    }, keptOpenMs);
    open.idle.unref();
  };

  const ask = async (order: ShareOrder, slot?: Slot): Promise<Answered> => {
    if (isClosed) throw new Error(`${place} is closed`);
    const open = pick(order);
    try {
      return await open.lane.ask(order, { slot });
    } finally {
      rest(open);
    }
  };

  return {
    ask,
    async read(order, into) {
      const slot = order.bytes < slotFrom || order.bytes > slotBytes ? undefined : shared().take();
      try {
        const { answer, body } = await ask({ do: 'read', ...order, slot: slot?.number ?? null }, slot);
        if (slot === undefined && into === undefined) return body;
        const got = slot === undefined ? body : slot.bytes.subarray(0, answer.got!);
        const own = into ?? Buffer.allocUnsafeSlow(got.length);
        got.copy(own);
        return own.subarray(0, got.length);
      } finally {
        slot?.free();
      }
    },
    slot: () => shared().take(),
    hold() {
      const open = pick();
      open.holds += 1;
      let isHeld = true;
      return {
        lane: open.lane,
        release() {
          if (!isHeld) return;
          isHeld = false;
          open.holds -= 1;
          rest(open);
        },
      };
    },
    async forget(path) {
      await Promise.allSettled([...lanes].filter(({ lane }) => !lane.isLost && lane.reading.has(path)).map(async ({ lane }) => await lane.ask({ do: 'forget', path })));
    },
    async close() {
      isClosed = true;
      for (const { lane } of lanes) lane.end('it was closed');
      await Promise.all(ends);
      memory?.close();
      memory = undefined;
    },
  };
}
