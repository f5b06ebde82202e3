/** Requests about the mount as a whole. */
import { statfsSync } from 'node:fs';
import { maxNameBytes } from './checked-nodes.ts';
import { maxWriteBytes } from './fuse-device.ts';
import type { HandlerParts, Handlers } from './handler.ts';
import { errors, initFlags, layouts } from './protocol.ts';

export function sessionHandlers({ overlay, overlayDirectory }: HandlerParts, agree: () => void): Handlers {
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
