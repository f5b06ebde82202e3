import assert from 'node:assert/strict';
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { claimFolder, judgeFolder } from './own-folder.ts';
import { administrators, localSystem, type Security } from './security-descriptor.ts';

const trusted = new Set([localSystem, administrators]);
const users = 'S-1-5-32-545';
const folder = (security: Partial<Security>) => ({ kind: 'folder', security: { owner: administrators, isProtected: true, allowed: [localSystem, administrators], ...security } }) as const;

test('a folder of the system, closed, is taken as it is; one that is not there is made', () => {
  assert.deepEqual(judgeFolder(folder({}), trusted), { kind: 'ours' });
  assert.deepEqual(judgeFolder(folder({ owner: localSystem, allowed: [administrators] }), trusted), { kind: 'ours' });
  assert.deepEqual(judgeFolder({ kind: 'nothing' }, trusted), { kind: 'make' });
});

test('a folder of the system that others may use, or that gets rights from above, is closed', () => {
  for (const open of [{ allowed: [localSystem, users] }, { allowed: null }, { isProtected: false }, { allowed: ['an object'] }]) assert.deepEqual(judgeFolder(folder(open), trusted), { kind: 'close' }, JSON.stringify(open));
});

test('what belongs to another is refused however its rights look, and so is what is no folder', () => {
  for (const owner of ['S-1-5-21-1-2-3-1001', users, 'S-1-5-7']) assert.deepEqual(judgeFolder(folder({ owner }), trusted), { kind: 'refuse', why: `it belongs to ${owner}` });
  assert.deepEqual(judgeFolder(folder({ owner: null }), trusted), { kind: 'refuse', why: 'it belongs to nobody' });
  assert.deepEqual(judgeFolder({ kind: 'link' }, trusted), { kind: 'refuse', why: 'it is a link to another place' });
  assert.deepEqual(judgeFolder({ kind: 'file' }, trusted), { kind: 'refuse', why: 'it is a file' });
});

let place: string;
before(() => void (place = mkdtempSync(join(tmpdir(), 'tidemark-own-folder-'))));
after(() => rmSync(place, { recursive: true }));
const refused = (why: RegExp) => ({ code: 'base.folder-not-ours', message: why });

test('a folder is made for its owner alone, and taken again', () => {
  const made = join(place, 'made/here');
  claimFolder(made);
  claimFolder(made);
  assert.equal(statSync(made).mode & 0o777, 0o700);
});

test('an open folder is closed with all that is in it, and keeps it', () => {
  const open = join(place, 'open');
  mkdirSync(join(open, 'deep'), { recursive: true });
  writeFileSync(join(open, 'deep/kit.json'), 'a token');
  for (const path of [open, join(open, 'deep'), join(open, 'deep/kit.json')]) chmodSync(path, 0o777);
  claimFolder(open);
  assert.deepEqual([open, join(open, 'deep'), join(open, 'deep/kit.json')].map((path) => statSync(path).mode & 0o777), [0o700, 0o700, 0o600]);
  assert.equal(readFileSync(join(open, 'deep/kit.json'), 'utf8'), 'a token');
});

test('a link, and a link in an open folder, are refused, and what they lead to is left as it is', () => {
  const elsewhere = join(place, 'elsewhere');
  mkdirSync(elsewhere);
  chmodSync(elsewhere, 0o755);
  symlinkSync(elsewhere, join(place, 'link'));
  assert.throws(() => claimFolder(join(place, 'link')), refused(/it is a link/));
  const holding = join(place, 'holding');
  mkdirSync(holding);
  chmodSync(holding, 0o755);
  symlinkSync(elsewhere, join(holding, 'deployer'));
  assert.throws(() => claimFolder(holding), refused(/deployer is a link/));
  assert.throws(() => claimFolder(holding), refused(/deployer is a link/), 'it is closed by now, and the link is still there');
  assert.equal(statSync(elsewhere).mode & 0o777, 0o755);
});

test('a folder of another user, and a file of another in ours, are refused', { skip: process.getuid?.() === 0 ? undefined : 'only root gives files away' }, async () => {
  const { chownSync } = await import('node:fs');
  const theirs = join(place, 'theirs');
  mkdirSync(theirs);
  chownSync(theirs, 1000, 1000);
  assert.throws(() => claimFolder(theirs), refused(/it belongs to 1000/));
  const ours = join(place, 'ours');
  mkdirSync(ours);
  chmodSync(ours, 0o777);
  writeFileSync(join(ours, 'deployer.json'), '{}');
  chownSync(join(ours, 'deployer.json'), 1000, 1000);
  for (const start of ['first', 'second', 'third']) assert.throws(() => claimFolder(ours), refused(/deployer\.json belongs to 1000/), `at the ${start} start`);
  assert.equal(statSync(ours).mode & 0o777, 0o700, 'it is closed all the same');
  rmSync(join(ours, 'deployer.json'));
  claimFolder(ours);
});
