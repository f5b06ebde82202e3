import assert from 'node:assert/strict';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { importsOf, readRooms, readSources, roomViolations } from './kit/rooms.ts';

const root = join(import.meta.dirname, '..');
const rooms = readRooms(readFileSync(join(root, 'docs/rooms.md'), 'utf8'));

test('every source file keeps to the table of docs/rooms.md', () => {
  const sources = readSources(root, 'src');
  assert.ok(sources.length > 10, 'the sources were found');
  const violations = sources.flatMap((file) => roomViolations(file, rooms));
  assert.equal(violations.join('\n'), '');
});

test('the table and the folders name the same rooms, and no room imports one that imports it', () => {
  const withFiles = new Set(readSources(root, 'src').map((file) => file.path.split('/')[1]!));
  assert.deepEqual([...rooms.keys()].filter((name) => !withFiles.has(name)), [], 'rooms without a file');
  for (const room of rooms.values()) {
    for (const other of room.mayImport) {
      assert.ok(rooms.has(other), `${room.name} may import ${other}, which is not in the table`);
      assert.ok(!rooms.get(other)!.mayImport.has(room.name), `${room.name} and ${other} import each other`);
      assert.notEqual(other, 'main', 'main is imported by nobody');
    }
  }
});

test('packages are pinned exactly, and every one of them is in the table or a tool', () => {
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, Record<string, string>>;
  const pinned = { ...manifest['dependencies'], ...manifest['devDependencies'], ...manifest['optionalDependencies'] };
  for (const [name, version] of Object.entries(pinned)) assert.match(version, /^\d+\.\d+\.\d+$/, `${name} is not pinned`);
  const allowed = new Set([...rooms.values()].flatMap((room) => [...room.packages]));
  assert.deepEqual(Object.keys(manifest['dependencies'] ?? {}).filter((name) => !allowed.has(name)), []);
});

test('tests stand where CONTRIBUTING.md says', () => {
  const folders = readdirSync(join(root, 'test'), { withFileTypes: true }).filter((entry) => entry.isDirectory());
  const known = new Set(['kit', 'conformance', 'fault', 'compat', 'platform', 'fixtures', 'scripts']);
  assert.deepEqual(folders.map((entry) => entry.name).filter((name) => !known.has(name)), []);
});

const bad: { title: string; path: string; text: string; says: RegExp }[] = [
  { title: 'a lower room that imports a higher one', path: 'src/base/x.ts', text: "import { a } from '../cli/a.ts';", says: /base may not import cli/ },
  { title: 'a type import in the wrong direction', path: 'src/contract/x.ts', text: "import type { A } from '../domain/a.ts';", says: /contract may not import domain/ },
  { title: 'an import over several lines', path: 'src/domain/x.ts', text: "import {\n  a,\n  b,\n} from '../mongo/a.ts';", says: /domain may not import mongo/ },
  { title: 'a re-export', path: 'src/catalog/x.ts', text: "export { a } from '../server/a.ts';", says: /catalog may not import server/ },
  { title: 'an import at run time', path: 'src/cli/x.ts', text: "const a = await import('../repository/a.ts');", says: /cli may not import repository/ },
  { title: 'a worker of another room', path: 'src/repository/x.ts', text: "new Worker(new URL('../mongo/w.ts', import.meta.url))", says: /repository may not import mongo/ },
  { title: 'anything that imports main', path: 'src/cli/x.ts', text: "import '../main/tidemark.ts';", says: /cli may not import main/ },
  { title: 'a package that is not the room\'s', path: 'src/agent/x.ts', text: "import fastify from 'fastify';", says: /agent may not import the package fastify/ },
  { title: 'a scoped package that is not the room\'s', path: 'src/cli/x.ts', text: "import { x } from '@peculiar/x509';", says: /package @peculiar\/x509/ },
  { title: 'code outside src', path: 'src/cli/x.ts', text: "import { x } from '../../test/kit/x.ts';", says: /outside src/ },
  { title: 'a file in no room', path: 'src/shed/x.ts', text: '', says: /is in no room/ },
  { title: 'a drawer', path: 'src/base/utils.ts', text: '', says: /drawer/ },
  { title: 'a file that is too long', path: 'src/base/x.ts', text: '\n'.repeat(401), says: /401 lines/ },
  { title: 'the environment outside main', path: 'src/cli/x.ts', text: 'const home = process.env.HOME;', says: /x\.ts:1: the process/ },
  { title: 'the environment by another name', path: 'src/cli/x.ts', text: "import { env } from 'node:process';", says: /the process/ },
  { title: 'console outside main', path: 'src/cli/x.ts', text: '\nconsole.log(1);', says: /x\.ts:2: console/ },
  { title: 'the wall clock outside its home', path: 'src/server/x.ts', text: 'const at = Date.now();', says: /wall clock/ },
  { title: 'chance without a seed, even in a test', path: 'src/server/x.test.ts', text: 'Math.random()', says: /Math\.random/ },
  { title: 'a native call outside its homes', path: 'src/base/x.ts', text: "import koffi from 'koffi';", says: /base\/smb-library\.ts only/ },
  { title: 'the heavy form of zod', path: 'src/contract/x.ts', text: "import { z } from 'zod';", says: /import \* as z/ },
];

for (const { title, path, text, says } of bad) {
  test(`the gate fails on ${title}`, () => {
    const found = roomViolations({ path, text }, rooms);
    assert.equal(found.length, 1, found.join('\n'));
    assert.match(found[0]!, says);
  });
}

test('comments, strings with slashes and allowed imports raise nothing', () => {
  const text = [
    "// import { a } from '../cli/a.ts'",
    "/* process.env */ const url = 'https://x/y'; // Date.now()",
    "import { readFile } from 'node:fs/promises';",
    "import { systemClock } from '../base/clock.ts';",
    "import * as z from 'zod';",
  ].join('\n');
  assert.deepEqual(importsOf(text), ['node:fs/promises', '../base/clock.ts', 'zod']);
  assert.deepEqual(roomViolations({ path: 'src/contract/x.ts', text }, rooms), []);
});
