import assert from 'node:assert/strict';
import { appendFileSync, cpSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isFailure } from '../base/failure.ts';
import { chanceFrom, type Chance } from '../../test/kit/seeded.ts';
import { overlayDamaged, overlayForeign, overlayInUse, overlayLost, pathRefused } from './failures.ts';
import { openOverlay, type Overlay } from './overlay.ts';
import type { FileNode, MountedFile } from './tree.ts';

const owner = { uid: 0, gid: 0 };

function pointFile(path: string, content: Buffer): MountedFile {
  return { path, bytes: content.length, mode: 0o600, read: async (from, bytes) => content.subarray(from, from + bytes) };
}

function inDirectory(use: (directory: string) => Promise<void>): () => Promise<void> {
  return async () => {
    const directory = mkdtempSync(join(tmpdir(), 'tm-mount-overlay-'));
    try {
      await use(directory);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  };
}

function open(directory: string, files: MountedFile[], more: { boot?: string; throwAway?: boolean; readMs?: number } = {}): Overlay {
  return openOverlay({ files, directory: join(directory, 'overlay'), throwAway: true, owner, boot: 'first', ...more });
}

function only(overlay: Overlay, name = 'data'): FileNode {
  const node = overlay.tree.root.children.get(name);
  assert.ok(node?.kind === 'file');
  return node;
}

async function content(overlay: Overlay, file = only(overlay)): Promise<Buffer> {
  return Buffer.from(await overlay.read(file, 0, file.bytes));
}

/** One write or truncation, on the overlay and on the bytes it should have. */
function anyChange(chance: Chance, size: number): { says: string; before: (bytes: Buffer) => Buffer; run: (overlay: Overlay) => Promise<void> } {
  const from = chance.below(size + 9000);
  if (chance.below(4) === 0) {
    const grown = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc(Math.max(0, from - bytes.length))]).subarray(0, from);
    return { says: `resize ${from}`, before: grown, run: async (overlay) => overlay.resize(only(overlay), from) };
  }
  const written = chance.bytes(1 + chance.below(chance.pick([50, 4096, 20_000])));
  const patched = (bytes: Buffer): Buffer => {
    const out = Buffer.alloc(Math.max(bytes.length, from + written.length));
    bytes.copy(out);
    written.copy(out, from);
    return out;
  };
  return { says: `write ${from}+${written.length}`, before: patched, run: async (overlay) => await overlay.write(only(overlay), from, written) };
}

test('bytes written, cut and grown at random read back, also after the overlay is opened anew', async (t) => {
  const chance = chanceFrom();
  t.diagnostic(`seed ${chance.seed}`);
  await inDirectory(async (directory) => {
    let wanted = chance.bytes(40_001);
    const files = [pointFile('data', wanted)];
    let overlay = open(directory, files);
    for (let k = 0; k < 300; k++) {
      const change = anyChange(chance, wanted.length);
      await change.run(overlay);
      wanted = change.before(wanted);
      if (k % 10 === 9) {
        overlay.close();
        overlay = open(directory, files);
      }
      assert.ok((await content(overlay)).equals(wanted), `${change.says}, step ${k}, seed ${chance.seed}`);
    }
    overlay.close();
  })();
});

test('a server killed between blocks and journal leaves every byte as it was before or after the write, never anything else', async (t) => {
  const chance = chanceFrom();
  t.diagnostic(`seed ${chance.seed}`);
  await inDirectory(async (directory) => {
    let wanted = chance.bytes(30_000);
    const files = [pointFile('data', wanted)];
    const overlay = open(directory, files);
    const journal = join(directory, 'overlay', 'journal');
    for (let k = 0; k < 80; k++) {
      const change = anyChange(chance, wanted.length);
      const length = readFileSync(journal).length;
      await change.run(overlay);
      const after = change.before(wanted);
      const grown = readFileSync(journal).length - length;
      const copy = join(directory, `killed-${k}`);
      cpSync(join(directory, 'overlay'), join(copy, 'overlay'), { recursive: true });
      truncateSync(join(copy, 'overlay', 'journal'), length + chance.below(grown + 1));
      const killed = open(copy, files);
      const found = await content(killed);
      assert.ok(found.length === wanted.length || found.length === after.length);
      for (let at = 0; at < found.length; at++) {
        const right = found[at] === (wanted[at] ?? 0) || found[at] === (after[at] ?? 0);
        assert.ok(right, `byte ${at} after ${change.says}, step ${k}, seed ${chance.seed}`);
      }
      // What a kill left behind must not show up when the file grows over it.
      killed.resize(only(killed), found.length + 10_000);
      assert.ok((await content(killed)).subarray(found.length).every((byte) => byte === 0), `after ${change.says}, step ${k}, seed ${chance.seed}`);
      killed.close();
      rmSync(copy, { recursive: true });
      wanted = after;
    }
    overlay.close();
  })();
});

