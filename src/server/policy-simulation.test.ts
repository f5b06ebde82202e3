import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chanceFrom } from '../../test/kit/seeded.ts';
import { simulatePolicies } from '../../test/kit/policy-simulation.ts';

test('forty policies over a year of outages, kills, clock jumps and edits: nothing twice, nothing forgotten, nothing deleted that a rule keeps, and everything ends', async (context) => {
  const { violations, seed, figures } = await simulatePolicies({ policies: 40, years: 1, chance: chanceFrom(), say: () => {} });
  context.diagnostic(`seed ${seed}: ${JSON.stringify(figures)}`);
  assert.deepEqual(violations, [], `seed ${seed}`);
  assert.ok(figures['runs']! > 1_000 && figures['kills']! > 50 && figures['jumps']! > 20 && figures['missed']! > 100 && figures['deleted']! > 1_000, 'something happened');
});
