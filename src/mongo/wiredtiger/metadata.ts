/**
 * What WiredTiger's metadata says about its files: the turtle leads to the checkpoint of WiredTiger.wt, a row store whose
 * values are the configurations of all files, each with the address of its own checkpoint (WiredTiger 10 and 11, cell.h).
 */
import type { FileHandle } from 'node:fs/promises';
import { unpackAddress, type BlockAddress } from './block-file.ts';
import { unpackUint, type Cursor } from './integers.ts';
import { findRow, readRows, type Tree } from './row-store.ts';

/** Where a file's last checkpoint is: everything in the file that it needs, and where the list of what is free lies. */
export type FileCheckpoint = {
  readonly allocationBytes: number;
  readonly root: BlockAddress | undefined;
  readonly allocated: BlockAddress | undefined;
  readonly available: BlockAddress | undefined;
  readonly discarded: BlockAddress | undefined;
  /** The file's size at the checkpoint; what lies behind is cut off when the file is opened. */
  readonly bytes: number;
};

const cookieVersion = 1;

/** What names a file's checkpoint: allocation size and address. Short, because there is one for each of perhaps 100,000 files. */
export type CheckpointName = string & { readonly isCheckpointName: true };

/** The checkpoint in a file's configuration; undefined where there is none, or more than one. */
export function nameCheckpoint(configuration: string): CheckpointName | undefined {
  const allocation = /(?:^|,)allocation_size=(\d+)(KB|B)?(?:,|$)/.exec(configuration);
  const addresses = [...configuration.matchAll(/\baddr="([0-9a-f]*)"/g)];
  const address = addresses[0]?.[1];
  if (allocation === null || addresses.length !== 1 || address === undefined || address === '') return undefined;
  return `${Number(allocation[1]) * (allocation[2] === 'KB' ? 1024 : 1)} ${address}` as CheckpointName;
}

export function unpackCheckpoint(name: CheckpointName): FileCheckpoint | undefined {
  const [unit, address] = [Number(name.slice(0, name.indexOf(' '))), name.slice(name.indexOf(' ') + 1)];
  const cursor: Cursor = { bytes: Buffer.from(address, 'hex'), at: 1 };
  if (cursor.bytes[0] !== cookieVersion) return undefined;
  const [root, allocated, available, discarded] = [unpackAddress(cursor, unit), unpackAddress(cursor, unit), unpackAddress(cursor, unit), unpackAddress(cursor, unit)];
  return { allocationBytes: unit, root, allocated, available, discarded, bytes: unpackUint(cursor) };
}

/** Checkpoints by path of the file, as they are at the checkpoint that the turtle names. Undefined where there is none. */
export async function readMetadata(turtle: Buffer, file: FileHandle): Promise<Map<string, CheckpointName> | undefined> {
  const metadata = metadataTree(turtle, file);
  if (metadata === undefined) return undefined;
  const entries = new Map<string, CheckpointName>();
  for await (const { key, value } of readRows(metadata)) {
    const name = textOf(key);
    const checkpoint = name.startsWith(filePrefix) ? nameCheckpoint(textOf(value)) : undefined;
    if (checkpoint !== undefined) entries.set(name.slice(filePrefix.length), checkpoint);
  }
  return entries;
}

/** The configuration of one file, in a metadata of any size. */
export async function readConfiguration(turtle: Buffer, file: FileHandle, path: string): Promise<string | undefined> {
  const metadata = metadataTree(turtle, file);
  const row = metadata === undefined ? undefined : await findRow(metadata, Buffer.from(`${filePrefix}${path}\0`));
  return row === undefined ? undefined : textOf(row.value);
}

const filePrefix = 'file:';
/** That of WiredTiger.wt is fixed in WiredTiger. */
const metadataAllocationBytes = 4096;

function metadataTree(turtle: Buffer, file: FileHandle): Tree | undefined {
  const lines = turtle.toString('latin1').split('\n');
  const name = nameCheckpoint(lines[lines.indexOf('file:WiredTiger.wt') + 1] ?? '');
  const root = name === undefined ? undefined : unpackCheckpoint(name)?.root;
  return root === undefined ? undefined : { file, root, allocationBytes: metadataAllocationBytes };
}

function textOf(bytes: Buffer): string {
  return bytes.subarray(0, bytes.at(-1) === 0 ? bytes.length - 1 : bytes.length).toString('utf8');
}
