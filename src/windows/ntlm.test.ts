import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Malformed } from './ndr.ts';
import { authenticate, negotiateMessage, openSealing, proofOf, readChallenge } from './ntlm.ts';
import { md4, openRc4 } from './old-ciphers.ts';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(/\s/g, ''), 'hex');

test('MD4 gives the digests of RFC 1320', () => {
  const digests: readonly (readonly [string, string])[] = [
    ['', '31d6cfe0d16ae931b73c59d7e0c089c0'],
    ['abc', 'a448017aaf21d8525fc10ae87aa6729d'],
    ['abcdefghijklmnopqrstuvwxyz', 'd79e1c308aa5bbcdeea8ed63df412da9'],
    ['12345678901234567890123456789012345678901234567890123456789012345678901234567890', 'e33b4ddc9c38f2199c3e7b164fcc0536'],
  ];
  for (const [text, digest] of digests) assert.equal(md4(Buffer.from(text)).toString('hex'), digest);
});

test('RC4 gives the stream of RFC 6229, also when it is asked for in parts', () => {
  const cipher = openRc4(hex('0102030405060708090a0b0c0d0e0f10'));
  const stream = Buffer.concat([cipher(Buffer.alloc(5)), cipher(Buffer.alloc(27))]);
  assert.equal(stream.toString('hex'), '9ac7cc9a609d1ef7b2932899cde41b975248c4959014126a6e8a84f11d1a9e1c');
});

/** MS-NLMP 4.2.1 and 4.2.4. */
const account = { user: 'User', domain: 'Domain', password: 'Password' };
const serverChallenge = hex('0123456789abcdef');
const clientChallenge = hex('aaaaaaaaaaaaaaaa');
const exportedKey = hex('55555555555555555555555555555555');
const description = hex('02000c0044006f006d00610069006e00 01000c005300650072007600650072 00 00000000');

test('the proof of NTLMv2 is the one of MS-NLMP 4.2.4', () => {
  const { ntResponse, lmResponse, baseKey } = proofOf(account, serverChallenge, clientChallenge, Buffer.alloc(8), description);
  assert.equal(ntResponse.subarray(0, 16).toString('hex'), '68cd0ab851e51c96aabc927bebef6a1c');
  assert.equal(lmResponse.toString('hex'), '86c35097ac9cec102554764a57cccc19aaaaaaaaaaaaaaaa');
  assert.equal(baseKey.toString('hex'), '8de40ccadbc14a82f15cb0ad0de95ca3');
  assert.equal(openRc4(baseKey)(exportedKey).toString('hex'), 'c5dad2544fc9799094ce1ce90bc9d03e');
});

test('a message is sealed and signed as in MS-NLMP 4.2.4.4, and the other side opens it', () => {
  const plain = Buffer.from('Plaintext', 'utf16le');
  const { sealed, signature } = openSealing(exportedKey).seal(plain, plain);
  assert.equal(sealed.toString('hex'), '54e50165bf1936dc996020c1811b0f06fb5f');
  assert.equal(signature.toString('hex'), '010000007fb38ec5c55d497600000000');
  assert.deepEqual(openSealing(exportedKey, 'server').open(sealed, signature, (opened) => opened), plain);
});

test('a message with one bit changed, one sent again and one left out are not opened', () => {
  const from = openSealing(exportedKey);
  const messages = ['first', 'second'].map((text) => from.seal(Buffer.from(text), Buffer.from(text)));
  const open = (to: ReturnType<typeof openSealing>, n: number, turn = 0) => to.open(Buffer.from(messages[n]!.sealed.map((byte, k) => (k === 0 ? byte ^ turn : byte))), messages[n]!.signature, (opened) => opened);
  assert.equal(open(openSealing(exportedKey, 'server'), 0, 1), undefined);
  assert.equal(open(openSealing(exportedKey, 'server'), 1), undefined, 'the first was left out');
  const twice = openSealing(exportedKey, 'server');
  assert.equal(open(twice, 0)?.toString(), 'first');
  assert.equal(open(twice, 0), undefined, 'sent again');
});

function challengeWith(flags: number, info = description): Buffer {
  const message = Buffer.alloc(48);
  message.write('NTLMSSP\0', 'latin1');
  message.writeUInt32LE(2, 8);
  message.writeUInt32LE(flags >>> 0, 20);
  serverChallenge.copy(message, 24);
  message.writeUInt16LE(info.length, 40);
  message.writeUInt32LE(48, 44);
  return Buffer.concat([message, info]);
}

const allFlags = 0xe28a8235 | 0x20;

test('an answer to a challenge names the target, and its code covers all three messages', () => {
  const negotiate = negotiateMessage();
  const challenge = readChallenge(challengeWith(allFlags));
  const { message } = authenticate(account, negotiate, challenge, { target: 'host/win1', nowMs: 0, chance: { clientChallenge, exportedKey } });
  assert.ok(message.includes(Buffer.from('host/win1', 'utf16le')));
  const other = authenticate(account, Buffer.from(negotiate.map((byte, k) => (k === 12 ? byte ^ 1 : byte))), challenge, { target: 'host/win1', nowMs: 0, chance: { clientChallenge, exportedKey } });
  assert.notDeepEqual(message.subarray(72, 88), other.message.subarray(72, 88));
  assert.deepEqual(message.subarray(88), other.message.subarray(88), 'nothing but the code differs');
  assert.ok(!message.includes(Buffer.from('Password', 'utf16le')) && !message.includes(md4(Buffer.from('Password', 'utf16le'))));
});

test('a challenge that leaves out any protection is refused', () => {
  for (const [what, bit] of Object.entries({ 'extended session security': 0x80000, signing: 0x10, sealing: 0x20, 'a key exchange': 0x40000000, '128 bits': 0x20000000, 'its description': 0x800000 })) {
    assert.throws(() => readChallenge(challengeWith(allFlags & ~bit)), (error) => error instanceof Malformed && error.message.includes(what), what);
  }
  assert.throws(() => readChallenge(challengeWith(allFlags, description.subarray(0, -4))), Malformed, 'without an end');
});
