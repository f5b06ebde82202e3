/**
 * The overlay: a restore point that can be written to. Reads come from the point, writes stay in a directory beside it.
 *
 *   overlay/lock      held by the one server that uses the overlay
 *   overlay/journal   every change of the tree and of the block maps (overlay-journal.ts)
 *   overlay/blocks/N  the blocks written to file N, each at its own offset (kept-blocks.ts)
 *
 * Order of a write, and why:
 *   1. blocks     whole 4 KiB blocks; while the journal does not name them nobody reads them
 *   2. journal    from here the blocks count
 *   3. answer     so what the kernel was told is there after a kill -9 of the server at any moment
 * A truncation goes the other way round (journal, then the file is cut), and a start cuts again what a kill left long.
 *
 * A power cut: an overlay that is thrown away ignores fsync and is refused after the machine has started again. A kept
 * one forces blocks, then the journal, to disk at each fsync. Not promised: blocks written after the last fsync may
 * then be zeros, as on a file system without a journal for data.
 */
import { closeSync, mkdirSync, openSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock, type Clock } from '../base/clock.ts';
import { withDeadline } from '../base/deadline.ts';
import { tryLockFile } from '../base/native.ts';
import { BLOCK } from './block-map.ts';
import { overlayForeign, overlayInUse, overlayLost, readShort } from './failures.ts';
import { openKeptBlocks, type KeptBlocks } from './kept-blocks.ts';
import { openJournal, type OverlayJournal } from './overlay-journal.ts';
import { applyChange, digestOf, plantTree, timesAt, type Change, type FileNode, type MountedFile, type Owner, type Tree, type TreeNode } from './tree.ts';

export type OverlayOptions = {
  readonly files: readonly MountedFile[];
  readonly directory: string;
  readonly throwAway: boolean;
  readonly owner: Owner;
  readonly clock?: Clock;
  /** Changes with every start of the machine. */
  readonly boot?: string;
  /** How long a read of the point may take. */
  readonly readMs?: number;
};

export class Overlay {
  readonly tree: Tree;
  readonly throwAway: boolean;
  private readonly journal: OverlayJournal;
  private readonly blocks: KeptBlocks;
  private readonly lockFd: number;
  private readonly readMs: number;
  private isClosed = false;
  /** The last write to a file that had to fetch a part of its block from the point; later ones line up behind it. */
  private readonly filling = new Map<number, Promise<void>>();

  constructor(tree: Tree, throwAway: boolean, journal: OverlayJournal, blocks: KeptBlocks, lockFd: number, readMs: number) {
    this.tree = tree;
    this.throwAway = throwAway;
    this.journal = journal;
    this.blocks = blocks;
    this.lockFd = lockFd;
    this.readMs = readMs;
  }

  change(change: Change): void {
    this.journal.append(change);
    const nameless = applyChange(this.tree, change);
    if (nameless !== undefined) this.dropIfUnused(nameless);
  }

  forget(id: number, lookups: number): void {
    const node = this.tree.nodes.get(id);
    if (node === undefined || node === this.tree.root) return;
    node.lookups = Math.max(0, node.lookups - lookups);
    this.dropIfUnused(node);
  }

  resize(file: FileNode, bytes: number): void {
    if (bytes === file.bytes) return;
    const shrinks = bytes < file.bytes;
    this.change(['resize', file.id, bytes]);
    if (shrinks) this.blocks.trim(file.id, bytes);
  }

  /** Answers fewer bytes only at the end of the file. */
  async read(file: FileNode, from: number, bytes: number): Promise<Uint8Array> {
    const end = Math.min(from + bytes, file.bytes);
    if (end <= from) return new Uint8Array(0);
    const part = basePart(file, from, end);
    if (part === undefined) {
      const isEmpty = end - from <= zeros.length && !keepsAny(file, from, end);
      return isEmpty ? zeros.subarray(0, end - from) : this.compose(file, from, end, undefined, 0);
    }
    const base = await this.readBase(file, part.from, part.end);
    const whole = part.from === from && part.end === end;
    if (whole && file.baseBytes >= end && !keepsAny(file, from, end)) return base;
    // What was written meanwhile is kept by now and wins; what was cut off meanwhile is beyond baseBytes.
    return this.compose(file, from, end, base, part.from);
  }

