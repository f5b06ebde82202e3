/**
 * A mount process for tests: the "archive" is a plain directory, its location's path. A file `damage.json` beside that
 * directory (`{"<path>": [from, bytes]}`) names ranges that cannot be read.
 */
import { openSync, existsSync, readFileSync, readdirSync, lstatSync, copyFileSync } from 'node:fs';
import { read } from 'node:fs';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { openLog } from '../../src/base/log.ts';
import { dieWithParent } from '../../src/base/native.ts';
import { openMountProcess, type ToMountProcess } from '../../src/mount/mount-process.ts';
import type { OpenSource, SourceAccess, SourceFile } from '../../src/mount/point-source.ts';

export const accessTo = (directory: string): SourceAccess => ({
  archive: { location: { kind: 'directory', path: directory }, secret: null, setId: '0'.repeat(24), keyHex: '0'.repeat(64) },
  point: 'point',
});

export const openDirectorySource: OpenSource = async ({ archive }) => {
  if (archive.location.kind !== 'directory') throw new Error('this mount serves a directory');
  const root = archive.location.path;
  const damageFile = `${root}.damage.json`;
  const damage = existsSync(damageFile) ? (JSON.parse(readFileSync(damageFile, 'utf8')) as Record<string, [number, number]>) : {};
  const files = readdirSync(root, { withFileTypes: true, recursive: true }).flatMap((entry): SourceFile[] => {
    if (!entry.isFile()) return [];
    const from = join(entry.parentPath, entry.name);
    const path = relative(root, from);
    const { size, mode } = lstatSync(from);
    const [badFrom, badBytes] = damage[path] ?? [0, 0];
    let fd: number | undefined;
    return [
      {
        path,
        bytes: size,
        mode: mode & 0o7777,
        async read(at, bytes) {
          if (at < badFrom + badBytes && badFrom < at + bytes) throw new Error(`frame at ${badFrom} does not match its hash`);
          fd ??= openSync(from, 'r');
          const buffer = Buffer.allocUnsafe(Math.max(0, Math.min(bytes, size - at)));
          await promisify(read)(fd, buffer, 0, buffer.length, at);
          return buffer;
        },
        layDown: async (to) => copyFileSync(from, to),
      },
    ];
  });
  return { files, close: async () => {} };
};

if (process.argv[1] === import.meta.filename) {
  dieWithParent(15);
  const log = openLog((line) => process.stderr.write(line));
  const mount = openMountProcess({
    openSource: openDirectorySource,
    send: async (message) => await new Promise((resolve) => (process.connected ? process.send!(message, () => resolve()) : resolve())),
    log,
  });
  process.on('message', (message: ToMountProcess) => mount.receive(message));
  process.on('disconnect', () => mount.close(3_000));
  process.on('SIGTERM', () => mount.close(3_000));
  await mount.ended;
  process.kill(process.pid, 'SIGKILL');
}
