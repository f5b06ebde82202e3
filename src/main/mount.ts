/** The mount process: a child that serves one restore point as a file system. Its job, the key included, comes over the IPC pipe. */
import { enableCompileCache, flushCompileCache } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { ToMountProcess } from '../mount/mount-process.ts';

// Somebody waits for every start of this program, and compiling it is two thirds of that.
enableCompileCache(fileURLToPath(new URL('../../node_modules/.cache/tidemark', import.meta.url)));
const { openLog } = await import('../base/log.ts');
const { dieWithParent } = await import('../base/native.ts');
const { openArchiveSource } = await import('../mount/archive-source.ts');
const { openMountProcess } = await import('../mount/mount-process.ts');

/** A mongod that dies with the same parent lets go of the mount within this time. */
const orphanMs = 3_000;

dieWithParent(15);
const mount = openMountProcess({
  openSource: openArchiveSource,
  send: async (message) => await new Promise((resolve) => (process.connected ? process.send!(message, () => resolve()) : resolve())),
  log: openLog((line) => process.stderr.write(line)).with({ part: 'mount' }),
});
process.on('message', (message: ToMountProcess) => mount.receive(message));
process.on('disconnect', () => mount.close(orphanMs));
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, () => mount.close(orphanMs));
if (!process.connected) mount.close(0);
await mount.ended;
flushCompileCache();
// Reads of /dev/fuse that still wait on their threads would keep an ordinary end waiting.
process.kill(process.pid, 'SIGKILL');
