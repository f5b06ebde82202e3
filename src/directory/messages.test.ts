import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { MessageParser } from 'ldapts';
import { Malformed, messageBytes, messageLength, requireMessage, resultCode } from './messages.ts';

const value = (tag: number, ...parts: (Buffer | string)[]): Buffer => {
  const content = Buffer.concat(parts.map((part) => (typeof part === 'string' ? Buffer.from(part) : part)));
  return Buffer.concat([Buffer.from([tag, 0x84, 0, 0, content.length >> 8, content.length & 0xff]), content]);
};
const number = (n: number): Buffer => Buffer.from([0x02, 1, n]);
const message = (...parts: Buffer[]): Buffer => value(0x30, number(7), ...parts);
const result = (code: number): Buffer[] => [Buffer.from([0x0a, 1, code]), value(0x04), value(0x04, 'says')];
const attribute = (...values: Buffer[]): Buffer => value(0x30, value(0x04, 'cn'), value(0x31, ...values));
const entry = (...attributes: Buffer[]): Buffer => message(value(0x64, value(0x04, 'CN=a'), value(0x30, ...attributes)));
const paged = value(0xa0, value(0x30, value(0x04, '1.2.840.113556.1.4.319'), value(0x04, value(0x30, number(0), value(0x04, 'cookie')))));

const sound: [string, Buffer][] = [
  ['a bind', message(value(0x61, ...result(49)))],
  ['an end of a search with a page control', message(value(0x65, ...result(0)), paged)],
  ['an entry', entry(attribute(value(0x04, 'a'), value(0x04)), attribute())],
  ['a reference', message(value(0x73, value(0x04, 'ldap://elsewhere')))],
  ['an answer to StartTLS', message(value(0x78, ...result(0)))],
];
for (const [what, bytes] of sound) {
  test(`${what} is handed on`, () => {
    assert.equal(messageLength(bytes, 0), bytes.length);
    requireMessage(bytes);
  });
}
test('the code of an answer is read, whatever follows it', () => assert.equal(resultCode(sound[0]![1]), 49));

const broken: [string, Buffer][] = [
  ['no message', value(0x31, number(7))],
  ['two messages as one', Buffer.concat([sound[0]![1], sound[0]![1]])],
  ['a number that is too long', value(0x30, value(0x02, 'fiver'), value(0x61, ...result(0)))],
  ['a question in place of an answer', message(value(0x63, value(0x04)))],
  ['a value that runs over its end', message(value(0x64, value(0x04, 'CN=a'), Buffer.from([0x30, 0x20, 0x04, 0x7f, 0x41])))],
  ['values that run over their set', entry(value(0x30, value(0x04, 'cn'), Buffer.from([0x31, 0x03, 0x04, 0x50, 0x41])))],
  ['an attribute that is no sequence', message(value(0x64, value(0x04, 'CN=a'), value(0x30, value(0x04, 'cn'))))],
  ['an entry that is cut off', message(value(0x64, value(0x04, 'CN=a')))],
  ['a length without an end', Buffer.from([0x30, 0x80, 0x02, 0x01, 0x07, 0, 0])],
  ['a code that is no number', message(value(0x61, value(0x04), value(0x04), value(0x04)))],
];
for (const [what, bytes] of broken) test(`${what} is refused`, () => assert.throws(() => requireMessage(bytes), Malformed));

test('a message that says it is too large is refused before it has come', () => {
  assert.throws(() => messageLength(Buffer.from([0x30, 0x84, 0x7f, 0xff, 0xff, 0xff]), 0), Malformed);
  assert.throws(() => messageLength(Buffer.from([0x30, 0x83, (messageBytes >> 16) & 0xff, 0, 1]), 0), Malformed);
  assert.equal(messageLength(Buffer.from([0x30, 0x84, 0, 0]), 0), undefined, 'its length is not all there');
});

test('no bytes that are handed on make the parser behind them wait or run without an end', () => {
  const flips = fc.array(fc.tuple(fc.nat(), fc.integer({ min: 0, max: 255 })), { maxLength: 6 });
  const mutated = fc.tuple(fc.constantFrom(...sound.map(([, bytes]) => bytes)), flips).map(([bytes, changes]) => {
    const copy = Buffer.from(bytes);
    for (const [at, byte] of changes) copy[at % copy.length] = byte;
    return copy;
  });
  fc.assert(
    fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 80 }).map((bytes) => Buffer.from(bytes))), (bytes) => {
      try {
        if (messageLength(bytes, 0) !== bytes.length) return;
        requireMessage(bytes);
      } catch (error) {
        assert.ok(error instanceof Malformed);
        return;
      }
      let said = 0;
      const parser = new MessageParser();
      parser.on('message', () => said++);
      parser.on('error', () => said++);
      parser.read(bytes, new Map());
      assert.equal(said, 1);
    }),
    { numRuns: 3_000 },
  );
});
