import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, symlinkSync, writeFileSync, copyFileSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, test } from 'node:test';

const root = join(import.meta.dirname, '..');
const place = mkdtempSync(join(tmpdir(), 'tidemark-lint-'));
after(() => rmSync(place, { recursive: true }));

for (const file of ['.oxlintrc.json', 'tsconfig.json', 'package.json']) copyFileSync(join(root, file), join(place, file));
symlinkSync(join(root, 'node_modules'), join(place, 'node_modules'));

function write(path: string, text: string): void {
  mkdirSync(dirname(join(place, path)), { recursive: true });
  writeFileSync(join(place, path), text);
}

/** What lint finds in each file under src. */
function lint(): Map<string, string> {
  const oxlint = [join(root, 'node_modules/oxlint/bin/oxlint'), '-f', 'unix', 'src'];
  const { status, stdout } = spawnSync(process.execPath, oxlint, { cwd: place, encoding: 'utf8', timeout: 120_000 });
  assert.equal(status, 1, `lint fails when it finds something: ${stdout}`);
  const lines = stdout.split('\n').filter((line) => line.includes(': '));
  return new Map(lines.map((line) => line.split(':')[0]!).map((path) => [path, lines.filter((line) => line.startsWith(`${path}:`)).join('\n')]));
}

const later = 'export async function later(): Promise<boolean> { return true; }\n';
const bad: { title: string; path?: string; text: string; rule: RegExp }[] = [
  { title: 'a promise nobody waits for', text: `${later}export function x(): void { later(); }`, rule: /no-floating-promises/ },
  { title: 'a promise taken for a condition', text: `${later}export function x(): number { return later() ? 1 : 2; }`, rule: /no-misused-promises/ },
  { title: 'a switch that forgets a case', text: "export function x(k: 'a' | 'b'): void { switch (k) { case 'a': return; } }", rule: /switch-exhaustiveness-check/ },
  { title: 'any', text: 'export const x: any = 1;', rule: /no-explicit-any/ },
  { title: 'a default export', text: 'export default 1;', rule: /no-default-export/ },
  { title: 'the wall clock', text: 'export const x = Date.now();', rule: /no-restricted-properties/ },
  { title: 'chance without a seed', path: 'src/cli/x.test.ts', text: 'export const x = Math.random();', rule: /no-restricted-properties/ },
  { title: 'the environment', text: "export const x = process.env['HOME'];", rule: /no-restricted-properties/ },
  { title: 'arguments', text: 'export const x = process.argv;', rule: /no-restricted-properties/ },
  { title: 'an end of the process', text: 'export function x(): never { return process.exit(1); }', rule: /no-restricted-properties/ },
  { title: 'console', text: 'console.log(1);', rule: /no-console/ },
  { title: 'a thrown text', text: "export function x(): never { throw 'no'; }", rule: /only-throw-error/ },
  { title: 'a name that is not used', text: 'const x = 1;\nexport {};', rule: /no-unused-vars/ },
];

const pathOf = (at: number, path = 'src/cli/bad.ts'): string => path.replace('/cli/', `/cli/${at}/`);

write('src/cli/good.ts', `${later}export async function x(): Promise<number> { return (await later()) ? 1 : 2; }\n`);
for (const [at, { path, text }] of bad.entries()) write(pathOf(at, path), text);
write('src/cli/one.ts', "import { b } from './two.ts';\nexport const a = (): number => b();\n");
write('src/cli/two.ts', "import { a } from './one.ts';\nexport const b = (): number => a();\n");
const found = lint();

for (const [at, { title, path, rule }] of bad.entries()) {
  test(`the lint gate fails on ${title}`, () => {
    assert.match(found.get(pathOf(at, path)) ?? 'nothing was found', rule);
  });
}

test('the lint gate fails on two files that import each other', () => {
  assert.match(found.get('src/cli/one.ts') ?? 'nothing was found', /no-cycle/);
});

test('the lint gate has nothing against a good file', () => {
  assert.equal(found.get('src/cli/good.ts'), undefined);
});