test('two writes to one block of the point, the second before the first has fetched it, both count', inDirectory(async (directory) => {
  const bytes = Buffer.alloc(8192, 'p');
  const overlay = open(directory, [pointFile('data', bytes)]);
  await Promise.all([overlay.write(only(overlay), 10, Buffer.from('first')), overlay.write(only(overlay), 4000, Buffer.from('second'))]);
  bytes.write('first', 10);
  bytes.write('second', 4000);
  assert.deepEqual(await content(overlay), bytes);
  overlay.close();
}));

test('a file that answers fewer bytes than it has is an error, not a short read', inDirectory(async (directory) => {
  const overlay = open(directory, [{ path: 'data', bytes: 5000, mode: 0o600, read: async () => new Uint8Array(100) }]);
  await assert.rejects(async () => await overlay.read(only(overlay), 0, 5000), { code: 'mount.read-short' });
  overlay.close();
}));

test('a point that does not answer is an error after a while, for reads and for writes that need it', inDirectory(async (directory) => {
  const silent: MountedFile = { path: 'data', bytes: 5000, mode: 0o600, read: async () => await new Promise(() => {}) };
  const overlay = open(directory, [silent], { readMs: 20 });
  await assert.rejects(async () => await overlay.read(only(overlay), 0, 10), { code: 'base.deadline-passed' });
  await assert.rejects(async () => await overlay.write(only(overlay), 10, Buffer.from('x')), { code: 'base.deadline-passed' });
  assert.equal(only(overlay).kept.count, 0);
  overlay.close();
}));

test('an overlay in use, of another point, from before a restart or damaged is refused, and a torn last line is not damage', inDirectory(async (directory) => {
  const files = [pointFile('data', Buffer.alloc(10_000, 'x'))];
  const journal = join(directory, 'overlay', 'journal');
  const refused = (code: { code: string }, run: () => Overlay): void => assert.throws(run, (error) => isFailure(error, code));
  const first = open(directory, files);
  await first.write(only(first), 0, Buffer.alloc(4096, 'y'));
  refused(overlayInUse, () => open(directory, files));
  first.close();
  refused(overlayForeign, () => open(directory, [pointFile('data', Buffer.alloc(10_001))]));
  refused(overlayLost, () => open(directory, files, { boot: 'second' }));
  appendFileSync(journal, '0badc0de ["resize"');
  const torn = open(directory, files);
  assert.equal((await content(torn))[0], 'y'.charCodeAt(0));
  torn.close();
  const whole = readFileSync(journal);
  whole[whole.indexOf('["overlay"') + 20]! ^= 1;
  writeFileSync(journal, whole);
  refused(overlayDamaged, () => open(directory, files));
}));

test('an overlay that is kept is opened again after the machine has started anew', inDirectory(async (directory) => {
  const files = [pointFile('data', Buffer.alloc(10_000, 'x'))];
  const first = open(directory, files, { throwAway: false });
  await first.write(only(first), 0, Buffer.alloc(4096, 'y'));
  first.sync(only(first));
  first.close();
  const second = open(directory, files, { throwAway: false, boot: 'second' });
  assert.equal((await content(second)).toString('latin1', 4094, 4098), 'yyxx');
  second.close();
}));

test('a point with a path that leads out of the data directory is refused', inDirectory(async (directory) => {
  for (const path of ['../evil', '/etc/passwd', 'a//b', 'a/./b', '', 'a/..']) {
    assert.throws(() => open(directory, [pointFile(path, Buffer.alloc(1))]), (error) => isFailure(error, pathRefused), path);
  }
  assert.throws(() => open(directory, [pointFile('a', Buffer.alloc(1)), pointFile('a/b', Buffer.alloc(1))]), (error) => isFailure(error, pathRefused));
}));
