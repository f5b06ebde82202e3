import assert from 'node:assert/strict';
import { test } from 'node:test';
import { chanceFrom } from '../../test/kit/seeded.ts';
import { simulatePolicies } from '../../test/kit/policy-simulation.ts';

test('fifteen policies over half a year of outages, kills, clock jumps and edits: nothing twice, nothing forgotten, nothing deleted that a rule keeps, and everything ends', async (context) => {
  const { violations, seed, figures } = await simulatePolicies({ policies: 15, years: 0.5, chance: chanceFrom(), say: () => {} });
  context.diagnostic(`seed ${seed}: ${JSON.stringify(figures)}`);
  assert.deepEqual(violations, [], `seed ${seed}`);
  assert.ok(figures['runs']! > 300 && figures['kills']! > 20 && figures['jumps']! > 5 && figures['missed']! > 10 && figures['deleted']! > 300, 'something happened');
});
