import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { pathToFileURL } from 'node:url';

const root = join(import.meta.dirname, '..');
const place = mkdtempSync(join(tmpdir(), 'tidemark-runner-'));
after(() => rmSync(place, { recursive: true }));

const head = "import assert from 'node:assert/strict';\nimport { describe, test } from 'node:test';\n";
const files: Record<string, string> = {
  'good.test.ts': `${head}test('one', () => assert.ok(true));\ndescribe('group', () => { test('two', () => assert.ok(true)); });\n`,
  'bad.test.ts': `${head}test('says why', () => { console.log('a line it printed'); assert.equal(1, 2); });\ntest('fine', () => assert.ok(true));\n`,
  'skips.test.ts': `${head}test('needs a moon', { skip: 'no moon here' }, () => {});\n`,
  'crashes.test.ts': "throw new Error('broke before its first test');\n",
  'leaves.test.ts': `${head}test('is cut off', () => process.exit(7));\n`,
  'empty.test.ts': 'export {};\n',
  'hooked.test.ts': `${head}import { after, before } from 'node:test';\nbefore(() => console.log('begins here'));\nafter(() => console.log('ends here'));\ntest('between', () => {});\n`,
  'unhooked.test.ts': `${head}import { after } from 'node:test';\nafter(() => { throw new Error('did not clear up'); });\ntest('three', () => {});\n`,
  'suite.ts': `${head}export const suite = () => test('of the suite', () => assert.equal(1, 2));\n`,
  'borrows.test.ts': `${head}import { suite } from './suite.ts';\nsuite();\ntest('its own', () => assert.ok(true));\n`,
};

type Run = { status: number | null; lines: string[]; last: string };

function runTests(...names: string[]): Run {
  for (const name of names) writeFileSync(join(place, name), files[name]!);
  return ran(join(root, 'scripts/test.ts'), '--no-setup', ...names.map((name) => join(place, name)));
}

/** All of them in one process, as the tests beside the sources are run. */
function runLot(...names: string[]): Run {
  for (const name of names) writeFileSync(join(place, name), files[name]!);
  const { href } = pathToFileURL(join(root, 'scripts/test-report.ts'));
  const program = `import { runLots } from '${href}';
const { passed, failed, skipped } = await runLots(import.meta.dirname, [process.argv.slice(2)], 1, (line) => console.log(line));
console.log(passed + ' passed, ' + failed + ' failed, ' + skipped + ' skipped');`;
  writeFileSync(join(place, 'lot.mjs'), program);
  return ran(join(place, 'lot.mjs'), ...names);
}

function ran(...args: string[]): Run {
  const { NODE_TEST_CONTEXT: _, ...env } = process.env;
  const { status, stdout } = spawnSync(process.execPath, args, { encoding: 'utf8', env, timeout: 60_000 });
  const lines = stdout.trimEnd().split('\n');
  return { status, lines, last: lines.at(-1)! };
}

test('a run without failures ends with 0 and one closing line that counts all files', () => {
  const { status, lines, last } = runTests('good.test.ts', 'skips.test.ts');
  assert.equal(last, '2 passed, 0 failed, 1 skipped');
  assert.equal(lines.filter((line) => / passed, \d+ failed/.test(line)).length, 1);
  assert.ok(lines.some((line) => line.includes('needs a moon: no moon here')), 'a skip names its reason');
  assert.equal(status, 0);
});

test('a failed test is named with its reason and what its file printed, and the run ends with 1', () => {
  const { status, lines, last } = runTests('good.test.ts', 'bad.test.ts');
  assert.equal(last, '3 passed, 1 failed, 0 skipped');
  assert.equal(status, 1);
  const text = lines.join('\n');
  assert.match(text, /failed {3}says why\n.*1 !== 2/s);
  assert.match(text, /a line it printed/);
});

for (const name of ['crashes.test.ts', 'leaves.test.ts', 'empty.test.ts']) {
  test(`a file that shows nothing counts as failed: ${name}`, () => {
    const { status, last } = runTests('good.test.ts', name);
    assert.match(last, /^2 passed, 1 failed, 0 skipped$/);
    assert.equal(status, 1);
  });
}

test('a test of a suite that another file declares is counted by the file that ran it, and fails the run', () => {
  writeFileSync(join(place, 'suite.ts'), files['suite.ts']!);
  const { status, last, lines } = runTests('borrows.test.ts', 'good.test.ts');
  assert.deepEqual([status, last], [1, '3 passed, 1 failed, 0 skipped']);
  const told = lines.filter((line) => /^(ok|FAIL) /.test(line)).map((line) => line.replace(/ +\S*\//, ' ').replace(/ +[\d.]+ s$/, ''));
  assert.deepEqual(told.sort(), ['FAIL borrows.test.ts  1 passed, 1 failed', 'ok good.test.ts  2 passed']);
});

test('files that share a process are told of each for itself, with their own hooks, and what fails or skips in one is not the others', () => {
  const { last, lines } = runLot('good.test.ts', 'bad.test.ts', 'skips.test.ts', 'hooked.test.ts');
  assert.equal(last, '4 passed, 1 failed, 1 skipped');
  assert.deepEqual(lines.filter((line) => /^(ok|FAIL) /.test(line)).map((line) => line.replace(/ +[\d.]+ s$/, '')), [
    'ok    good.test.ts  2 passed',
    'FAIL  bad.test.ts  1 passed, 1 failed',
    'ok    skips.test.ts  0 passed, 1 skipped',
    'ok    hooked.test.ts  1 passed',
  ]);
  assert.match(lines.join('\n'), /failed {3}says why\n.*1 !== 2/s);
  assert.match(lines.join('\n'), /a line it printed\n *begins here\n *ends here/, 'hooks are run with their file, after those before it');
});

for (const [name, found] of [
  ['crashes.test.ts', /^3 passed, 1 failed/],
  ['empty.test.ts', /^3 passed, 1 failed/],
  ['unhooked.test.ts', /^4 passed, 1 failed/],
  // What a process that ends itself had not told yet is lost as well.
  ['leaves.test.ts', /^(0 passed, 4|2 passed, 3) failed/],
] as const) {
  test(`a file that shows nothing or ends its process fails in a shared one too, and so does what was not heard of after it: ${name}`, () => {
    const { last } = runLot('good.test.ts', name, 'hooked.test.ts');
    assert.match(last, found);
  });
}
