import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { cliReference } from '../scripts/cli-reference.ts';

test('docs/reference/cli.md is what the command definitions say', () => {
  const page = readFileSync(join(import.meta.dirname, '../docs/reference/cli.md'), 'utf8');
  assert.equal(page, cliReference(), 'run "npm run reference"');
});
