/**
 * One answer for each request of the kernel: its operations in terms of the overlay (handler.ts).
 *
 * The kernel caches names, attributes and pages as long as it likes (an hour, and again), because nothing changes but
 * through it. Permission checks, locks (fcntl, flock) and the order of conflicting operations are the kernel's too.
 * An operation without a handler gets ENOSYS, and the kernel does not ask again: FLUSH, ACCESS, LSEEK,
 * extended attributes, links, and FSYNC on a mount that is thrown away.
 */
import { systemClock, type Clock } from '../base/clock.ts';
import { Refused, requireDirectory } from './checked-nodes.ts';
import { openDirectoryListings } from './directory-listing.ts';
import { attributeHandlers, fileHandlers } from './file-handlers.ts';
import type { FuseAnswer, FuseRequest } from './fuse-device.ts';
import type { Handler, Handlers } from './handler.ts';
import { makingHandlers, removingHandlers } from './name-handlers.ts';
import type { Overlay } from './overlay.ts';
import { errors, operations, type Operation } from './protocol.ts';
import { sessionHandlers } from './session-handlers.ts';
import type { TreeNode } from './tree.ts';

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

export function openFuseServer(options: FuseServerOptions): FuseServer {
  const agreed = Promise.withResolvers<void>();
  const handlers = new Map<number, Handler>();
  const add = (table: Handlers): void => {
    for (const [name, handler] of Object.entries(table)) handlers.set(operations[name as Operation], handler);
  };
  const parts = { overlay: options.overlay, overlayDirectory: options.overlayDirectory, clock: options.clock ?? systemClock };
  add(sessionHandlers(parts, agreed.resolve));
  add(makingHandlers(parts));
  add(removingHandlers(parts));
  add(fileHandlers(parts));
  add(attributeHandlers(parts));
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
