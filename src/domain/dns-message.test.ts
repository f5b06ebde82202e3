import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decodeResponse, encodeQuestion, nameOfCode } from './dns-message.ts';

const hex = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text.replace(/\s+/g, ''), 'hex'));
/** `db1.comp.test`, at offset 12. */
const name = '03646231 04636f6d70 0474657374 00';

test('a question is what a host\'s own resolver would send', () => {
  assert.deepEqual(encodeQuestion(0x1234, { name: 'db1.comp.test.', type: 'AAAA' }), hex(`1234 0100 0001 0000 0000 0000 ${name} 001c 0001`));
  for (const impossible of ['', '.', 'a..b', `${'a'.repeat(64)}.test`, Array.from({ length: 60 }, () => 'abcd').join('.')]) assert.equal(encodeQuestion(1, { name: impossible, type: 'A' }), undefined, impossible);
});

test('answers of every kind are read, with names that lead back to earlier ones', () => {
  const answers = [
    'c00c 0005 0001 0000003c 0006 03616c6c c010', // CNAME all.comp.test
    'c02b 0001 0001 00000e10 0004 0a4d000b',
    'c02b 001c 0001 00000e10 0010 fd000000000000000000000000000011',
    'c00c 000c 0001 00000000 0002 c00c',
    'c00c 0021 0001 00000001 0008 0001 0002 6989 c00c',
    'c00c 0010 0001 00000001 000a 02613d 06 31 26 1b 62 5c 7a',
    'c00c 0029 0001 00000001 0000', // a type that nobody asked about
  ];
  const message = decodeResponse(hex(`1234 8580 0001 0007 0000 0000 ${name} 0001 0001 ${answers.join(' ')}`));
  assert.deepEqual(message, {
    id: 0x1234,
    question: { name: 'db1.comp.test', type: 1 },
    isCutShort: false,
    code: 0,
    answers: [
      { name: 'db1.comp.test', type: 'CNAME', ttlSeconds: 60, value: 'all.comp.test' },
      { name: 'all.comp.test', type: 'A', ttlSeconds: 3600, value: '10.77.0.11' },
      { name: 'all.comp.test', type: 'AAAA', ttlSeconds: 3600, value: 'fd00::11' },
      { name: 'db1.comp.test', type: 'PTR', ttlSeconds: 0, value: 'db1.comp.test' },
      { name: 'db1.comp.test', type: 'SRV', ttlSeconds: 1, value: '1 2 27017 db1.comp.test' },
      { name: 'db1.comp.test', type: 'TXT', ttlSeconds: 1, value: 'a=1&\\027b\\z' },
    ],
  });
});

test('a message that was cut short is known although it ends in the middle, and a refusal has its name', () => {
  const cut = decodeResponse(hex(`0001 8380 0001 0028 0000 0000 ${name} 0001 0001 c00c 0001 0001 00`));
  assert.deepEqual([cut?.isCutShort, cut?.answers], [true, []]);
  assert.equal(nameOfCode(decodeResponse(hex(`0001 8185 0001 0000 0000 0000 ${name} 0001 0001`))!.code), 'REFUSED');
  assert.equal(nameOfCode(11), 'code 11');
});

const pointerTo = (place: number): string => (0xc000 + place).toString(16);
/** 200 of them from byte 28 on, each leading to the one before. */
const pointers = Array.from({ length: 200 }, (_, n) => pointerTo(n === 0 ? 12 : 26 + 2 * n)).join(' ');
const refused: [string, string][] = [
  ['a question', `0001 0100 0001 0000 0000 0000 ${name} 0001 0001`],
  ['a message that ends too early', `0001 8180 0001 0001 0000 0000 ${name} 0001 0001 c00c 0001 0001 00000e10 0004 0a4d`],
  ['a pointer to itself', '0001 8180 0001 0000 0000 0000 c00c 0001 0001'],
  ['a pointer forward', '0001 8180 0001 0000 0000 0000 c0ff 0001 0001'],
  ['two pointers in a circle', '0001 8180 0001 0000 0000 0000 c00e c00c 0001 0001'],
  ['a record whose name is at the end of a long chain of pointers', `0001 8180 0001 0002 0000 0000 00 0001 0001 00 00ff 0001 00000000 0190 ${pointers} ${pointerTo(28 + 2 * 199)} 0001 0001 00000000 0004 0a4d0001`],
  ['a label of an unknown kind', '0001 8180 0001 0000 0000 0000 80 0001 0001'],
  ['a name of 300 bytes', `0001 8180 0001 0000 0000 0000 ${'0461626364'.repeat(60)} 00 0001 0001`],
];
for (const [what, message] of refused) test(`${what} is no response`, () => assert.equal(decodeResponse(hex(message)), undefined));

test('orders for a terminal in a name are shown as numbers', () => {
  const message = decodeResponse(hex('0001 8180 0001 0001 0000 0000 0161 00 000c 0001 c00c 000c 0001 00000000 0008 06 1b 5b 32 4a 2e 5c 00'));
  assert.equal(message?.answers[0]?.value, '\\027\\0912J\\046\\092');
});

test('whatever bytes come, they are read or refused, and what is shown is printable', () => {
  const start = hex(`0001 8180 0001 0003 0000 0000 ${name} 0001 0001`);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 600 }), fc.boolean(), (bytes, isResponse) => {
      const message = decodeResponse(isResponse ? Uint8Array.from([...start, ...bytes]) : bytes);
      for (const record of message?.answers ?? []) assert.match(`${record.name}${record.value}`, /^[\x20-\x7e]*$/);
    }),
    { numRuns: 2_000 },
  );
});
