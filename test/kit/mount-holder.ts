/**
 * A program that opens a mount and holds it: `mount-holder.ts <job as JSON>`. It prints one line, {mode, directory, pid} or
 * {failure}, then waits to be killed. For tests that kill the holder, or run it as somebody else.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { toWire } from '../../src/base/failure.ts';
import { runProgram } from '../../src/base/child-process.ts';
import { openLog } from '../../src/base/log.ts';
import { openMount, type MountOptions } from '../../src/mount/open-mount.ts';
import { accessTo, openDirectorySource } from './mounted-directory.ts';

export type HolderJob = Pick<MountOptions, 'workDirectory' | 'prefer' | 'device' | 'program'> & {
  readonly point: string;
  /** Read this file through the mount's own `wrap`, and print its text. */
  readonly show?: string;
};

const { point, show, ...job } = JSON.parse(process.argv[2] ?? readFileSync(0, 'utf8')) as HolderJob;
try {
  const mount = await openMount({ ...job, source: accessTo(point), openSource: openDirectorySource, log: openLog((line) => process.stderr.write(line)) });
  const [program, ...args] = [...mount.wrap, 'cat', join(mount.directory, show ?? '')];
  const shown = show === undefined ? undefined : await runProgram(program!, args, { deadlineMs: 20_000 });
  process.on('SIGTERM', () => void mount.close().then(() => process.exit(0)));
  setInterval(() => {}, 60_000);
  console.log(JSON.stringify({ mode: mount.mode, directory: mount.directory, pid: mount.pid, shown }));
} catch (error) {
  console.log(JSON.stringify({ failure: toWire(error) }));
}
