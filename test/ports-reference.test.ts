import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..');
const page = readFileSync(join(root, 'docs/reference/ports.md'), 'utf8');

test('docs/reference/ports.md has every row that the plan can have, each with a test, and the tests exist', () => {
  const plan = readFileSync(join(root, 'src/domain/port-plan.ts'), 'utf8');
  const planned = [...plan.matchAll(/\b(?:add|planNetbios)\((?:add, )?(?:number\()?(\d+)/g)].map((match) => Number(match[1]));
  const [plans, exercised] = page.split('## The test of each row');
  const rows = [...plans!.matchAll(/^\| (\d+) \|.*\| ([^|]+) \|$/gm)];
  assert.deepEqual(rows.map(([, number]) => Number(number)), Array.from({ length: 31 }, (_, n) => n + 1));
  assert.ok(planned.length > 20, 'rows were found in the code');
  assert.deepEqual(planned.filter((row) => row < 1 || row > 31), []);
  for (const [, number, tests] of rows) assert.match(tests!, /^P/, `row ${number} has no test`);
  for (const [, file] of page.matchAll(/`((?:src|test)\/[^`]+)`/g)) assert.ok(existsSync(join(root, file!)), file);
  const tests = [...exercised!.matchAll(/^\| (\d+) \| ([^|]+) \| ([^|]+) \|$/gm)];
  assert.deepEqual(tests.map(([, number]) => number), rows.map(([, number]) => number), 'each row says what exercised it');
  for (const [, number, test, against] of tests) assert.match(`${test} ${against}`, /`(?:src|test)\/[^`]+\.test\.ts`|none: /, `row ${number}`);
});
