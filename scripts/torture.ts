/**
 * `npm run torture -- [--rounds N] [--minutes M] [--seed S] [--storage directory|smb|s3] [--json] [--keep]`
 * `npm run torture -- --faults N [--minutes M] [--seed S] [--json] [--keep]`
 *
 * The first restores a set under storm and blows to random moments and compares each with a ledger of every write and with a
 * second, independent path; on a share or in a bucket the archive's server is killed and started again in every round. The
 * second inflicts one random fault on one session after the other, and holds what they say against what is so. Ends with 1 on any difference. The seed decides what is done; the machine, when.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { chooseSeed } from './bench/random.ts';
import { STORAGES } from './torture/place.ts';
import { torture } from './torture/rounds.ts';
import { truth } from './torture/truth.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '10' }, seed: { type: 'string' }, json: { type: 'boolean', default: false }, keep: { type: 'boolean', default: false }, minutes: { type: 'string' }, faults: { type: 'string' }, storage: { type: 'string', default: 'directory' } },
});
const rounds = Number(values.faults ?? values.rounds);
const storage = STORAGES.find((kind) => kind === values.storage);
if (!Number.isInteger(rounds) || rounds < 1 || storage === undefined) {
  console.error('usage: npm run torture -- [--rounds N] [--minutes M] [--seed S] [--storage directory|smb|s3] [--json] [--keep]');
  console.error('   or: npm run torture -- --faults N [--minutes M] [--seed S] [--json] [--keep]');
  process.exit(2);
}
const seed = chooseSeed(values.seed);
const directory = mkdtempSync(join(tmpdir(), 'tm-torture-'));
const startedMs = performance.now();
const say = (line: string): void => console.error(`${((performance.now() - startedMs) / 1000).toFixed(0).padStart(4)} s  ${line}`);
const interrupted = new Promise<never>((_, reject) => {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => reject(new Error(`interrupted by ${signal}`)));
});
type Done = { readonly found: readonly string[]; readonly result: object };

async function storm(stack: AsyncDisposableStack, longestMs: number | undefined): Promise<Done> {
  say(`seed ${seed}, archive on ${storage}`);
  const result = await torture({ rounds, seed, directory, storage: storage!, say, stack, longestMs });
  return { found: result.found, result };
}

async function faults(stack: AsyncDisposableStack, longestMs: number | undefined): Promise<Done> {
  say(`seed ${seed}, ${rounds} faults`);
  const result = await truth({ faults: rounds, seed, directory, say, stack, longestMs });
  return { found: result.found, result };
}

let code = 1;
try {
  await using stack = new AsyncDisposableStack();
  const longestMs = values.minutes === undefined ? undefined : Number(values.minutes) * 60_000;
  const work = values.faults === undefined ? storm(stack, longestMs) : faults(stack, longestMs);
  const { found, result } = await Promise.race([work, interrupted]);
  for (const difference of found) say(`DIFFERENCE ${difference}`);
  say(`${rounds} asked for, ${found.length} differences`);
  if (values.json) console.log(JSON.stringify(result));
  code = found.length === 0 ? 0 : 1;
} catch (error) {
  console.error(`torture with seed ${seed} failed: ${(error as Error).stack ?? String(error)}`);
  if (values.json) console.log(JSON.stringify({ rounds: 0, differences: 1, seed, found: [String(error)] }));
} finally {
  if (!values.keep) rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
}
process.exit(code);
