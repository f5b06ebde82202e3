/**
 * The tree: every file and directory of a mount, what the restore point brought and what was changed since.
 *
 * Every change is a value (`Change`) that `applyChange` turns into a new state of the tree, live and again when the
 * overlay's journal is replayed. Nodes of the restore point are numbered by their sorted paths, so that the same point gives
 * the same numbers each time; new nodes follow. A node that was removed lives on while the kernel still refers to it.
 */
import { createHash } from 'node:crypto';
import { BLOCK, BlockMap } from './block-map.ts';
import { pathRefused } from './failures.ts';
import { modes } from './protocol.ts';

/** A file of the restore point. `read` answers exactly the bytes asked for, or fails; it never answers wrong ones. */
export type MountedFile = { readonly path: string; readonly bytes: number; readonly mode: number; read(from: number, bytes: number): Promise<Uint8Array> };

/** `recordedMs` is the modification time that the journal knows. */
export type Times = { accessedMs: number; modifiedMs: number; recordedMs: number };

export function timesAt(ms: number): Times {
  return { accessedMs: ms, modifiedMs: ms, recordedMs: ms };
}

type NodeBase = {
  readonly id: number;
  name: string;
  parent: DirectoryNode | undefined;
  /** Permission bits. */
  mode: number;
  uid: number;
  gid: number;
  times: Times;
  /** References the kernel holds. */
  lookups: number;
};

export type DirectoryNode = NodeBase & { readonly kind: 'directory'; readonly children: Map<string, TreeNode> };

/**
 * Bytes of a file: kept blocks come from the overlay, others from `base` up to `baseBytes`, the rest is zeros.
 * `baseBytes` only shrinks: what a truncation cut off never shows again.
 */
export type FileNode = NodeBase & {
  readonly kind: 'file';
  readonly base: MountedFile | undefined;
  baseBytes: number;
  bytes: number;
  readonly kept: BlockMap;
};

export type TreeNode = FileNode | DirectoryNode;

export type Change =
  | readonly ['make', id: number, parent: number, name: string, kind: 'file' | 'directory', mode: number, uid: number, gid: number, atMs: number]
  | readonly ['remove', parent: number, name: string]
  | readonly ['rename', parent: number, name: string, newParent: number, newName: string]
  | readonly ['attributes', id: number, values: { mode?: number; uid?: number; gid?: number; modifiedMs?: number }]
  | readonly ['resize', id: number, bytes: number]
  | readonly ['keep', id: number, firstBlock: number, count: number, bytes: number];

export type Tree = { readonly root: DirectoryNode; readonly nodes: Map<number, TreeNode>; nextId: number };

export const ROOT_ID = 1;

export type Owner = { readonly uid: number; readonly gid: number };

export function plantTree(files: readonly MountedFile[], owner: Owner, atMs: number): Tree {
  const root: DirectoryNode = { kind: 'directory', id: ROOT_ID, name: '', parent: undefined, mode: 0o700, ...owner, times: timesAt(atMs), lookups: 1, children: new Map() };
  const tree: Tree = { root, nodes: new Map([[ROOT_ID, root]]), nextId: ROOT_ID + 1 };
  for (const file of sorted(files)) {
    const names = file.path.split('/');
    if (names.some((name) => name === '' || name === '.' || name === '..' || name.includes('\0'))) throw pathRefused({ path: file.path });
    const last = names.pop()!;
    let parent = root;
    for (const name of names) {
      const child = parent.children.get(name) ?? attach(tree, { kind: 'directory', id: tree.nextId++, name, parent, mode: 0o700, ...owner, times: timesAt(atMs), lookups: 0, children: new Map() });
      if (child.kind === 'file') throw pathRefused({ path: file.path });
      parent = child;
    }
    if (parent.children.has(last)) throw pathRefused({ path: file.path });
    const mode = file.mode & 0o7777;
    attach(tree, { kind: 'file', id: tree.nextId++, name: last, parent, mode, ...owner, times: timesAt(atMs), lookups: 0, base: file, baseBytes: file.bytes, bytes: file.bytes, kept: new BlockMap() });
  }
  return tree;
}

