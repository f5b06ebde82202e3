/**
 * `npm test`: sets up what the tests need, runs them, and closes with one line: `N passed, N failed, N skipped`.
 *
 *   node scripts/test.ts [--unit | --platform] [--no-setup] [FILE…]
 *
 * `--unit` runs the tests beside the sources only (src, scripts); `--platform` those of the whole platform, and the faults
 * that need a whole host; `--no-setup` installs nothing. Unit files run side by side. Those that start databases, file
 * systems and hosts wait for most of their time and have machines, networks, ports and directories of their own: two at a time.
 */
import { existsSync, globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { prepareMachine } from './prepare-machine.ts';
import { runFiles, type Tally } from './test-report.ts';

const root = join(import.meta.dirname, '..');
const flags = new Set(process.argv.slice(2).filter((word) => word.startsWith('--')));
const named = process.argv.slice(2).filter((word) => !word.startsWith('--'));

const find = (pattern: string): string[] => globSync(pattern, { cwd: root }).sort();
const withMachines = /^test\/(fault|platform|compat|conformance)\//;

/**
 * Started first, the longest first, so that none is left over at the end. They wait for hosts that start, for the loss of a
 * link to be noticed, for time to pass.
 */
const longest = [
  'platform/survive-cuts',
  'platform/survive',
  'platform/services-on-hosts',
  'fault/killed-parts',
  'platform/long-cut',
  'platform/closed-firewalls',
  'fault/killed-restores',
  'platform/torture-short',
  'platform/groups',
  'platform/restore-over-hosts',
  'platform/replay-native',
  'platform/port-plan',
  'platform/no-backup-byte',
  'platform/from-nothing',
].map((name) => `test/${name}.test.ts`);
/** They are about when something happens, to less than seconds. */
const timed = ['fault/copy-checkpoint-midway', 'fault/five-minutes-away', 'conformance/data-channel'].map((name) => `test/${name}.test.ts`);
for (const file of [...longest, ...timed]) if (!existsSync(join(root, file))) throw new Error(`${file} is named in scripts/test.ts and is not there`);

const unit = '{src,scripts}/**/*.test.ts';
const wanted = flags.has('--unit') ? [unit] : flags.has('--platform') ? ['test/platform/*.test.ts', 'test/fault/*-on-a-host.test.ts'] : [unit, 'test/**/*.test.ts'];
const files = named.length > 0 ? named.map((file) => relative(root, file)) : wanted.flatMap(find);
const heavy = files.filter((file) => withMachines.test(file) && !timed.includes(file));
const phases = [
  { files: files.filter((file) => !withMachines.test(file)), concurrency: availableParallelism() },
  { files: [...longest.filter((file) => heavy.includes(file)), ...heavy.filter((file) => !longest.includes(file))], concurrency: 2 },
  { files: files.filter((file) => timed.includes(file)), concurrency: 1 },
];

if (!flags.has('--no-setup') && !flags.has('--unit')) await prepareMachine('tests');

const total: Tally = { passed: 0, failed: 0, skipped: 0 };
for (const phase of phases) {
  const tally = await runFiles(root, phase.files, phase.concurrency, (line) => console.log(line));
  for (const key of ['passed', 'failed', 'skipped'] as const) total[key] += tally[key];
}
if (total.passed + total.failed === 0) {
  console.log('no tests were found');
  total.failed = 1;
}
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed === 0 ? 0 : 1);