  /** Keeps `bytes` at `from`. A promise only where a part of a block must first be fetched from the point. */
  write(file: FileNode, from: number, bytes: Uint8Array): Promise<void> | undefined {
    const before = this.filling.get(file.id);
    if (before === undefined && !needsFill(file, from, bytes.length)) {
      this.writeBlocks(file, from, bytes);
      return undefined;
    }
    const done = (before ?? Promise.resolve()).catch(() => {}).then(async () => await this.fillAndWrite(file, from, bytes));
    this.filling.set(file.id, done);
    const clear = (): void => {
      if (this.filling.get(file.id) === done) this.filling.delete(file.id);
    };
    done.then(clear, clear);
    return done;
  }

  /**
   * The kernel sends a file's modification time with every fsync. The journal gets it when it was set on purpose, or is a
   * minute off: a mongod that syncs a hundred times a second would fill the disk with times.
   */
  touch(node: TreeNode, modifiedMs: number, onPurpose: boolean): void {
    if (onPurpose || Math.abs(modifiedMs - node.times.recordedMs) > 60_000) this.change(['attributes', node.id, { modifiedMs }]);
    else node.times.modifiedMs = modifiedMs;
  }

  sync(file: FileNode): void {
    if (this.throwAway) return;
    this.blocks.sync(file.id);
    this.journal.sync();
  }

  syncTree(): void {
    if (!this.throwAway) this.journal.sync();
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.blocks.close();
    this.journal.close();
    closeSync(this.lockFd);
  }

  private async fillAndWrite(file: FileNode, from: number, bytes: Uint8Array): Promise<void> {
    for (const block of edgeBlocks(from, bytes.length)) {
      if (!fillsBlock(file, block, from, bytes.length)) continue;
      const start = block * BLOCK;
      const base = await this.readBase(file, start, Math.min(start + BLOCK, file.baseBytes));
      if (!file.kept.has(block)) this.writeBlocks(file, start, base.subarray(0, Math.max(0, file.baseBytes - start)));
    }
    this.writeBlocks(file, from, bytes);
  }

  /** Pads what is new to whole blocks, so that bytes left by a killed server never show up beside it. */
  private writeBlocks(file: FileNode, from: number, bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    const end = from + bytes.length;
    const first = Math.floor(from / BLOCK);
    const last = Math.floor((end - 1) / BLOCK);
    const head = file.kept.has(first) ? 0 : from % BLOCK;
    const tail = file.kept.has(last) || end % BLOCK === 0 ? 0 : BLOCK - (end % BLOCK);
    const parts = [zeros.subarray(0, head), bytes, zeros.subarray(0, tail)].filter((part) => part.length > 0);
    this.blocks.write(file.id, parts, from - head);
    const size = Math.max(file.bytes, end);
    const added = file.kept.missing(first, last - first + 1);
    if (added !== undefined || size !== file.bytes) this.change(['keep', file.id, added?.first ?? first, added?.count ?? 0, size]);
  }

  private async readBase(file: FileNode, from: number, end: number): Promise<Uint8Array> {
    const base = file.base!;
    const bytes = await withDeadline(`bytes of ${base.path}`, this.readMs, async () => await base.read(from, end - from));
    if (bytes.length !== end - from) throw readShort({ path: base.path, from, wanted: end - from, got: bytes.length });
    return bytes;
  }

  private compose(file: FileNode, from: number, end: number, base: Uint8Array | undefined, baseFrom: number): Uint8Array {
    const out = Buffer.alloc(end - from);
    const first = Math.floor(from / BLOCK);
    for (const run of file.kept.runs(first, Math.ceil(end / BLOCK) - first)) {
      const start = Math.max(from, run.first * BLOCK);
      const stop = Math.min(end, (run.first + run.count) * BLOCK);
      if (run.kept) this.blocks.read(file.id, out.subarray(start - from, stop - from), start);
      else if (base !== undefined) {
        const upTo = Math.min(stop, file.baseBytes);
        if (upTo > start) out.set(base.subarray(start - baseFrom, upTo - baseFrom), start - from);
      }
    }
    return out;
  }