/** Same files, same digest: what tells that an overlay belongs to a restore point. */
export function digestOf(files: readonly MountedFile[]): string {
  const hash = createHash('sha256');
  for (const { path, bytes } of sorted(files)) hash.update(`${path}\0${bytes}\0`);
  return hash.digest('hex');
}

function sorted(files: readonly MountedFile[]): MountedFile[] {
  return [...files].sort((a, b) => (a.path < b.path ? -1 : 1));
}

function attach<N extends TreeNode>(tree: Tree, node: N): N {
  tree.nodes.set(node.id, node);
  node.parent!.children.set(node.name, node);
  return node;
}

/** Makes a change that was checked before (live) or recorded (replay). Answers a node that lost its last name. */
export function applyChange(tree: Tree, change: Change): TreeNode | undefined {
  switch (change[0]) {
    case 'make': {
      const [, id, parentId, name, kind, mode, uid, gid, atMs] = change;
      const common = { id, name, parent: directoryOf(tree, parentId), mode, uid, gid, times: timesAt(atMs), lookups: 0 };
      attach(tree, kind === 'directory' ? { ...common, kind, children: new Map() } : { ...common, kind, base: undefined, baseBytes: 0, bytes: 0, kept: new BlockMap() });
      tree.nextId = Math.max(tree.nextId, id + 1);
      return undefined;
    }
    case 'remove': {
      return detach(directoryOf(tree, change[1]), change[2]);
    }
    case 'rename': {
      const [, parentId, name, newParentId, newName] = change;
      const moved = detach(directoryOf(tree, parentId), name);
      const newParent = directoryOf(tree, newParentId);
      const replaced = newParent.children.has(newName) ? detach(newParent, newName) : undefined;
      moved.parent = newParent;
      moved.name = newName;
      newParent.children.set(newName, moved);
      return replaced;
    }
    case 'attributes': {
      const node = nodeOf(tree, change[1]);
      const { modifiedMs, ...rest } = change[2];
      Object.assign(node, rest);
      if (modifiedMs !== undefined) node.times.modifiedMs = node.times.recordedMs = modifiedMs;
      return undefined;
    }
    case 'resize': {
      const file = fileOf(tree, change[1]);
      const bytes = change[2];
      if (bytes < file.bytes) {
        file.baseBytes = Math.min(file.baseBytes, bytes);
        file.kept.removeFrom(Math.ceil(bytes / BLOCK));
      }
      file.bytes = bytes;
      return undefined;
    }
    case 'keep': {
      const [, id, firstBlock, count, bytes] = change;
      const file = fileOf(tree, id);
      file.kept.add(firstBlock, count);
      file.bytes = bytes;
      return undefined;
    }
  }
}

function detach(parent: DirectoryNode, name: string): TreeNode {
  const node = parent.children.get(name);
  if (node === undefined) throw new Error(`no ${name} in node ${parent.id}`);
  parent.children.delete(name);
  node.parent = undefined;
  return node;
}

function nodeOf(tree: Tree, id: number): TreeNode {
  const node = tree.nodes.get(id);
  if (node === undefined) throw new Error(`no node ${id}`);
  return node;
}

function directoryOf(tree: Tree, id: number): DirectoryNode {
  const node = nodeOf(tree, id);
  if (node.kind !== 'directory') throw new Error(`node ${id} is no directory`);
  return node;
}

function fileOf(tree: Tree, id: number): FileNode {
  const node = nodeOf(tree, id);
  if (node.kind !== 'file') throw new Error(`node ${id} is no file`);
  return node;
}

export function typeOf(node: TreeNode): number {
  return node.kind === 'directory' ? modes.directory : modes.file;
}

/** The path below the mount, for messages. */
export function pathOf(node: TreeNode): string {
  const names: string[] = [];
  for (let at: TreeNode | undefined = node; at !== undefined && at.id !== ROOT_ID; at = at.parent) names.unshift(at.name);
  return names.join('/');
}
