import { systemClock, type Clock } from '../base/clock.ts';
import type { BandwidthLimit } from '../contract/values.ts';
import type { Storage } from '../repository/storage/storage.ts';
import { openThrottle } from './throttle.ts';

/** A share or a bucket that this host opens itself, no faster than its repository's limits: bytes of objects count, names do not. */
export function throttledStorage(inner: Storage, limits: readonly BandwidthLimit[], { clock = systemClock, stop }: { clock?: Clock; stop?: AbortSignal } = {}): Storage {
  const throttle = openThrottle(limits, clock, stop);
  return {
    ...inner,
    async read(name, range) {
      if (range !== undefined) await throttle.take(range.bytes);
      const bytes = await inner.read(name, range);
      if (range === undefined) await throttle.take(bytes.length);
      return bytes;
    },
    async put(name, bytes, how) {
      await throttle.take(bytes.length);
      return await inner.put(name, bytes, how);
    },
    async create(name) {
      const writer = await inner.create(name);
      return {
        ...writer,
        async append(bytes) {
          await throttle.take(bytes.length);
          await writer.append(bytes);
        },
      };
    },
  };
}
