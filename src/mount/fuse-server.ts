/**
 * One answer for each request of the kernel: its operations in terms of the overlay.
 *
 * The kernel caches names, attributes and pages as long as it likes (an hour, and again), because nothing changes but
 * through it. Permission checks, locks (fcntl, flock) and the order of conflicting operations are the kernel's too.
 * An operation without an entry in the table below gets ENOSYS, and the kernel does not ask again: FLUSH, ACCESS, LSEEK,
 * extended attributes, links, and FSYNC on a mount that is thrown away.
 */
import { statfsSync } from 'node:fs';
import { systemClock, type Clock } from '../base/clock.ts';
import type { FuseAnswer, FuseRequest } from './fuse-device.ts';
import { maxWriteBytes } from './fuse-device.ts';
import { openDirectoryListings } from './directory-listing.ts';
import { attributesOf, entryOf } from './node-attributes.ts';
import type { Overlay } from './overlay.ts';
import { allocateFlags, attributeBits, errors, initFlags, layouts, modes, openFlags, operations, renameFlags } from './protocol.ts';
import type { DirectoryNode, FileNode, TreeNode } from './tree.ts';

export type FuseServer = {
  handle(request: FuseRequest): FuseAnswer | Promise<FuseAnswer>;
  /** Resolves once the kernel has agreed on a version. */
  readonly agreed: Promise<void>;
};

export type FuseServerOptions = {
  readonly overlay: Overlay;
  readonly overlayDirectory: string;
  readonly clock?: Clock;
  /** Called for every read or write that had to be answered with EIO. */
  readonly onError: (node: TreeNode | undefined, operation: string, error: unknown) => void;
};

type Handler = (request: FuseRequest) => FuseAnswer | Promise<FuseAnswer>;

/** An errno as the outcome of an operation. */
class Refused extends Error {
  readonly errno: number;
  constructor(errno: number) {
    super(`errno ${errno}`);
    this.errno = errno;
  }
}

const maxNameBytes = 255;

export function openFuseServer(options: FuseServerOptions): FuseServer {
  const agreed = Promise.withResolvers<void>();
  const handlers = new Map<number, Handler>();
  const add = (table: Partial<Record<keyof typeof operations, Handler>>): void => {
    for (const [name, handler] of Object.entries(table)) handlers.set(operations[name as keyof typeof operations], handler);
  };
  add(sessionHandlers(options, agreed.resolve));
  add(nameHandlers(options));
  add(fileHandlers(options));
  add(openDirectoryListings((id) => requireDirectory(options.overlay, id)));

  const failed = (request: FuseRequest, error: unknown): number => {
    if (error instanceof Refused) return error.errno;
    const name = Object.entries(operations).find(([, number]) => number === request.operation)?.[0] ?? 'unknown';
    options.onError(options.overlay.tree.nodes.get(request.node), name, error);
    const errno = -((error as NodeJS.ErrnoException).errno ?? 0);
    return errno === errors.ENOSPC ? errno : errors.EIO;
  };
  return {
    agreed: agreed.promise,
    handle(request) {
      const handler = handlers.get(request.operation);
      if (handler === undefined) return errors.ENOSYS;
      try {
        const answer = handler(request);
        return answer instanceof Promise ? answer.catch((error: unknown) => failed(request, error)) : answer;
      } catch (error) {
        return failed(request, error);
      }
    },
  };
}

function sessionHandlers({ overlay, overlayDirectory }: FuseServerOptions, agree: () => void): Partial<Record<keyof typeof operations, Handler>> {
  const wanted =
    initFlags.asyncRead | initFlags.bigWrites | initFlags.readDirectoryPlus | initFlags.readDirectoryPlusAuto | initFlags.asyncDirectIo | initFlags.writebackCache | initFlags.parallelDirectories | initFlags.maxPages;
  return {
    init({ body }) {
      const asked = layouts.initRequest.read(body);
      // A newer major version: the kernel asks again with ours.
      if (asked.major > 7) return [layouts.initAnswer.make({ major: 7, minor: 31 })];
      if (asked.major < 7 || asked.minor < 28) return errors.EPROTO;
      agree();
      return [
        layouts.initAnswer.make({
          major: 7,
          minor: 31,
          maxReadAhead: 1 << 20,
          flags: asked.flags & wanted,
          maxBackground: 64,
          congestionThreshold: 48,
          maxWrite: maxWriteBytes,
          timeGranularityNs: 1,
          maxPages: maxWriteBytes / 4096,
        }),
      ];
    },
    destroy: () => [],
    // A read of the archive cannot be called back, so interrupts need not be sent.
    interrupt: () => errors.ENOSYS,
    statFileSystem() {
      const { bsize, blocks, bfree, bavail, files, ffree } = statfsSync(overlayDirectory);
      return [layouts.statAnswer.make({ blocks, free: bfree, available: bavail, files, filesFree: ffree, blockBytes: bsize, fragmentBytes: bsize, nameBytes: maxNameBytes })];
    },
    forget({ node, body }) {
      overlay.forget(node, layouts.forgetRequest.read(body).lookups);
      return 'none';
    },
    forgetMany({ body }) {
      const { count } = layouts.forgetManyRequest.read(body);
      for (let k = 0, at = layouts.forgetManyRequest.bytes; k < count; k++, at += layouts.forgetOne.bytes) {
        const one = layouts.forgetOne.read(body, at);
        overlay.forget(one.node, one.lookups);
      }
      return 'none';
    },
  };
}

