/** The mount process: a child that serves one restore point as a file system. Its job, the key included, comes over the IPC pipe. */
import { openLog } from '../base/log.ts';
import { dieWithParent } from '../base/native.ts';
import { openMountProcess, type ToMountProcess } from '../mount/mount-process.ts';
import { openArchiveSource } from '../mount/archive-source.ts';

/** A mongod that dies with the same parent lets go of the mount within this time. */
const orphanMs = 3_000;

dieWithParent(15);
const log = openLog((line) => process.stderr.write(line)).with({ part: 'mount' });
const mount = openMountProcess({
  openSource: openArchiveSource,
  send: async (message) => await new Promise((resolve) => (process.connected ? process.send!(message, () => resolve()) : resolve())),
  log,
});
process.on('message', (message: ToMountProcess) => mount.receive(message));
process.on('disconnect', () => mount.close(orphanMs));
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => mount.close(orphanMs));
if (!process.connected) mount.close(0);
await mount.ended;
// Reads of /dev/fuse that still wait on their threads would keep an ordinary end waiting.
process.kill(process.pid, 'SIGKILL');
