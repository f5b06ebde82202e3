/**
 * A file system of a wanted kind in a sparse file, for tests of what only some file systems can do. Needs root, mkfs and
 * loop devices; `whyNoLoops` says what is missing, so that a test skips itself aloud.
 */
import { existsSync, mkdirSync, mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { requireProgram } from '../../src/base/child-process.ts';
import { until } from '../../src/base/deadline.ts';

export type FileSystemKind = 'xfs' | 'btrfs' | 'ext4';

export type LoopFileSystem = AsyncDisposable & { readonly kind: FileSystemKind; readonly path: string };

const makers: Record<FileSystemKind, readonly string[]> = {
  xfs: ['mkfs.xfs', '-q', '-m', 'reflink=1'],
  btrfs: ['mkfs.btrfs', '-q'],
  ext4: ['mkfs.ext4', '-q', '-F'],
};

/** false, or why loop file systems of these kinds cannot be made here. */
export function whyNoLoops(...kinds: FileSystemKind[]): string | false {
  if (process.getuid?.() !== 0) return 'needs root to mount a loop file';
  if (!existsSync('/dev/loop-control')) return 'needs loop devices';
  const missing = kinds.filter((kind) => !['/usr/sbin', '/sbin', '/usr/bin'].some((folder) => existsSync(join(folder, makers[kind][0]!))));
  return missing.length === 0 ? false : `needs ${missing.map((kind) => makers[kind][0]).join(', ')}`;
}

export async function openLoopFileSystem(kind: FileSystemKind, sizeMb: number): Promise<LoopFileSystem> {
  const folder = mkdtempSync(join(tmpdir(), `tm-${kind}-`));
  const image = join(folder, 'image');
  const path = join(folder, 'fs');
  writeFileSync(image, '');
  truncateSync(image, sizeMb * 1048576);
  const [program, ...args] = makers[kind];
  mkdirSync(path);
  const env = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };
  await requireProgram(program!, [...args, image], { deadlineMs: 60_000, env });
  await requireProgram('mount', ['-o', 'loop', image, path], { deadlineMs: 30_000, env });
  return {
    kind,
    path,
    async [Symbol.asyncDispose]() {
      await until(`umount ${path}`, 30_000, async () => await requireProgram('umount', [path], { deadlineMs: 30_000, env }).catch(() => undefined), { everyMs: 200 });
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
