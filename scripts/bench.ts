/**
 * `npm run bench -- NAME [--json] [--scale X] [--seed S] [--keep]`
 *
 * Measures one claim side by side with what it is compared to. Words go to stderr; with --json stdout gets one line:
 * {"bench", "ratios": {…}, "figures": {…}}. docs/measurements.md has the results and the targets.
 */
import { parseArgs } from 'node:util';
import { runBench, type Bench } from './bench/run.ts';

const benches: Record<string, { summary: string; load: () => Promise<Bench> }> = {
  ingest: { summary: 'storing and laying down, against restic and borg', load: async () => (await import('./bench/ingest.ts')).benchIngest },
  replay: { summary: 'native replay against one-by-one applyOps', load: async () => (await import('./bench/replay.ts')).benchReplay },
  oplog: { summary: 'a backlog of small operations archived, against the driver\'s cursor alone', load: async () => (await import('./bench/oplog.ts')).benchOplog },
  item: { summary: 'one collection back, against the restic way', load: async () => (await import('./bench/item.ts')).benchItem },
  publish: { summary: 'from the command to the first query', load: async () => (await import('./bench/publish.ts')).benchPublish },
  impact: { summary: 'what an application feels during a first full', load: async () => (await import('./bench/impact.ts')).benchImpact },
  network: { summary: 'a first full to another host, against the same store on one host', load: async () => (await import('./bench/network.ts')).benchNetwork },
  storage: { summary: 'a first full and a restore in each kind of place, against the raw transfer of the same bytes', load: async () => (await import('./bench/storage.ts')).benchStorage },
  hosts: { summary: 'a server with 500 idle hosts: memory, processor time, connections', load: async () => (await import('./bench/hosts.ts')).benchHosts },
  scheduler: { summary: 'a catalog of 10,000 schedules and 100,000 sessions, on SQLite and on PostgreSQL', load: async () => (await import('./bench/scheduler.ts')).benchScheduler },
  memory: { summary: 'peak memory of mover and repository', load: async () => (await import('./bench/memory.ts')).benchMemory },
};

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    json: { type: 'boolean', default: false },
    scale: { type: 'string', default: '1' },
    seed: { type: 'string', default: '42' },
    keep: { type: 'boolean', default: false },
  },
});
const [name] = positionals;
const found = name === undefined ? undefined : benches[name];
const scale = Number(values.scale);
if (name === undefined || found === undefined || positionals.length > 1 || !(scale > 0)) {
  console.error('usage: npm run bench -- NAME [--json] [--scale X] [--seed S] [--keep]\n');
  for (const [each, { summary }] of Object.entries(benches)) console.error(`  ${each.padEnd(8)} ${summary}`);
  process.exit(2);
}

const startedMs = performance.now();
const say = (line: string): void => console.error(`${((performance.now() - startedMs) / 1000).toFixed(0).padStart(4)} s  ${line}`);
try {
  const { ratios, figures } = await runBench(name, await found.load(), { scale, seed: values.seed, keep: values.keep, say });
  if (values.json) console.log(JSON.stringify({ bench: name, ratios, figures }));
  else {
    for (const [ratio, value] of Object.entries(ratios)) console.log(`${ratio.padEnd(22)} ${value}`);
    console.log(JSON.stringify(figures, undefined, 2));
  }
  process.exit(0);
} catch (error) {
  console.error(`bench ${name} failed: ${(error as Error).stack ?? String(error)}`);
  process.exit(1);
}
