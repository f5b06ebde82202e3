/** Requests about names: found, made, removed, renamed. */
import { Refused, readName, requireChild, requireDirectory, requireEmpty } from './checked-nodes.ts';
import type { FuseAnswer, FuseRequest } from './fuse-device.ts';
import type { Handler, HandlerParts, Handlers } from './handler.ts';
import { entryOf } from './node-attributes.ts';
import { errors, layouts, modes, openFlags, renameFlags } from './protocol.ts';
import type { TreeNode } from './tree.ts';

export function makingHandlers({ overlay, clock }: HandlerParts): Handlers {
  const make = ({ node, uid, gid }: FuseRequest, name: string, kind: 'file' | 'directory', mode: number): TreeNode => {
    const parent = requireDirectory(overlay, node);
    if (parent.children.has(name)) throw new Refused(errors.EEXIST);
    const id = overlay.tree.nextId;
    overlay.change(['make', id, parent.id, name, kind, mode & 0o7777, uid, gid, clock.now()]);
    return overlay.tree.nodes.get(id)!;
  };
  return {
    lookup({ node, body }) {
      const child = requireDirectory(overlay, node).children.get(readName(body, 0));
      // Node 0 lets the kernel remember that the name is not there.
      return [child === undefined ? layouts.entryAnswer.make({ entrySeconds: 3600 }) : entryOf(child)];
    },
    makeNode(request) {
      const { mode } = layouts.makeNodeRequest.read(request.body);
      if ((mode & modes.typeMask) !== modes.file) throw new Refused(errors.EPERM);
      return [entryOf(make(request, readName(request.body, layouts.makeNodeRequest.bytes), 'file', mode))];
    },
    makeDirectory(request) {
      const { mode } = layouts.makeDirectoryRequest.read(request.body);
      return [entryOf(make(request, readName(request.body, layouts.makeDirectoryRequest.bytes), 'directory', mode))];
    },
    create(request) {
      const { mode } = layouts.createRequest.read(request.body);
      const made = make(request, readName(request.body, layouts.createRequest.bytes), 'file', mode);
      return [entryOf(made), layouts.openAnswer.make({ flags: openFlags.keepCache })];
    },
  };
}

export function removingHandlers({ overlay }: HandlerParts): Handlers {
  const remove = (kind: TreeNode['kind']): Handler => ({ node, body }) => {
    const parent = requireDirectory(overlay, node);
    const name = readName(body, 0);
    const child = requireChild(parent, name);
    if (kind === 'directory' && child.kind === 'file') throw new Refused(errors.ENOTDIR);
    if (kind === 'file' && child.kind === 'directory') throw new Refused(errors.EISDIR);
    requireEmpty(child);
    overlay.change(['remove', parent.id, name]);
    return [];
  };
  const rename = ({ node, body }: FuseRequest, newParentId: number, flags: number, namesAt: number): FuseAnswer => {
    if ((flags & ~renameFlags.noReplace) !== 0) throw new Refused(errors.EINVAL);
    const name = readName(body, namesAt);
    const newName = readName(body, namesAt + Buffer.byteLength(name) + 1);
    const [parent, newParent] = [requireDirectory(overlay, node), requireDirectory(overlay, newParentId)];
    const child = requireChild(parent, name);
    const replaced = newParent.children.get(newName);
    if (replaced === child) return [];
    if (replaced !== undefined) {
      if ((flags & renameFlags.noReplace) !== 0) throw new Refused(errors.EEXIST);
      if (child.kind === 'directory' && replaced.kind === 'file') throw new Refused(errors.ENOTDIR);
      if (child.kind === 'file' && replaced.kind === 'directory') throw new Refused(errors.EISDIR);
      requireEmpty(replaced);
    }
    overlay.change(['rename', parent.id, name, newParent.id, newName]);
    return [];
  };
  return {
    unlink: remove('file'),
    removeDirectory: remove('directory'),
    rename: (request) => rename(request, layouts.renameRequest.read(request.body).newParent, 0, layouts.renameRequest.bytes),
    rename2(request) {
      const { newParent, flags } = layouts.rename2Request.read(request.body);
      return rename(request, newParent, flags, layouts.rename2Request.bytes);
    },
  };
}
