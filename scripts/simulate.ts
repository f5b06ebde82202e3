/**
 * `npm run simulate -- [--policies N] [--years Y] [--seed S] [--json]`
 *
 * Runs policies through years of virtual time with outages, kills, clock jumps and edits (test/kit/policy-simulation.ts),
 * in lots: each is a server of its own with up to 250 policies, and a thread for each processor takes the next one.
 * Words go to stderr; with --json stdout gets one line. Ends with 1 on any violation.
 */
import { availableParallelism } from 'node:os';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { atOnce } from '../src/base/at-once.ts';
import type { Simulation } from '../test/kit/policy-simulation.ts';
import { chanceFrom } from '../test/kit/seeded.ts';

export type Lot = { readonly policies: number; readonly years: number; readonly seed: number };
/** What a lot's thread says: words as it goes, and its end. */
export type FromLot = { readonly says: string } | { readonly done: Simulation };

const lotPolicies = 250;

const { values } = parseArgs({ options: { policies: { type: 'string', default: '1000' }, years: { type: 'string', default: '10' }, seed: { type: 'string' }, json: { type: 'boolean', default: false } } });
const [policies, years] = [Number(values.policies), Number(values.years)];
if (!Number.isInteger(policies) || policies < 1 || !(years > 0)) {
  console.error('usage: npm run simulate -- [--policies N] [--years Y] [--seed S] [--json]');
  process.exit(2);
}
const startedMs = performance.now();
const say = (line: string): void => console.error(`${((performance.now() - startedMs) / 1000).toFixed(0).padStart(4)} s  ${line}`);
const { seed, below } = chanceFrom(values.seed === undefined ? undefined : Number(values.seed));
say(`${policies} policies, ${years} years, seed ${seed}`);
const lots = Array.from({ length: Math.ceil(policies / lotPolicies) }, (_, at): Lot => ({ policies: Math.min(lotPolicies, policies - at * lotPolicies), years, seed: below(2 ** 31) }));
const ended = await atOnce(availableParallelism(), lots, simulate);
const violations = ended.flatMap((lot) => lot.violations.map((text) => `lot of seed ${lot.seed}: ${text}`));
const figures = Object.fromEntries(Object.keys(ended[0]!.figures).map((name) => [name, ended.reduce((sum, lot) => sum + lot.figures[name]!, 0)]));
for (const violation of violations.slice(0, 20)) console.error(violation);
say(Object.entries(figures).map(([name, value]) => `${name} ${value}`).join(', '));
if (values.json) console.log(JSON.stringify({ policies, years, violations: violations.length, seed, figures: { ...figures, seconds: Math.round((performance.now() - startedMs) / 1000) } }));
process.exit(violations.length === 0 ? 0 : 1);

async function simulate(lot: Lot): Promise<Simulation> {
  const worker = new Worker(new URL('simulation-lot.ts', import.meta.url), { workerData: lot });
  return await new Promise((resolve, reject) => {
    worker.on('message', (from: FromLot) => ('done' in from ? resolve(from.done) : say(`lot of seed ${lot.seed}: ${from.says}`)));
    worker.on('error', reject);
    worker.on('exit', () => reject(new Error(`the lot of seed ${lot.seed} ended without a word`)));
  });
}
