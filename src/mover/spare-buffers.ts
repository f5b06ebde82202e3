/** Large buffers that are used again: making one for each piece costs more in page faults and garbage collection than sending it. */
export type SpareBuffers = {
  /** At least so many bytes; what was there before still is. */
  take(bytes: number): Buffer;
  /** Only of a buffer that nobody reads or writes any more. */
  give(buffer: Buffer): void;
};

const mostKept = 48;

export function openSpareBuffers(bufferBytes: number): SpareBuffers {
  const spare: Buffer[] = [];
  return {
    take: (bytes) => (bytes > bufferBytes ? Buffer.allocUnsafeSlow(bytes) : (spare.pop() ?? Buffer.allocUnsafeSlow(bufferBytes))),
    give(buffer) {
      if (buffer.length === bufferBytes && spare.length < mostKept) spare.push(buffer);
    },
  };
}
