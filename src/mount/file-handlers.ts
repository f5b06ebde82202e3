/** Requests about one file or directory: its attributes, its bytes. */
import { Refused, requireFile, requireNode } from './checked-nodes.ts';
import type { FuseAnswer, FuseRequest } from './fuse-device.ts';
import type { HandlerParts, Handlers } from './handler.ts';
import { attributesOf } from './node-attributes.ts';
import { allocateFlags, attributeBits, errors, layouts, openFlags } from './protocol.ts';

export function fileHandlers({ overlay }: HandlerParts): Handlers {
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

export function attributeHandlers({ overlay, clock }: HandlerParts): Handlers {
  return {
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

function milliseconds(seconds: number, nanoseconds: number): number {
  return seconds * 1000 + nanoseconds / 1e6;
}
