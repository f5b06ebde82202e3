/** Nodes and names of a request, or the errno that the kernel gets instead. */
import type { Overlay } from './overlay.ts';
import { errors } from './protocol.ts';
import type { DirectoryNode, FileNode, TreeNode } from './tree.ts';

/** An errno as the outcome of an operation. */
export class Refused extends Error {
  readonly errno: number;
  constructor(errno: number) {
    super(`errno ${errno}`);
    this.errno = errno;
  }
}

export const maxNameBytes = 255;

export function readName(body: Buffer, at: number): string {
  const end = body.indexOf(0, at);
  if (end < 0) throw new Refused(errors.EINVAL);
  if (end - at > maxNameBytes) throw new Refused(errors.ENAMETOOLONG);
  return body.toString('utf8', at, end);
}

export function requireNode(overlay: Overlay, id: number): TreeNode {
  const node = overlay.tree.nodes.get(id);
  if (node === undefined) throw new Refused(errors.ESTALE);
  return node;
}

export function requireDirectory(overlay: Overlay, id: number): DirectoryNode {
  const node = requireNode(overlay, id);
  if (node.kind !== 'directory') throw new Refused(errors.ENOTDIR);
  return node;
}

export function requireFile(overlay: Overlay, id: number): FileNode {
  const node = requireNode(overlay, id);
  if (node.kind !== 'file') throw new Refused(errors.EISDIR);
  return node;
}

export function requireChild(parent: DirectoryNode, name: string): TreeNode {
  const child = parent.children.get(name);
  if (child === undefined) throw new Refused(errors.ENOENT);
  return child;
}

export function requireEmpty(node: TreeNode): void {
  if (node.kind === 'directory' && node.children.size > 0) throw new Refused(errors.ENOTEMPTY);
}