  private dropIfUnused(node: TreeNode): void {
    if (node.parent !== undefined || node.lookups > 0) return;
    this.tree.nodes.delete(node.id);
    if (node.kind === 'file') this.blocks.delete(node.id);
  }
}

/** As long as the longest read: a mongod looks through a hundred megabytes of empty journal at each start. */
const zeros = new Uint8Array(1 << 20);

/** A repository that does not answer becomes an error: a program that waits for the mount cannot even be killed. */
const patienceMs = 60_000;

export function openOverlay(options: OverlayOptions): Overlay {
  const { directory, files, throwAway } = options;
  const nowMs = (options.clock ?? systemClock).now();
  const tree = plantTree(files, options.owner, nowMs);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const lockFd = openSync(join(directory, 'lock'), 'a', 0o600);
  let journal: OverlayJournal | undefined;
  try {
    if (!tryLockFile(lockFd)) throw overlayInUse({ directory });
    const boot = options.boot ?? readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim();
    journal = openJournal(join(directory, 'journal'), { digest: digestOf(files), boot, throwAway, madeAtMs: nowMs });
    const { heading, changes } = journal;
    if (heading.digest !== digestOf(files)) throw overlayForeign({ directory });
    if (heading.throwAway && heading.boot !== boot) throw overlayLost({ directory });
    for (const node of tree.nodes.values()) node.times = timesAt(heading.madeAtMs);
    for (const change of changes) applyChange(tree, change);
    const blocks = openKeptBlocks(join(directory, 'blocks'));
    tidy(tree, blocks);
    return new Overlay(tree, heading.throwAway, journal, blocks, lockFd, options.readMs ?? patienceMs);
  } catch (error) {
    journal?.close();
    closeSync(lockFd);
    throw error;
  }
}

/** Drops nodes without a name and blocks without a node, and cuts what a kill left between journal and file. */
function tidy(tree: Tree, blocks: KeptBlocks): void {
  for (const node of tree.nodes.values()) {
    if (node.parent === undefined && node !== tree.root) tree.nodes.delete(node.id);
  }
  for (const id of blocks.ids()) {
    const node = tree.nodes.get(id);
    if (node?.kind === 'file' && node.kept.count > 0) blocks.trim(id, node.bytes);
    else blocks.delete(id);
  }
}

/** The smallest range of the point's own bytes that a read needs. */
function basePart(file: FileNode, from: number, end: number): { from: number; end: number } | undefined {
  if (file.base === undefined || from >= file.baseBytes) return undefined;
  let low = -1;
  let high = -1;
  const first = Math.floor(from / BLOCK);
  for (const run of file.kept.runs(first, Math.ceil(end / BLOCK) - first)) {
    if (run.kept) continue;
    const start = Math.max(from, run.first * BLOCK);
    const stop = Math.min(end, (run.first + run.count) * BLOCK, file.baseBytes);
    if (stop <= start) continue;
    if (low < 0) low = start;
    high = stop;
  }
  return low < 0 ? undefined : { from: low, end: high };
}

function keepsAny(file: FileNode, from: number, end: number): boolean {
  if (file.kept.count === 0) return false;
  for (let block = Math.floor(from / BLOCK); block * BLOCK < end; block++) if (file.kept.has(block)) return true;
  return false;
}

function edgeBlocks(from: number, bytes: number): number[] {
  if (bytes === 0) return [];
  const first = Math.floor(from / BLOCK);
  const last = Math.floor((from + bytes - 1) / BLOCK);
  return first === last ? [first] : [first, last];
}

function fillsBlock(file: FileNode, block: number, from: number, bytes: number): boolean {
  const start = block * BLOCK;
  if (start >= file.baseBytes || file.kept.has(block)) return false;
  return from > start || from + bytes < Math.min(start + BLOCK, file.baseBytes);
}

function needsFill(file: FileNode, from: number, bytes: number): boolean {
  return edgeBlocks(from, bytes).some((block) => fillsBlock(file, block, from, bytes));
}
