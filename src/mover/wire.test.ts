import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { encodeMessage, openParser, type Message } from './wire.ts';

const broken = { code: 'mover.message-broken' };

test('messages come out whole and in order, wherever the stream is cut', () => {
  const one = fc.record({ id: fc.nat(2 ** 40), head: fc.dictionary(fc.string(), fc.string()), body: fc.uint8Array({ maxLength: 300 }) });
  fc.assert(
    fc.property(fc.array(one, { minLength: 1, maxLength: 5 }), fc.array(fc.nat(2000), { maxLength: 20 }), (sent, cuts) => {
      const stream = Buffer.concat(sent.flatMap(({ id, head, body }) => [encodeMessage(id, 'append', head, body.length), body]));
      const got: Message[] = [];
      const parser = openParser((message) => got.push(message));
      const places = [...new Set([0, ...cuts.map((cut) => cut % stream.length), stream.length])].sort((a, b) => a - b);
      for (const [k, from] of places.slice(0, -1).entries()) parser.push(stream.subarray(from, places[k + 1]));
      const plain = (message: { id: number; head: unknown; body: Uint8Array }) => ({ id: message.id, head: JSON.stringify(message.head), body: Buffer.from(message.body).toString('hex') });
      assert.deepEqual(got.map(plain), sent.map(plain));
    }),
  );
});

test('a length that cannot be ends the channel before anything is kept for it', () => {
  const huge = encodeMessage(1, 'put', {}, 0);
  huge.writeUInt32LE(0xffffffff, 0);
  assert.throws(() => openParser(() => {}).push(huge), broken);
  const head = encodeMessage(1, 'put', {}, 0);
  head.writeUInt32LE(1 << 30, 11);
  assert.throws(() => openParser(() => {}).push(head), broken);
  assert.throws(() => openParser(() => {}, () => 4096).push(encodeMessage(1, 'hello', {}, 5000)), broken);
});

test('an unknown kind and a head that is not JSON are refused', () => {
  const kind = encodeMessage(1, 'stat', {});
  kind[10] = 99;
  assert.throws(() => openParser(() => {}).push(kind), broken);
  const text = encodeMessage(1, 'stat', {});
  text[15] = 0x21;
  assert.throws(() => openParser(() => {}).push(text), broken);
});
