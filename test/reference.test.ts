import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { failuresReference, loadFailures } from '../scripts/failures-reference.ts';
import { openApiReference, restReference } from '../scripts/rest-reference.ts';
import { readSources } from './kit/rooms.ts';

const root = join(import.meta.dirname, '..');
const page = (name: string): string => readFileSync(join(root, 'docs/reference', name), 'utf8');

test('every failure code in the code is on the page, and every code on the page is in the code', async () => {
  const known = (await loadFailures()).map(({ code }) => code);
  const shown = [...page('failures.md').matchAll(/^\| `([a-z]+\.[a-z-]+)` \|/gm)].map((match) => match[1]);
  assert.deepEqual(known.filter((code) => !shown.includes(code)), [], 'not on the page; run "npm run reference"');
  assert.deepEqual(shown.filter((code) => !known.includes(code!)), [], 'on the page alone; run "npm run reference"');
});

test('failures are declared in their room\'s tables and nowhere else, under their room\'s name', () => {
  const strays = readSources(root, 'src').flatMap(({ path, text }) => {
    const codes = [...text.matchAll(/\bfailure(?:<[^(]*>)?\(\s*'([a-z]+)\.[a-z-]+'/g)].map((match) => match[1]!);
    if (codes.length === 0 || path.endsWith('.test.ts')) return [];
    const room = path.split('/')[1];
    return path.endsWith('failures.ts') && codes.every((prefix) => prefix === room) ? [] : [path];
  });
  assert.deepEqual(strays, []);
});

test('every failure has a sentence in lower case without a full stop and a hint that is a sentence', async () => {
  const text = await failuresReference();
  assert.doesNotMatch(text, /\[object|undefined|depends on the details/);
  for (const [, code, says, hint] of text.matchAll(/^\| `([^`]+)` \| (.*?) \| (.*?) \| /gm)) {
    assert.doesNotMatch(says!, /\.$/, code);
    assert.match(hint!, /^["A-Z<].*[.>"]$/, code);
  }
});

for (const [name, made] of [['failures.md', failuresReference], ['rest-api.md', restReference], ['openapi.json', openApiReference]] as const) {
  test(`docs/reference/${name} is what the code says`, async () => assert.equal(page(name), await made(), 'run "npm run reference"'));
}
