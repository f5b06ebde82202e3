/**
 * `npm run simulate -- [--policies N] [--years Y] [--seed S] [--json]`
 *
 * Runs policies through years of virtual time with outages, kills, clock jumps and edits (test/kit/policy-simulation.ts).
 * Words go to stderr; with --json stdout gets one line. Ends with 1 on any violation.
 */
import { parseArgs } from 'node:util';
import { chanceFrom } from '../test/kit/seeded.ts';
import { simulatePolicies } from '../test/kit/policy-simulation.ts';

const { values } = parseArgs({ options: { policies: { type: 'string', default: '1000' }, years: { type: 'string', default: '10' }, seed: { type: 'string' }, json: { type: 'boolean', default: false } } });
const [policies, years] = [Number(values.policies), Number(values.years)];
if (!Number.isInteger(policies) || policies < 1 || !(years > 0)) {
  console.error('usage: npm run simulate -- [--policies N] [--years Y] [--seed S] [--json]');
  process.exit(2);
}
const startedMs = performance.now();
const say = (line: string): void => console.error(`${((performance.now() - startedMs) / 1000).toFixed(0).padStart(4)} s  ${line}`);
const chance = chanceFrom(values.seed === undefined ? undefined : Number(values.seed));
say(`${policies} policies, ${years} years, seed ${chance.seed}`);
const { violations, seed, figures } = await simulatePolicies({ policies, years, chance, say });
for (const violation of violations.slice(0, 20)) console.error(violation);
say(Object.entries(figures).map(([name, value]) => `${name} ${value}`).join(', '));
if (values.json) console.log(JSON.stringify({ policies, years, violations: violations.length, seed, figures: { ...figures, seconds: Math.round((performance.now() - startedMs) / 1000) } }));
process.exit(violations.length === 0 ? 0 : 1);
