/**
 * Open directories. Each holds the list of names it had when it was opened (or rewound), so that a listing over many
 * requests neither skips nor repeats a name while files come and go.
 */
import type { FuseAnswer, FuseRequest } from './fuse-device.ts';
import type { Handlers } from './handler.ts';
import { entryOf } from './node-attributes.ts';
import { layouts } from './protocol.ts';
import { typeOf, type DirectoryNode, type TreeNode } from './tree.ts';

type Listed = { readonly name: string; readonly node: TreeNode };

export function openDirectoryListings(requireDirectory: (id: number) => DirectoryNode): Handlers {
  const open = new Map<number, Listed[]>();
  let nextHandle = 1;

  const list = ({ node, body }: FuseRequest, plus: boolean): FuseAnswer => {
    const { handle, from, bytes } = layouts.readRequest.read(body);
    if (from === 0 || !open.has(handle)) open.set(handle, namesIn(requireDirectory(node)));
    const names = open.get(handle)!;
    const parts: Buffer[] = [];
    let room = bytes;
    for (let k = from; k < names.length; k++) {
      const record = recordOf(names[k]!, k + 1, plus, room);
      if (record === undefined) break;
      parts.push(record);
      room -= record.length;
    }
    return parts;
  };

  return {
    openDirectory({ node }) {
      requireDirectory(node);
      return [layouts.openAnswer.make({ handle: nextHandle++ })];
    },
    readDirectory: (request) => list(request, false),
    readDirectoryPlus: (request) => list(request, true),
    releaseDirectory({ body }) {
      open.delete(layouts.releaseRequest.read(body).handle);
      return [];
    },
  };
}

function namesIn(directory: DirectoryNode): Listed[] {
  const children = [...directory.children].map(([name, node]) => ({ name, node }));
  return [{ name: '.', node: directory }, { name: '..', node: directory.parent ?? directory }, ...children];
}

/** One record, or undefined when it does not fit. Only a record that is sent counts as a reference. */
function recordOf({ name, node }: Listed, next: number, plus: boolean, room: number): Buffer | undefined {
  const nameBytes = Buffer.byteLength(name);
  const entryBytes = plus ? layouts.entryAnswer.bytes : 0;
  const bytes = entryBytes + Math.ceil((layouts.directoryEntry.bytes + nameBytes) / 8) * 8;
  if (bytes > room) return undefined;
  const record = Buffer.alloc(bytes);
  // The kernel takes no reference to "." and "..", and none to a node that has gone since the directory was opened.
  if (plus && name !== '.' && name !== '..' && node.parent !== undefined) entryOf(node).copy(record);
  layouts.directoryEntry.write(record, entryBytes, { inode: node.id, next, nameBytes, type: typeOf(node) >> 12 });
  record.write(name, entryBytes + layouts.directoryEntry.bytes, 'utf8');
  return record;
}
