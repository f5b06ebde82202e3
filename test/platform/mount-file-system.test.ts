/** The mount does what a plain directory does: the same operations on both give the same answers, names and bytes. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import * as fs from 'node:fs';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { chanceFrom, type Chance } from '../kit/seeded.ts';
import { noMounts, openMountBench, type MountBench } from '../kit/mounts.ts';

/** One operation on a directory; what it returns, or the code it fails with, must be the same on both. */
type Step = { readonly says: string; run(root: string): unknown };

const directories = ['', 'a', 'a/b', 'c'];
const names = ['one', 'two', 'three', 'four'];

function anyPath(chance: Chance): string {
  return join(chance.pick(directories), chance.pick(names));
}

function anyStep(chance: Chance): Step {
  const path = anyPath(chance);
  const other = anyPath(chance);
  const directory = chance.pick(directories.slice(1));
  const from = chance.pick([0, chance.below(5), chance.below(20_000), chance.below(300_000), 4096 * chance.below(40)]);
  const count = chance.pick([1, chance.below(100), 4096, chance.below(10_000), chance.below(200_000)]);
  const kinds: (() => Step)[] = [
    () => {
      const bytes = chance.bytes(count);
      return { says: `write ${path} ${from}+${count}`, run: (root) => withFile(join(root, path), 'r+', (fd) => fs.writeSync(fd, bytes, 0, count, from)) };
    },
    () => {
      const bytes = chance.bytes(count);
      return { says: `write anew ${path} ${count}`, run: (root) => fs.writeFileSync(join(root, path), bytes) };
    },
    () => {
      const bytes = chance.bytes(chance.below(300));
      return { says: `append ${path}`, run: (root) => fs.appendFileSync(join(root, path), bytes) };
    },
    () => ({ says: `read ${path} ${from}+${count}`, run: (root) => withFile(join(root, path), 'r', (fd) => readAt(fd, from, count)) }),
    () => ({ says: `truncate ${path} ${from}`, run: (root) => fs.truncateSync(join(root, path), from) }),
    () => ({ says: `unlink ${path}`, run: (root) => fs.unlinkSync(join(root, path)) }),
    () => ({ says: `rename ${path} ${other}`, run: (root) => fs.renameSync(join(root, path), join(root, other)) }),
    () => ({ says: `mkdir ${directory}`, run: (root) => fs.mkdirSync(join(root, directory), 0o750) }),
    () => ({ says: `rmdir ${directory}`, run: (root) => fs.rmdirSync(join(root, directory)) }),
    () => ({ says: `rename directory ${directory} ${path}`, run: (root) => fs.renameSync(join(root, directory), join(root, path)) }),
    () => ({ says: `rename directory back ${path} ${directory}`, run: (root) => fs.renameSync(join(root, path), join(root, directory)) }),
    () => ({ says: `create exclusively ${path}`, run: (root) => fs.closeSync(fs.openSync(join(root, path), 'wx', 0o640)) }),
    () => ({ says: `chmod ${path}`, run: (root) => fs.chmodSync(join(root, path), 0o600 | (count & 0o77)) }),
    () => ({ says: `touch ${path}`, run: (root) => fs.utimesSync(join(root, path), 1_700_000_000 + from, 1_600_000_000 + count) }),
    () => ({ says: `fsync ${path}`, run: (root) => withFile(join(root, path), 'r+', (fd) => fs.fsyncSync(fd)) }),
    () => ({ says: `list ${directory}`, run: (root) => fs.readdirSync(join(root, directory)).sort() }),
    () => {
      const bytes = chance.bytes(count);
      return { says: `use unlinked ${path}`, run: (root) => useUnlinked(join(root, path), bytes, from) };
    },
  ];
  return chance.pick(kinds)();
}

function withFile<T>(path: string, flags: string, use: (fd: number) => T): T {
  const fd = fs.openSync(path, flags);
  try {
    return use(fd);
  } finally {
    fs.closeSync(fd);
  }
}

function readAt(fd: number, from: number, count: number): Buffer {
  const buffer = Buffer.alloc(count);
  return buffer.subarray(0, fs.readSync(fd, buffer, 0, count, from));
}

function useUnlinked(path: string, bytes: Buffer, from: number): unknown {
  return withFile(path, 'r+', (fd) => {
    fs.unlinkSync(path);
    fs.writeSync(fd, bytes, 0, bytes.length, from);
    return [fs.fstatSync(fd).size, readAt(fd, Math.max(0, from - 10), bytes.length + 20), fs.existsSync(path)];
  });
}

function outcome(step: Step, root: string): unknown {
  try {
    return step.run(root);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code;
  }
}

/** Every name with its kind, mode and bytes. Times only where a step has set them: before 2025. */
function picture(root: string): unknown[] {
  return fs
    .readdirSync(root, { recursive: true, encoding: 'utf8' })
    .sort()
    .map((name) => {
      const path = join(root, name);
      const stat = fs.lstatSync(path);
      const set = stat.mtimeMs < 1_650_000_000_000 ? stat.mtimeMs : 'now';
      return stat.isDirectory() ? { name, mode: stat.mode } : { name, mode: stat.mode, size: stat.size, set, bytes: fs.readFileSync(path) };
    });
}

