import assert from 'node:assert/strict';
import { test } from 'node:test';
import { layouts } from './protocol.ts';

/** Sizes of the kernel's structures, from its header linux/fuse.h. */
const kernelBytes: Record<keyof typeof layouts, number> = {
  requestHeader: 40,
  answerHeader: 16,
  initRequest: 16,
  initAnswer: 64,
  attributes: 88,
  attributesAnswer: 104,
  entryAnswer: 128,
  setAttributesRequest: 88,
  forgetRequest: 8,
  forgetManyRequest: 8,
  forgetOne: 16,
  makeNodeRequest: 16,
  makeDirectoryRequest: 8,
  createRequest: 16,
  renameRequest: 8,
  rename2Request: 16,
  openAnswer: 16,
  releaseRequest: 8,
  readRequest: 40,
  writeRequest: 40,
  writeAnswer: 8,
  allocateRequest: 32,
  directoryEntry: 24,
  statAnswer: 80,
};

test('every message is as long as the kernel says', () => {
  const bytes = Object.fromEntries(Object.entries(layouts).map(([name, { bytes: length }]) => [name, length]));
  assert.deepEqual(bytes, kernelBytes);
});

test('a message that was written reads the same, with sizes beyond 32 bits', () => {
  const values = { node: 7, generation: 0, entrySeconds: 3600, attributeSeconds: 3600, entryNs: 1, attributeNs: 2, inode: 7, size: 2 ** 45 + 3, blocks: 2 ** 36, accessed: 1, modified: 2, changed: 3 };
  const rest = { accessedNs: 999_999_999, modifiedNs: 0, changedNs: 4, mode: 0o100600, links: 1, uid: 0xffff_fffe, gid: 5, device: 0, blockBytes: 4096, flags: 0 };
  const buffer = layouts.entryAnswer.make({ ...values, ...rest });
  assert.deepEqual(layouts.entryAnswer.read(buffer), { ...values, ...rest });
});
