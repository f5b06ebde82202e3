/** How a node's attributes go to the kernel. */
import { layouts } from './protocol.ts';
import { typeOf, type TreeNode } from './tree.ts';

const validSeconds = 3600;

export function attributesOf(node: TreeNode): Buffer {
  return layouts.attributesAnswer.make({ validSeconds, ...fieldsOf(node) });
}

/** An answer that gives the kernel a reference to the node, which it gives back with FORGET. */
export function entryOf(node: TreeNode): Buffer {
  node.lookups++;
  return layouts.entryAnswer.make({ node: node.id, entrySeconds: validSeconds, attributeSeconds: validSeconds, ...fieldsOf(node) });
}

function fieldsOf(node: TreeNode) {
  const bytes = node.kind === 'file' ? node.bytes : 4096;
  const modified = split(node.times.modifiedMs);
  const accessed = split(node.times.accessedMs);
  return {
    inode: node.id,
    size: bytes,
    blocks: Math.ceil(bytes / 512),
    accessed: accessed.seconds,
    accessedNs: accessed.nanoseconds,
    modified: modified.seconds,
    modifiedNs: modified.nanoseconds,
    changed: modified.seconds,
    changedNs: modified.nanoseconds,
    mode: typeOf(node) | node.mode,
    links: node.kind === 'file' ? 1 : 2,
    uid: node.uid,
    gid: node.gid,
    blockBytes: 4096,
  };
}

function split(ms: number): { seconds: number; nanoseconds: number } {
  const seconds = Math.floor(ms / 1000);
  return { seconds, nanoseconds: Math.min(999_999_999, Math.floor((ms - seconds * 1000) * 1e6)) };
}
