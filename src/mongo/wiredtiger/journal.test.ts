import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { commitRecord, isEmptyFrom, isJournal, operationsOn, putRow, readRecords } from './journal.ts';

let work: string;
before(() => void (work = mkdtempSync(join(tmpdir(), 'tm-journal-'))));
after(() => rmSync(work, { recursive: true, force: true }));

const key = (n: number): Buffer => Buffer.from(`key ${String(n).padStart(8, '0')}`);
const value = (n: number, bytes: number): Buffer => Buffer.alloc(bytes, n);
const record = (n: number, bytes = 100): Buffer => commitRecord([putRow(18, key(n), value(n, bytes)), putRow(19, key(n), Buffer.from('of another file'))]);

async function read(bytes: Buffer, offset = 0): Promise<{ keys: string[]; end: number }> {
  const path = join(work, 'journal');
  writeFileSync(path, bytes);
  await using file = await open(path);
  const keys: string[] = [];
  let end = offset;
  for await (const found of readRecords(file, offset)) {
    end = found.end;
    for (const operation of operationsOn(18, found)) keys.push(operation.kind === 'put' ? operation.key.toString() : operation.kind);
  }
  return { keys, end };
}

test('records come back in order, from any of them on, whatever their size', async () => {
  const records = [record(1), record(2, 9_000_000), record(3, 0), record(4, 127)];
  const whole = Buffer.concat(records);
  const keys = [1, 2, 3, 4].map((n) => key(n).toString());
  assert.deepEqual(await read(whole), { keys, end: whole.length });
  assert.deepEqual(await read(whole, records[0]!.length), { keys: keys.slice(1), end: whole.length });
  for (const each of records) assert.equal(each.length % 128, 0);
});

test('reading ends where recovery does: at zeros, at a torn record, at bytes of an older life of the file', async () => {
  const [first, second, third] = [record(1), record(2, 500), record(3)];
  const torn = Buffer.from(second);
  torn[300]! ^= 1;
  const only = { keys: [key(1).toString()], end: first.length };
  assert.deepEqual(await read(Buffer.concat([first, Buffer.alloc(128), third])), only);
  assert.deepEqual(await read(Buffer.concat([first, torn, third])), only);
  assert.deepEqual(await read(Buffer.concat([first, second.subarray(0, 256)])), only);
  assert.deepEqual(await read(Buffer.concat([first, Buffer.from('4f04030201', 'hex')])), only);
  assert.deepEqual(await read(Buffer.alloc(0)), { keys: [], end: 0 });
});

test('what follows the last record is nothing, or something', async () => {
  const path = join(work, 'tail');
  writeFileSync(path, Buffer.concat([record(1), Buffer.alloc(5 << 20), Buffer.from([1])]));
  await using file = await open(path);
  assert.equal(await isEmptyFrom(file, record(1).length), false);
  await file.close();
  truncateSync(path, record(1).length + (5 << 20));
  await using cut = await open(path);
  assert.equal(await isEmptyFrom(cut, record(1).length), true);
  assert.equal(await isEmptyFrom(cut, 1 << 30), true);
});

test('an encrypted record is refused, a journal of another version is none of ours', async () => {
  const encrypted = record(1);
  encrypted.writeUInt16LE(2, 8);
  await assert.rejects(read(rechecked(encrypted)), RangeError);
  const head = Buffer.alloc(128);
  head.writeUInt32LE(128, 0);
  head.writeUInt32LE(0x101064, 16);
  for (const [version, is] of [[5, true], [4, false], [6, false]] as const) {
    head.writeUInt16LE(version, 20);
    writeFileSync(join(work, 'head'), rechecked(head));
    await using file = await open(join(work, 'head'));
    assert.equal(await isJournal(file), is, `version ${version}`);
  }
});

/** With the checksum that belongs to its bytes, made by another way than the reader's. */
function rechecked(bytes: Buffer): Buffer {
  bytes.writeUInt32LE(0, 4);
  let crc = 0xffffffff;
  for (const byte of bytes) {
    crc ^= byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc & 1) === 1 ? (crc >>> 1) ^ 0x82f63b78 : crc >>> 1;
  }
  bytes.writeUInt32LE((crc ^ 0xffffffff) >>> 0, 4);
  return bytes;
}
