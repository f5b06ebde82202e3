/**
 * Memory that a storage and its share children have in common, in slots of one piece each: what is written is put together
 * in it, and what is read arrives in it, without going through a pipe.
 *
 *   free ── take ──▶ ours ── order ──▶ a child's, too ── answer ──▶ ours ── free ──▶ free
 *                                           └── child lost ──▶ ours, and not free before the process is gone
 *
 * A child that is being killed may still send what lies in a slot: with other bytes in it, it would write those. Where no slot is
 * free, bytes go through the pipe.
 */
import { closeSync } from 'node:fs';
import { makeSharedMemory, mapSharedMemory } from '../../base/native.ts';

export const slotBytes = 4 << 20;
/** What of it is in use is touched, and takes room. */
export const slotsMost = 24;

/** As a process: what it was sent and did not answer it may still use until it has ended. */
export type SlotUser = { readonly ended: Promise<void> };

export type Slot = {
  readonly number: number;
  readonly bytes: Buffer;
  readonly users: Set<SlotUser>;
  free(): void;
};

export type ShareMemory = {
  readonly fd: number;
  take(): Slot | undefined;
  /** Slots that are held stay readable. */
  close(): void;
};

export function openShareMemory(): ShareMemory {
  const fd = makeSharedMemory(slotsMost * slotBytes);
  const all = mapSharedMemory(fd, slotsMost * slotBytes);
  // The last one given back is the first one taken: few are ever touched.
  const spare = Array.from({ length: slotsMost }, (_, k) => slotsMost - 1 - k);
  return {
    fd,
    take() {
      const number = spare.pop();
      if (number === undefined) return undefined;
      const users = new Set<SlotUser>();
      let isFree = false;
      return {
        number,
        bytes: all.subarray(number * slotBytes, (number + 1) * slotBytes),
        users,
        free() {
          if (isFree) return;
          isFree = true;
          if (users.size === 0) spare.push(number);
          else void Promise.all([...users].map(async ({ ended }) => await ended)).then(() => spare.push(number));
        },
      };
    },
    close: () => closeSync(fd),
  };
}
