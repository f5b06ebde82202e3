/** The mount program on a real archive: bytes come back exactly, and damage in the repository never becomes wrong bytes. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../../src/base/deadline.ts';
import { isFailure } from '../../src/base/failure.ts';
import { archiveMissing, pointMissing } from '../../src/repository/failures.ts';
import { openArchive } from '../../src/repository/archive.ts';
import { randomKey } from '../../src/repository/keys.ts';
import { makeArchive } from '../../src/repository/repository.ts';
import { openDirectory } from '../../src/repository/storage/directory.ts';
import type { MountMode } from '../../src/mount/open-mount.ts';
import type { SourceAccess } from '../../src/mount/point-source.ts';
import { noMounts, openMountBench, type MountBench } from '../kit/mounts.ts';
import { chanceFrom } from '../kit/seeded.ts';

const program = [process.execPath, join(import.meta.dirname, '../../src/main/mount.ts')];
const options = { skip: noMounts, timeout: 120_000 };
const setId = 'b'.repeat(24);
const MiB = 1 << 20;

type Stored = { readonly access: SourceAccess; readonly contents: ReadonlyMap<string, Buffer>; readonly repository: string };

/** A point with one file of several chunks, one of holes, one that is empty, and one in a directory. */
async function store(bench: MountBench): Promise<Stored> {
  const chance = chanceFrom(11);
  const repository = join(bench.root, 'repository');
  const storage = await openDirectory(repository, { create: true });
  const { key } = await makeArchive(storage, randomKey(), setId, 'rs0');
  const archive = await openArchive(storage, setId, key);
  const contents = new Map([
    ['collection.wt', chance.bytes(3 * MiB + 12_345)],
    ['holes.wt', Buffer.concat([Buffer.alloc(2 * MiB), chance.bytes(70_000)])],
    ['empty', Buffer.alloc(0)],
    ['journal/log.1', Buffer.alloc(200_000, 'tide')],
  ]);
  const writer = await archive.openWriter({ level: 'fast', workers: 1 });
  const files = [];
  for (const [path, content] of contents) {
    const from = join(bench.root, 'source');
    fs.writeFileSync(from, content);
    const answer = await writer.storeFile({ path, from, bytes: content.length, mode: 0o600 });
    assert.ok(answer.kind === 'stored');
    files.push(answer.file);
  }
  await writer.publish({ id: 'p1', checkpoint: { t: 100, i: 1 }, top: { t: 110, i: 1, term: 1 }, about: {}, files });
  await writer.close();
  const access = { archive: { location: { kind: 'directory' as const, path: repository }, secret: null, setId, keyHex: Buffer.from(key).toString('hex') }, point: 'p1' };
  return { access, contents, repository };
}

/** The bytes of each readable file; EIO where the mount refused to give any. */
function readAll(directory: string, paths: Iterable<string>): Map<string, Buffer | string | undefined> {
  const found = new Map<string, Buffer | string | undefined>();
  for (const path of paths) {
    try {
      found.set(path, fs.readFileSync(join(directory, path)));
    } catch (error) {
      found.set(path, (error as NodeJS.ErrnoException).code);
    }
  }
  return found;
}

for (const prefer of ['fuse', 'files'] satisfies MountMode[]) {
  test(`every file of a point is there byte for byte, as ${prefer}`, options, async () => {
    await using bench = openMountBench();
    const { access, contents } = await store(bench);
    const mount = await bench.open({ source: access, program, prefer, openSource: undefined });
    assert.deepEqual(readAll(mount.directory, contents.keys()), contents);
    assert.equal(fs.statSync(join(mount.directory, 'journal/log.1')).mode & 0o7777, 0o600);
    await mount.close();
    assert.deepEqual(fs.readdirSync(bench.work), []);
  });
}

test('a point that is not there, and a key that is not the archive\'s, fail with the repository\'s own words', options, async () => {
  await using bench = openMountBench();
  const { access } = await store(bench);
  await assert.rejects(bench.open({ source: { ...access, point: 'p2' }, program }), (error) => isFailure(error, pointMissing));
  const elsewhere = { ...access, archive: { ...access.archive, setId: 'c'.repeat(24) } };
  await assert.rejects(bench.open({ source: elsewhere, program }), (error) => isFailure(error, archiveMissing));
  assert.deepEqual(fs.readdirSync(bench.work), []);
});

const damages: { readonly title: string; readonly hurt: (pack: string) => void }[] = [
  {
    title: 'a flipped bit every 50 kB in the packs',
    hurt: (pack) => {
      const bytes = fs.readFileSync(pack);
      for (let at = 40_000; at < bytes.length; at += 50_000) bytes[at]! ^= 4;
      fs.writeFileSync(pack, bytes);
    },
  },
  { title: 'packs that have lost their second half', hurt: (pack) => fs.truncateSync(pack, Math.floor(fs.statSync(pack).size / 2)) },
  { title: 'packs that are gone', hurt: (pack) => fs.rmSync(pack) },
];

for (const { title, hurt } of damages) {
  test(`${title} become EIO and never wrong bytes`, options, async () => {
    await using bench = openMountBench();
    const { access, contents, repository } = await store(bench);
    const mount = await bench.open({ source: access, program });
    const packs = fs.readdirSync(repository, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile() && entry.parentPath.includes('pack'));
    assert.ok(packs.length > 0);
    for (const pack of packs) {
      const path = join(pack.parentPath, pack.name);
      fs.chmodSync(path, 0o600);
      hurt(path);
    }
    const found = readAll(mount.directory, contents.keys());
    for (const [path, bytes] of found) {
      if (typeof bytes === 'string') assert.equal(bytes, 'EIO', path);
      else assert.ok(bytes?.equals(contents.get(path)!), `${path} is right where it is given`);
    }
    assert.equal(found.get('collection.wt'), 'EIO');
    await until('the damage to be named', 30_000, () => (mount.troubles.some(({ path }) => path === 'collection.wt') ? true : undefined));
    await mount.close();
  });
}
