import { systemClock, type Clock } from '../base/clock.ts';
import type { HeldLimit } from '../contract/values.ts';
import type { Storage } from '../repository/storage/storage.ts';
import type { AskPace } from './paces.ts';
import { openThrottle } from './throttle.ts';

/** A share or a bucket that this host opens itself, no faster than its limits: bytes of objects count, names do not. */
export function throttledStorage(inner: Storage, limits: readonly HeldLimit[], { clock = systemClock, stop, pace }: { clock?: Clock; stop?: AbortSignal | undefined; pace?: AskPace | undefined } = {}): Storage {
  const throttle = openThrottle(limits, clock, { signal: stop, pace });
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
