import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { chooseSeed } from '../../scripts/bench/random.ts';
import { torture, type TortureOptions, type TortureResult } from '../../scripts/torture/rounds.ts';
import { whyNoObjectStore } from '../kit/object-store.ts';
import { whyNoSamba } from '../kit/samba.ts';

/** `why`: there can be no such server here. */
const servers = [['smb', 'a share whose file server', whyNoSamba()], ['s3', 'a bucket whose store', whyNoObjectStore() ?? false]] as const;
for (const [storage, what, why] of servers) {
  test(`the same on ${what} is killed in the middle of it and started again`, { skip: why }, async (t) => {
    const result = await short(t, { rounds: 1, stormMs: 3_000, storage });
    assert.ok((result.blows['storage'] ?? 0) >= 1, 'it was struck');
  });
}

async function short(t: TestContext, options: Pick<TortureOptions, 'rounds' | 'stormMs' | 'storage'>): Promise<TortureResult> {
  const seed = chooseSeed(process.env['TIDEMARK_TORTURE_SEED']);
  t.diagnostic(`seed ${seed}; the long run is "npm run torture -- --rounds 50 --storage ${options.storage ?? 'directory'} --seed ${seed}"`);
  const directory = mkdtempSync(join(tmpdir(), 'tm-torture-'));
  try {
    await using stack = new AsyncDisposableStack();
    const result = await torture({ ...options, seed, directory, say: (line) => t.diagnostic(line), stack });
    assert.deepEqual(result.found, [], `seed ${seed}`);
    assert.equal(result.rounds, options.rounds);
    assert.ok(result.points >= 1, 'no restore point was made');
    return result;
  } finally {
    rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
  }
}

test('under a storm of writes, kills and elections, every moment tried comes back as the ledger and a second path say', async (t) => {
  await short(t, { rounds: 3, stormMs: 5_000 });
});
