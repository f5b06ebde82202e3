import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { requireBackupRoom } from '../../src/agent/backup-room.ts';
import { repositoryFull } from '../../src/agent/failures.ts';
import { isFailure } from '../../src/base/failure.ts';
import { fileSystemFull } from '../../src/mongo/failures.ts';
import { mountNoRoom } from '../../src/mount/failures.ts';
import { layDownPoint } from '../../src/mount/laid-down.ts';
import type { PointSource } from '../../src/mount/point-source.ts';
import { openDirectory } from '../../src/repository/storage/directory.ts';
import { openLoopFileSystem, whyNoLoops } from '../kit/file-system.ts';

const MiB = 1 << 20;

function pointOf(bytes: number): PointSource {
  return { files: [{ path: 'a.wt', bytes, mode: 0o600, read: async () => new Uint8Array(0), layDown: async (to) => writeFileSync(to, 'laid') }], close: async () => {} };
}

test('a point that does not fit is not laid down, and one that fits is', { skip: whyNoLoops('ext4') }, async () => {
  await using disk = await openLoopFileSystem('ext4', 64);
  const directory = join(disk.path, 'work');
  mkdirSync(directory);
  await assert.rejects(layDownPoint(pointOf(80 * MiB), directory), (error) => {
    assert.ok(isFailure(error, mountNoRoom));
    assert.match(error.message, /has 0\.0\d GB free; to lay down 0\.08 GB of files, 0\.09 GB must be free: their size and a twentieth to spare$/);
    return true;
  });
  assert.deepEqual(readdirSync(directory), []);
  const files = await layDownPoint(pointOf(5 * MiB), directory);
  assert.ok(existsSync(join(files, 'a.wt')));
});

test('a backup that has no room is refused before it begins, and the refusal names place, rule and next step', { skip: whyNoLoops('ext4') }, async () => {
  await using disk = await openLoopFileSystem('ext4', 64);
  const small = await openDirectory(disk.path);
  await assert.rejects(requireBackupRoom(small, tmpdir(), 3e9, true), (error) => {
    assert.ok(isFailure(error, repositoryFull));
    assert.match(error.message, /has 0\.0\d GB free; a backup of 3\.00 GB of data wants 0\.75 GB: a quarter of the data for the first restore point/);
    assert.match(error.hint, /tidemark point delete.*sweep/);
    return true;
  });
  const large = { place: 'large', freeBytes: async () => 1e12 };
  await assert.rejects(requireBackupRoom(large, disk.path, 1e6, false), (error) => isFailure(error, fileSystemFull) && /a backup needs 68 MiB at .* are free/.test(error.message));
  await requireBackupRoom(large, tmpdir(), 3e9, true);
  await requireBackupRoom({ place: 'it does not say', freeBytes: async () => null }, tmpdir(), 3e9, true);
});
