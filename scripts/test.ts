/**
 * `npm test`: sets up what the tests need, runs them, and closes with one line: `N passed, N failed, N skipped`.
 *
 *   node scripts/test.ts [--unit | --platform] [--no-setup] [FILE…]
 *
 * `--unit` runs the tests beside the sources only (src, scripts); `--platform` those of the whole platform, and the faults
 * that need a whole host; `--no-setup` installs nothing. Unit files run side by side, those that start databases and file
 * systems one at a time, because they have deadlines of their own; those of them that mostly wait, two at a time.
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
 * They wait for most of their time, for hosts that start, for the loss of a link to be noticed, for processes to begin, and have
 * machines, networks, ports and directories of their own: two at a time. The longest first, so that none is left over at the end.
 */
const inPairs = [
  'platform/windows-repository',
  'platform/services-on-hosts',
  'platform/survive-cuts',
  'platform/closed-places',
  'platform/groups',
  'platform/survive',
  'fault/killed-parts',
  'platform/any-moment-back',
  'platform/gateway',
  'platform/long-cut',
  'platform/replay-native',
  'platform/closed-firewalls',
  'fault/deployer-killed-on-a-host',
  'platform/from-nothing',
  'platform/restore-over-hosts',
  'platform/no-backup-byte',
  'conformance/s3',
  'fault/killed-restores',
  'platform/copy-ways',
  'platform/port-plan',
  'conformance/smb',
  'platform/backup-in-a-bucket',
  'platform/second-copy',
  'platform/restore-set',
  'platform/deployer-on-a-host',
  'platform/hosts',
  'platform/open-without-server',
  'platform/bundle',
  'platform/archive-on-another-host',
  'fault/two-servers',
  'platform/directory',
  'platform/server-under-its-unit',
  'platform/copy-layouts',
  'fault/deployer-killed',
  'platform/share',
  'platform/mongo-oplog',
  'platform/mongo-refusals',
  'platform/share-names',
  'fault/data-channel-cut',
  'platform/windows-first-contact',
  'fault/kill-server-during-a-session',
  'fault/copy-checkpoint-midway',
  'platform/port-services',
  'fault/copy-lock-holder-killed',
  'platform/telling',
  'fault/repository-damage',
  'platform/mongo-tls',
  'fault/repository-crash',
  'platform/server-recover',
  'fault/mount-killed',
].map((name) => `test/${name}.test.ts`);
for (const file of inPairs) if (!existsSync(join(root, file))) throw new Error(`${file} is named in scripts/test.ts and is not there`);
if (new Set(inPairs).size < inPairs.length) throw new Error('a file is named twice in scripts/test.ts');

const unit = '{src,scripts}/**/*.test.ts';
const wanted = flags.has('--unit') ? [unit] : flags.has('--platform') ? ['test/platform/*.test.ts', 'test/fault/*-on-a-host.test.ts'] : [unit, 'test/**/*.test.ts'];
const files = named.length > 0 ? named.map((file) => relative(root, file)) : wanted.flatMap(find);
const phases = [
  { files: files.filter((file) => !withMachines.test(file)), concurrency: availableParallelism() },
  { files: inPairs.filter((file) => files.includes(file)), concurrency: 2 },
  { files: files.filter((file) => withMachines.test(file) && !inPairs.includes(file)), concurrency: 1 },
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
