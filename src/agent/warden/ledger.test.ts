import assert from 'node:assert/strict';
import { appendFile, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { requireProgram } from '../../base/child-process.ts';
import { openLedger } from './ledger.ts';

const nowMs = 1_800_000_000_000;
const untilMs = nowMs + 86_400_000;

async function freshFolder(t: TestContext): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'tm-ledger-'));
  t.after(async () => await rm(folder, { recursive: true }));
  return folder;
}

async function readAgain(path: string): Promise<{ entries: [string, number][]; seenMs: number }> {
  const ledger = await openLedger(path);
  await ledger.close();
  return { entries: [...ledger.entries], seenMs: ledger.seenMs };
}

test('a line that was cut off anywhere counts neither by itself nor with what is written behind it', async (t) => {
  const path = join(await freshFolder(t), 'ledger');
  const first = await openLedger(path);
  await first.write([{ name: 'sets/a', untilMs }], nowMs);
  await first.close();
  const line = await readFile(path, 'utf8');
  for (let bytes = 1; bytes < line.length; bytes++) {
    await writeFile(path, line + line.slice(0, bytes));
    const ledger = await openLedger(path);
    await ledger.write([{ name: 'sets/b', untilMs }], nowMs + 1);
    await ledger.close();
    assert.deepEqual(await readAgain(path), { entries: [['sets/a', untilMs], ['sets/b', untilMs]], seenMs: nowMs + 1 }, String(bytes));
  }
});

test('a line that is not as it was written is passed over', async (t) => {
  const path = join(await freshFolder(t), 'ledger');
  const ledger = await openLedger(path);
  await ledger.write([{ name: 'sets/a', untilMs }], nowMs);
  await ledger.close();
  const line = await readFile(path, 'utf8');
  await appendFile(path, `1761764150${line}${line.replace('sets/a', 'sets/b')}${nowMs + 5} ${untilMs} sets/c\n`);
  assert.deepEqual(await readAgain(path), { entries: [['sets/a', untilMs]], seenMs: nowMs });
});

test('on a full disk nothing is half written: what comes after it is read as it was written', { skip: process.getuid?.() === 0 ? false : 'needs root, to mount' }, async (t) => {
  const folder = await freshFolder(t);
  await requireProgram('mount', ['-t', 'tmpfs', '-o', 'size=8k', 'none', folder], { deadlineMs: 5000 });
  const path = join(folder, 'ledger');
  try {
    const ledger = await openLedger(path);
    await ledger.write([{ name: 'sets/a', untilMs }], nowMs);
    const many = Array.from({ length: 400 }, (_, k) => ({ name: `sets/many/${k}`, untilMs }));
    await assert.rejects(ledger.write(many, nowMs + 1), { code: 'ENOSPC' });
    await requireProgram('mount', ['-o', 'remount,size=1m', folder], { deadlineMs: 5000 });
    await ledger.write([{ name: 'sets/b', untilMs }], nowMs + 2);
    await ledger.close();
    const good = { entries: [['sets/a', untilMs], ['sets/b', untilMs]], seenMs: nowMs + 2 };
    assert.deepEqual([await readAgain(path), (await readFile(path, 'utf8')).split('\n').length], [good, 3]);
  } finally {
    await requireProgram('umount', [folder], { deadlineMs: 5000 });
  }
});