/** A point with files of awkward sizes, and a plain copy of it to compare with. */
function fill(bench: MountBench, chance: Chance): string {
  const plain = join(bench.root, 'plain');
  for (const [path, bytes] of [['one', 0], ['two', 4096], ['three', 123_457], ['a/one', 70_000], ['a/b/two', 1_048_577], ['c/four', 5]] as const) {
    for (const root of [bench.point, plain]) fs.mkdirSync(dirname(join(root, path)), { recursive: true, mode: 0o700 });
    const content = chance.bytes(bytes);
    fs.writeFileSync(join(bench.point, path), content, { mode: 0o600 });
    fs.writeFileSync(join(plain, path), content, { mode: 0o600 });
  }
  fs.chmodSync(plain, 0o700);
  return plain;
}

const rounds = 6;
const stepsInRound = 400;

test('random operations on a mount and on a plain directory give the same answers and the same tree, over restarts and kills of the server', { skip: noMounts, timeout: 120_000 }, async (t) => {
  const chance = chanceFrom();
  t.diagnostic(`seed ${chance.seed}`);
  await using bench = openMountBench();
  const plain = fill(bench, chance);
  const overlayDirectory = join(bench.root, 'overlay');
  for (let round = 0; round < rounds; round++) {
    const mount = await bench.open({ overlayDirectory });
    assert.deepEqual(picture(mount.directory), picture(plain), `after ${round} restarts, seed ${chance.seed}`);
    for (let k = 0; k < stepsInRound; k++) {
      const step = anyStep(chance);
      assert.deepEqual(outcome(step, mount.directory), outcome(step, plain), `${step.says}, step ${k} of round ${round}, seed ${chance.seed}`);
    }
    assert.deepEqual(picture(mount.directory), picture(plain), `at the end of round ${round}, seed ${chance.seed}`);
    if (round % 2 === 0) await mount.close();
    else {
      // What the kernel holds back goes to the server first; a killed server must have kept it.
      assert.equal(spawnSync('sync', ['-f', mount.directory]).status, 0);
      process.kill(mount.pid!, 'SIGKILL');
      await assert.rejects(mount.broken);
      await mount.close();
    }
  }
  assert.deepEqual(fs.readdirSync(bench.work), []);
});

test('what is written through a mapping of memory is read back, and the point itself never changes', { skip: noMounts, timeout: 60_000 }, async () => {
  await using bench = openMountBench();
  const bytes = chanceFrom(7).bytes(300_000);
  fs.writeFileSync(join(bench.point, 'data'), bytes);
  const mount = await bench.open();
  const script = "import mmap,sys\nf=open(sys.argv[1],'r+b')\nm=mmap.mmap(f.fileno(),0)\nm[100000:100005]=b'tide!'\nm.flush()\n";
  const { status, stderr } = spawnSync('python3', ['-c', script, join(mount.directory, 'data')], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  const wanted = Buffer.from(bytes);
  wanted.write('tide!', 100_000);
  assert.deepEqual(fs.readFileSync(join(mount.directory, 'data')), wanted);
  assert.deepEqual(fs.readFileSync(join(bench.point, 'data')), bytes);
  assert.ok((await mount.overlayBytes()) <= 8192, 'one block was kept');
  await mount.close();
  assert.deepEqual(fs.readdirSync(bench.work), []);
});

test('a thousand names in one directory are listed once each, also while files come and go', { skip: noMounts, timeout: 60_000 }, async () => {
  await using bench = openMountBench();
  const wanted = Array.from({ length: 1000 }, (_, k) => `collection-${k}--8126389127391289.wt`);
  for (const name of wanted) fs.writeFileSync(join(bench.point, name), name);
  const mount = await bench.open();
  assert.deepEqual(fs.readdirSync(mount.directory).sort(), [...wanted].sort());
  const directory = fs.opendirSync(mount.directory, { bufferSize: 8 });
  const seen: string[] = [];
  for (let entry = directory.readSync(); entry !== null; entry = directory.readSync()) {
    seen.push(entry.name);
    if (seen.length === 10) fs.writeFileSync(join(mount.directory, 'new'), '');
    if (seen.length === 20) fs.unlinkSync(join(mount.directory, 'new'));
  }
  directory.closeSync();
  assert.deepEqual(seen.filter((name) => name !== 'new').sort(), [...wanted].sort());
  await mount.close();
});

test('locks of one process keep another out, and are gone with it', { skip: noMounts, timeout: 60_000 }, async () => {
  await using bench = openMountBench();
  fs.writeFileSync(join(bench.point, 'mongod.lock'), '');
  const mount = await bench.open();
  const lockFile = join(mount.directory, 'mongod.lock');
  const held = spawnSync('flock', [lockFile, 'flock', '--nonblock', lockFile, 'true']);
  assert.equal(held.status, 1);
  assert.equal(spawnSync('flock', ['--nonblock', lockFile, 'true']).status, 0);
  await mount.close();
});