function nameHandlers({ overlay, clock = systemClock }: FuseServerOptions): Partial<Record<keyof typeof operations, Handler>> {
  const make = ({ node, uid, gid }: FuseRequest, name: string, kind: 'file' | 'directory', mode: number): TreeNode => {
    const parent = requireDirectory(overlay, node);
    if (parent.children.has(name)) throw new Refused(errors.EEXIST);
    const id = overlay.tree.nextId;
    overlay.change(['make', id, parent.id, name, kind, mode & 0o7777, uid, gid, clock.now()]);
    return overlay.tree.nodes.get(id)!;
  };
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
    unlink: remove('file'),
    removeDirectory: remove('directory'),
    rename: (request) => rename(request, layouts.renameRequest.read(request.body).newParent, 0, layouts.renameRequest.bytes),
    rename2(request) {
      const { newParent, flags } = layouts.rename2Request.read(request.body);
      return rename(request, newParent, flags, layouts.rename2Request.bytes);
    },
    getAttributes: ({ node }) => [attributesOf(requireNode(overlay, node))],
    setAttributes({ node, body }) {
      const target = requireNode(overlay, node);
      const asked = layouts.setAttributesRequest.read(body);
      const has = (bit: number): boolean => (asked.valid & bit) !== 0;
      if (has(attributeBits.size)) overlay.resize(requireFile(overlay, node), asked.size);
      const nowMs = clock.now();
      if (has(attributeBits.accessed)) target.times.accessedMs = has(attributeBits.accessedNow) ? nowMs : milliseconds(asked.accessed, asked.accessedNs);
      if (has(attributeBits.modified)) overlay.touch(target, has(attributeBits.modifiedNow) ? nowMs : milliseconds(asked.modified, asked.modifiedNs), has(attributeBits.accessed));
      const values: { mode?: number; uid?: number; gid?: number } = {};
      if (has(attributeBits.mode)) values.mode = asked.mode & 0o7777;
      if (has(attributeBits.uid)) values.uid = asked.uid;
      if (has(attributeBits.gid)) values.gid = asked.gid;
      if (Object.keys(values).length > 0) overlay.change(['attributes', target.id, values]);
      return [attributesOf(target)];
    },
  };
}

function fileHandlers({ overlay }: FuseServerOptions): Partial<Record<keyof typeof operations, Handler>> {
  return {
    open({ node }) {
      requireFile(overlay, node);
      return [layouts.openAnswer.make({ flags: openFlags.keepCache })];
    },
    release: () => [],
    async read({ node, body }) {
      const { from, bytes } = layouts.readRequest.read(body);
      return [await overlay.read(requireFile(overlay, node), from, bytes)];
    },
    write({ node, body }) {
      const { from, bytes } = layouts.writeRequest.read(body);
      const done = layouts.writeAnswer.make({ bytes });
      const late = overlay.write(requireFile(overlay, node), from, body.subarray(layouts.writeRequest.bytes, layouts.writeRequest.bytes + bytes));
      return late === undefined ? [done] : late.then(() => [done]);
    },
    allocate({ node, body }) {
      const { from, bytes, mode } = layouts.allocateRequest.read(body);
      // Holes and zeroed ranges are not offered; programs then write zeros themselves.
      if ((mode & ~allocateFlags.keepSize) !== 0) throw new Refused(errors.EOPNOTSUPP);
      const file = requireFile(overlay, node);
      if (mode === 0 && from + bytes > file.bytes) overlay.resize(file, from + bytes);
      return [];
    },
    ...(overlay.throwAway
      ? {}
      : {
          sync({ node }: FuseRequest): FuseAnswer {
            overlay.sync(requireFile(overlay, node));
            return [];
          },
          syncDirectory(): FuseAnswer {
            overlay.syncTree();
            return [];
          },
        }),
  };
}

function milliseconds(seconds: number, nanoseconds: number): number {
  return seconds * 1000 + nanoseconds / 1e6;
}

function readName(body: Buffer, at: number): string {
  const end = body.indexOf(0, at);
  if (end < 0) throw new Refused(errors.EINVAL);
  if (end - at > maxNameBytes) throw new Refused(errors.ENAMETOOLONG);
  return body.toString('utf8', at, end);
}

function requireNode(overlay: Overlay, id: number): TreeNode {
  const node = overlay.tree.nodes.get(id);
  if (node === undefined) throw new Refused(errors.ESTALE);
  return node;
}

function requireDirectory(overlay: Overlay, id: number): DirectoryNode {
  const node = requireNode(overlay, id);
  if (node.kind !== 'directory') throw new Refused(errors.ENOTDIR);
  return node;
}

function requireFile(overlay: Overlay, id: number): FileNode {
  const node = requireNode(overlay, id);
  if (node.kind !== 'file') throw new Refused(errors.EISDIR);
  return node;
}

function requireChild(parent: DirectoryNode, name: string): TreeNode {
  const child = parent.children.get(name);
  if (child === undefined) throw new Refused(errors.ENOENT);
  return child;
}

function requireEmpty(node: TreeNode): void {
  if (node.kind === 'directory' && node.children.size > 0) throw new Refused(errors.ENOTEMPTY);
}
