/** Disasters around a mount: its server or its owner is killed, the archive is damaged, the disk is full, two want one overlay. */
import assert from 'node:assert/strict';
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { until, withDeadline } from '../../src/base/deadline.ts';
import { isFailure } from '../../src/base/failure.ts';
import { openLog } from '../../src/base/log.ts';
import { mountNoWay, mountProcessEnded, overlayInUse } from '../../src/mount/failures.ts';
import { ownMountsBelow } from '../../src/mount/mount-table.ts';
import { removeStaleMounts } from '../../src/mount/stale.ts';
import { chanceFrom } from '../kit/seeded.ts';
import type { HolderJob } from '../kit/mount-holder.ts';
import { mountProgram, noMounts, openMountBench, type MountBench } from '../kit/mounts.ts';

const patientMs = 60_000;
const options = { skip: noMounts, timeout: 120_000 };

function codeOf(run: () => unknown): string | undefined {
  try {
    run();
    return undefined;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}

type Held = { mode?: string; directory?: string; pid?: number; shown?: { stdout: string }; failure?: { code: string; message: string } };

async function hold(bench: MountBench, job: Partial<HolderJob>, before: readonly string[] = []): Promise<{ held: Held; child: ChildProcess }> {
  const text = JSON.stringify({ point: bench.point, workDirectory: bench.work, program: mountProgram, ...job });
  const [program, ...args] = [...before, process.execPath, join(import.meta.dirname, '../kit/mount-holder.ts'), text];
  const child = spawn(program!, args, { stdio: ['ignore', 'pipe', 'ignore'] });
  const line = await withDeadline('the holder', patientMs, async () => {
    for await (const first of createInterface({ input: child.stdout! })) return first;
    throw new Error('the holder said nothing');
  });
  return { held: JSON.parse(line) as Held, child };
}

test('a mount whose server is killed answers errors at once, is found and removed, and no other mount is touched', options, async () => {
  await using bench = openMountBench();
  await using other = openMountBench();
  for (const { point } of [bench, other]) fs.writeFileSync(join(point, 'data'), Buffer.alloc(100_000, 'd'));
  const mount = await bench.open();
  const alive = await other.open();
  const fd = fs.openSync(join(mount.directory, 'data'), 'r');
  process.kill(mount.pid!, 'SIGKILL');
  await assert.rejects(mount.broken, (error) => isFailure(error, mountProcessEnded));
  assert.equal(codeOf(() => fs.statSync(mount.directory)), 'ENOTCONN');
  assert.equal(codeOf(() => fs.readSync(fd, Buffer.alloc(10), 0, 10, 50_000)), 'ENOTCONN');
  assert.deepEqual(await removeStaleMounts(bench.root, openLog(() => {})), [mount.directory]);
  assert.equal(codeOf(() => fs.closeSync(fd)), 'ENOTCONN');
  assert.deepEqual(ownMountsBelow(bench.root), []);
  assert.equal(fs.readFileSync(join(alive.directory, 'data'), 'latin1').length, 100_000);
  await mount.close();
  assert.deepEqual(fs.readdirSync(bench.work), []);
});

test('when the process that opened a mount is killed, the mount goes by itself', options, async () => {
  await using bench = openMountBench();
  fs.writeFileSync(join(bench.point, 'data'), 'tide');
  const { held, child } = await hold(bench, { prefer: 'fuse', show: 'data' });
  assert.equal(held.shown?.stdout, 'tide');
  assert.equal(ownMountsBelow(bench.work).length, 1);
  // Its directory is in use, as by a mongod that has not ended yet.
  const fd = fs.openSync(join(held.directory!, 'data'), 'r');
  child.kill('SIGKILL');
  await until('the end of the mount', patientMs, () => (ownMountsBelow(bench.work).length === 0 ? true : undefined));
  fs.closeSync(fd);
  await until('the end of its server', patientMs, () => (fs.existsSync(`/proc/${held.pid}`) ? undefined : true));
});

test('a range that cannot be read answers EIO, is named, and everything around it is right', options, async () => {
  await using bench = openMountBench();
  const bytes = chanceFrom(3).bytes(4 << 20);
  fs.writeFileSync(join(bench.point, 'data'), bytes);
  fs.writeFileSync(`${bench.point}.damage.json`, JSON.stringify({ data: [2 << 20, 65_536] }));
  const mount = await bench.open();
  const fd = fs.openSync(join(mount.directory, 'data'), 'r+');
  const at = (from: number, count: number): Buffer => {
    const buffer = Buffer.alloc(count);
    assert.equal(fs.readSync(fd, buffer, 0, count, from), count);
    return buffer;
  };
  assert.equal(codeOf(() => at((2 << 20) + 100, 4096)), 'EIO');
  assert.equal(codeOf(() => fs.readFileSync(join(mount.directory, 'data'))), 'EIO');
  assert.deepEqual(at((2 << 20) - 4096, 4096), bytes.subarray((2 << 20) - 4096, 2 << 20));
  assert.deepEqual(at((2 << 20) + 65_536, 4096), bytes.subarray((2 << 20) + 65_536, (2 << 20) + 65_536 + 4096));
  // A write that would have to fetch the rest of its block from there is refused too, not filled with zeros.
  assert.equal(codeOf(() => fs.writeSync(fd, Buffer.from('x'), 0, 1, (2 << 20) + 10) === 1 && fs.fsyncSync(fd)), 'EIO');
  await until('the named trouble', patientMs, () => (mount.troubles.some(({ path, failure }) => path === 'data' && /does not match/.test(failure.message)) ? true : undefined));
  fs.closeSync(fd);
  await mount.close();
});

test('a second mount on the same overlay is refused, and the first goes on', options, async () => {
  await using bench = openMountBench();
  fs.writeFileSync(join(bench.point, 'data'), 'tide');
  const overlayDirectory = join(bench.root, 'overlay');
  const first = await bench.open({ overlayDirectory });
  await assert.rejects(bench.open({ overlayDirectory }), (error) => isFailure(error, overlayInUse));
  fs.appendFileSync(join(first.directory, 'data'), 'mark');
  await first.close();
  const second = await bench.open({ overlayDirectory });
  assert.equal(fs.readFileSync(join(second.directory, 'data'), 'latin1'), 'tidemark');
  await second.close();
});

test('a full disk below the overlay answers ENOSPC, and what was kept before is still right', options, async () => {
  await using bench = openMountBench();
  const bytes = chanceFrom(5).bytes(8 << 20);
  fs.writeFileSync(join(bench.point, 'data'), bytes);
  const small = join(bench.root, 'small');
  fs.mkdirSync(small);
  assert.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=3m', 'tmpfs', small]).status, 0);
  try {
    const overlayDirectory = join(small, 'overlay');
    const mount = await bench.open({ overlayDirectory });
    const fd = fs.openSync(join(mount.directory, 'data'), 'r+');
    fs.writeSync(fd, Buffer.alloc(1 << 20, 'k'), 0, 1 << 20, 0);
    fs.fsyncSync(fd);
    const fill = (): void => {
      fs.writeSync(fd, Buffer.alloc(4 << 20, 'f'), 0, 4 << 20, 2 << 20);
      fs.fsyncSync(fd);
    };
    assert.equal(codeOf(fill), 'ENOSPC');
    fs.closeSync(fd);
    await mount.close();
    assert.equal(spawnSync('mount', ['-o', 'remount,size=32m', small]).status, 0);
    const again = await bench.open({ overlayDirectory });
    const found = fs.readFileSync(join(again.directory, 'data'));
    const wanted = Buffer.from(bytes).fill('k', 0, 1 << 20);
    for (let at = 2 << 20; at < 6 << 20; at++) if (found[at] === 0x66) wanted[at] = 0x66;
    assert.ok(found.equals(wanted), 'every byte is the one before or the one written');
    await again.close();
  } finally {
    assert.equal(spawnSync('umount', [small]).status, 0);
  }
});

test('without /dev/fuse the point is laid down as files, the log says why, and a forced mount is refused', options, async () => {
  const lines: string[] = [];
  await using bench = openMountBench(openLog((line) => lines.push(line)));
  fs.mkdirSync(join(bench.point, 'journal'));
  fs.writeFileSync(join(bench.point, 'journal', 'data'), 'tide');
  const device = join(bench.root, 'no-fuse');
  const mount = await bench.open({ prefer: undefined, device });
  assert.equal(mount.mode, 'files');
  assert.match(lines.join(''), /no-fuse cannot be opened.*laid down as files/);
  fs.appendFileSync(join(mount.directory, 'journal', 'data'), 'mark');
  assert.equal(fs.readFileSync(join(bench.point, 'journal', 'data'), 'latin1'), 'tide');
  assert.ok((await mount.overlayBytes()) > 0);
  await mount.close();
  assert.deepEqual(fs.readdirSync(bench.work), []);
  await assert.rejects(bench.open({ prefer: 'fuse', device }), (error) => isFailure(error, mountNoWay));
  assert.deepEqual(fs.readdirSync(bench.work), []);
});

const noNamespaces = noMounts !== false ? noMounts : spawnSync('unshare', ['--user', '--map-root-user', '--mount', 'true']).status === 0 ? false : 'user namespaces are not allowed here';

test('somebody who is not root mounts in a user namespace, where only what is started inside sees it', { ...options, skip: noNamespaces }, async () => {
  const nobody = 65_534;
  await using bench = openMountBench();
  fs.writeFileSync(join(bench.point, 'data'), 'tide');
  // As on most distributions: everybody may open the device, and the right to mount is what is missing.
  const device = join(bench.root, 'fuse');
  assert.equal(spawnSync('mknod', [device, 'c', '10', '229']).status, 0);
  fs.chmodSync(device, 0o666);
  fs.chmodSync(bench.root, 0o755);
  fs.mkdirSync(bench.work);
  fs.chownSync(bench.work, nobody, nobody);
  const asNobody = ['setpriv', '--reuid', String(nobody), '--regid', String(nobody), '--clear-groups'];
  const { held, child } = await hold(bench, { show: 'data', device }, asNobody);
  assert.equal(held.mode, 'fuse-in-user-namespace', JSON.stringify(held));
  assert.equal(held.shown?.stdout, 'tide');
  assert.deepEqual(ownMountsBelow(bench.root), []);
  assert.deepEqual(fs.readdirSync(held.directory!), []);
  const ended = new Promise((resolve) => child.once('exit', resolve));
  child.kill('SIGTERM');
  assert.equal(await withDeadline('the end of the holder', patientMs, async () => await ended), 0);
  assert.deepEqual(fs.readdirSync(bench.work), []);
});
