/**
 * Large buffers that are used again: making one for each piece costs more in page faults and garbage collection than sending
 * it. Those that nobody took for some seconds are given back: a session may be open for months and busy for minutes.
 */
export type SpareBuffers = {
  /** At least so many bytes; what was there before still is. */
  take(bytes: number): Buffer;
  /** Only of a buffer that nobody reads or writes any more. */
  give(buffer: Buffer): void;
  /** How many are held now. */
  readonly kept: number;
};

const mostKept = 48;
const usualIdleMs = 5_000;

export function openSpareBuffers(bufferBytes: number, idleMs = usualIdleMs): SpareBuffers {
  const spare: Buffer[] = [];
  const idle = setTimeout(() => {
    spare.length = 0;
    // Without work nothing would be collected: the memory outside the heap does not press.
    globalThis.gc?.();
  }, idleMs).unref();
  return {
    take: (bytes) => (bytes > bufferBytes ? Buffer.allocUnsafeSlow(bytes) : (spare.pop() ?? Buffer.allocUnsafeSlow(bufferBytes))),
    give(buffer) {
      if (buffer.length === bufferBytes && spare.length < mostKept) spare.push(buffer);
      idle.refresh();
    },
    get kept() {
      return spare.length;
    },
  };
}
