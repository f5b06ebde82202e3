/**
 * `npm test`: sets up what the tests need, runs them, and closes with one line: `N passed, N failed, N skipped`.
 *
 *   node scripts/test.ts [--unit | --platform] [--no-setup] [FILE…]
 *
 * `--unit` runs the tests beside the sources only (src, scripts); `--platform` those of the whole platform, and the faults
 * that need a whole host; `--no-setup` installs nothing.
 * Unit files run side by side, a lot of them in each process; of those that start databases and file systems the long ones two or
 * three at a time, and the short ones, whose deadlines are short, one after the other.
 */
import { existsSync, globSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, relative } from 'node:path';
import { prepareMachine } from './prepare-machine.ts';
import { runQueue } from './test-queue.ts';
import { addTo, runFiles, runLots, type Tally } from './test-report.ts';

const root = join(import.meta.dirname, '..');
const flags = new Set(process.argv.slice(2).filter((word) => word.startsWith('--')));
const named = process.argv.slice(2).filter((word) => !word.startsWith('--'));

const find = (pattern: string): string[] => globSync(pattern, { cwd: root }).sort();
const filesInLot = 12;
const withMachines = /^test\/(fault|platform|compat|conformance)\//;

/**
 * They wait for most of their time, for hosts that start, for the loss of a link to be noticed, for processes to begin, and have
 * machines, networks, ports and directories of their own: test-queue.ts says how many at a time. The longest first, so that none
 * is left over at the end.
 */
const besideOthers = [
  'platform/any-moment-back',
  'fault/killed-parts',
  'platform/second-copy-elsewhere',
  'platform/windows-repository',
  'platform/services-on-hosts',
  'platform/survive',
  'platform/survive-cuts',
  'platform/replay-native',
  'platform/torture-short',
  'platform/closed-places',
  'platform/groups',
  'platform/gateway',
  'conformance/smb',
  'platform/restore-over-hosts',
  'conformance/s3',
  'fault/deployer-killed-on-a-host',
  'platform/no-backup-byte',
  'platform/from-nothing',
  'platform/closed-firewalls',
  'platform/copy-ways',
  'platform/long-cut',
  'platform/backup-in-a-bucket',
  'platform/second-copy',
  'fault/killed-restores',
  'platform/port-plan',
  'platform/restore-set',
  'platform/single-port',
  'platform/two-histories',
  'platform/up',
  'platform/hosts',
  'platform/open-without-server',
  'platform/deployer-on-a-host',
  'platform/ssh-shell',
  'fault/two-servers',
  'platform/transport-under-its-unit',
  'platform/directory',
  'platform/archive-on-another-host',
  'platform/share',
  'platform/free-space',
  'platform/journal-load',
  'platform/ssh-first-contact',
  'platform/bundle',
  'platform/server-under-its-unit',
  'platform/copy-layouts',
  'fault/deployer-killed',
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
  'platform/prometheus',
  'fault/repository-damage',
  'platform/mongo-tls',
  'fault/repository-crash',
  'platform/server-recover',
  'fault/mount-killed',
].map((name) => `test/${name}.test.ts`);
for (const file of besideOthers) if (!existsSync(join(root, file))) throw new Error(`${file} is named in scripts/test.ts and is not there`);
if (new Set(besideOthers).size < besideOthers.length) throw new Error('a file is named twice in scripts/test.ts');

const unit = '{src,scripts}/**/*.test.ts';
const wanted = flags.has('--unit') ? [unit] : flags.has('--platform') ? ['test/platform/*.test.ts', 'test/fault/*-on-a-host.test.ts'] : [unit, 'test/**/*.test.ts'];
const files = named.length > 0 ? named.map((file) => relative(root, file)) : wanted.flatMap(find);
/** Of neighbours, which load much of the same. The rooms that have most to do are the last by name. */
const lots: string[][] = [];
for (const file of files.filter((name) => name.startsWith('src/')).toReversed()) {
  if (lots.length === 0 || lots.at(-1)!.length === filesInLot) lots.push([]);
  lots.at(-1)!.push(file);
}
const alone = files.filter((file) => withMachines.test(file) && !besideOthers.includes(file));

if (!flags.has('--no-setup') && !flags.has('--unit')) await prepareMachine('tests');

const say = (line: string): void => console.log(line);
const total: Tally = { passed: 0, failed: 0, skipped: 0 };
addTo(total, await runLots(root, lots, availableParallelism(), say));
addTo(total, await runFiles(root, files.filter((file) => !withMachines.test(file) && !file.startsWith('src/')), availableParallelism(), say));
addTo(total, await runQueue(root, besideOthers.filter((file) => files.includes(file)), say));
addTo(total, await runFiles(root, alone, 1, say));
if (total.passed + total.failed === 0) {
  console.log('no tests were found');
  total.failed = 1;
}
console.log(`${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
process.exit(total.failed === 0 ? 0 : 1);
