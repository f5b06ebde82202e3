import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openPasswordHashes, weakness } from './passwords.ts';

const cheap = { log2N: 4, r: 1, p: 1 };

const refused: [password: string, says: RegExp][] = [
  ['short words', /11 characters/],
  ['anna-has-a-cat', /name of the user/],
  ['abcabcabcabcabc', /one piece repeated/],
  ['aabbaabbabababba', /5 different/],
  ['Password12345', /everybody tries first/],
  ['qwertyuiop123', /everybody tries first/],
  ['P@ssw0rd!2026', /everybody tries first/],
  ['Tidemark-2026', /everybody tries first/],
  ['abcdefghijklmn', /everybody tries first/],
  ['9876543210abcd', /everybody tries first/],
  ['x'.repeat(129), /more than 128/],
];
for (const [password, says] of refused) test(`"${password.slice(0, 20)}" is no password for anna`, () => assert.match(weakness(password, 'anna') ?? '', says));

for (const password of ['violet lantern barge', 'kJ8#mZ2!pQx4', 'drei kühle Birnen im Keller', '密码密码是一句很长的话吗对的']) {
  test(`"${password}" is one`, () => assert.equal(weakness(password, 'anna'), undefined));
}

test('a kept password says how it was made, fits its own and no other, and can be written in either form of Unicode', async () => {
  const hashes = openPasswordHashes(cheap);
  const [one, two] = [await hashes.hash('drei kühle Birnen'), await hashes.hash('drei kühle Birnen')];
  assert.match(one, /^scrypt\$4\$1\$1\$[\w-]{22}\$[\w-]{43}$/);
  assert.notEqual(one, two);
  assert.equal(await hashes.matches('drei ku\u0308hle Birnen', one), true);
  assert.equal(await hashes.matches('drei kuhle Birnen', one), false);
  assert.equal(await hashes.matches('anything', null), false);
});

test('a password that was kept at another cost still fits', async () => {
  const kept = await openPasswordHashes({ log2N: 5, r: 2, p: 2 }).hash('violet lantern barge');
  assert.equal(await openPasswordHashes(cheap).matches('violet lantern barge', kept), true);
});

test('the usual cost is what the design says', async () => {
  assert.match(await openPasswordHashes().hash('violet lantern barge'), /^scrypt\$15\$8\$3\$/);
});

test('beyond forty who wait nobody is kept waiting', async () => {
  const hashes = openPasswordHashes({ log2N: 12, r: 1, p: 1 });
  const answers = await Promise.all(Array.from({ length: 60 }, () => hashes.matches('x', null)));
  assert.equal(answers.filter((answer) => answer === 'busy').length, 60 - 42);
  assert.equal(await hashes.matches('x', null), false);
});
