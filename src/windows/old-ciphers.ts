/**
 * MD4 and RC4. OpenSSL 3 offers neither by itself, and NTLM cannot do without them (MS-NLMP 3.3.2, 3.4.3). They are here for
 * `ntlm.ts` and for nothing else.
 */

const rotate = (value: number, by: number): number => (value << by) | (value >>> (32 - by));

/** RFC 1320. */
export function md4(message: Uint8Array): Buffer {
  const length = ((message.length + 8) >>> 6) * 64 + 64;
  const padded = Buffer.alloc(length);
  padded.set(message);
  padded[message.length] = 0x80;
  padded.writeBigUInt64LE(BigInt(message.length) * 8n, length - 8);
  let state: [number, number, number, number] = [0x67452301, 0xefcdab89 | 0, 0x98badcfe | 0, 0x10325476];
  for (let at = 0; at < length; at += 64) state = md4Block(state, Array.from({ length: 16 }, (_, k) => padded.readInt32LE(at + k * 4)));
  const digest = Buffer.alloc(16);
  state.forEach((word, k) => digest.writeInt32LE(word | 0, k * 4));
  return digest;
}

const rounds: readonly { readonly mix: (x: number, y: number, z: number) => number; readonly adds: number; readonly order: readonly number[]; readonly turns: readonly number[] }[] = [
  { mix: (x, y, z) => (x & y) | (~x & z), adds: 0, order: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15], turns: [3, 7, 11, 19] },
  { mix: (x, y, z) => (x & y) | (x & z) | (y & z), adds: 0x5a827999, order: [0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15], turns: [3, 5, 9, 13] },
  { mix: (x, y, z) => x ^ y ^ z, adds: 0x6ed9eba1, order: [0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15], turns: [3, 9, 11, 15] },
];

function md4Block(state: [number, number, number, number], words: readonly number[]): [number, number, number, number] {
  let [a, b, c, d] = state;
  for (const { mix, adds, order, turns } of rounds) {
    order.forEach((word, step) => {
      const turned = rotate((a + mix(b, c, d) + words[word]! + adds) | 0, turns[step % 4]!);
      [a, b, c, d] = [d, turned, b, c];
    });
  }
  return [(state[0] + a) | 0, (state[1] + b) | 0, (state[2] + c) | 0, (state[3] + d) | 0];
}

/** A stream that goes on where its last call ended. */
export function openRc4(key: Uint8Array): (bytes: Uint8Array) => Buffer {
  const box = Uint8Array.from({ length: 256 }, (_, k) => k);
  for (let i = 0, j = 0; i < 256; i++) {
    j = (j + box[i]! + key[i % key.length]!) & 255;
    [box[i], box[j]] = [box[j]!, box[i]!];
  }
  let [i, j] = [0, 0];
  return (bytes) =>
    Buffer.from(
      bytes.map((byte) => {
        i = (i + 1) & 255;
        j = (j + box[i]!) & 255;
        [box[i], box[j]] = [box[j]!, box[i]!];
        return byte ^ box[(box[i]! + box[j]!) & 255]!;
      }),
    );
}
