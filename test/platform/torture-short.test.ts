import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { chooseSeed } from '../../scripts/bench/random.ts';
import { torture } from '../../scripts/torture/rounds.ts';

/** Few, for every run draws others; TIDEMARK_TORTURE_ROUNDS asks for more of them here. */
const rounds = Number(process.env['TIDEMARK_TORTURE_ROUNDS'] ?? 2);

test('under a storm of writes, kills and elections, every moment tried comes back as the ledger and a second path say', async (t) => {
  const seed = chooseSeed(process.env['TIDEMARK_TORTURE_SEED']);
  t.diagnostic(`seed ${seed}; the long run is "npm run torture -- --rounds 50 --seed ${seed}"`);
  const directory = mkdtempSync(join(tmpdir(), 'tm-torture-'));
  try {
    await using stack = new AsyncDisposableStack();
    const result = await torture({ rounds, seed, directory, say: (line) => t.diagnostic(line), stack, stormMs: 5_000 });
    assert.deepEqual(result.found, [], `seed ${seed}`);
    assert.equal(result.rounds, rounds);
    assert.ok(result.points >= 1, 'no restore point was made');
  } finally {
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  }
});
