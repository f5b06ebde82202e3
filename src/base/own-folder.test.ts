import assert from 'node:assert/strict';
import { chmodSync, linkSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { claimFolder, judgeFolder, whyNotBelieved } from './own-folder.ts';
import { administrators, localSystem, type Allowed, type Security } from './security-descriptor.ts';

const trusted = new Set([localSystem, administrators]);
const users = 'S-1-5-32-545';
const everything = 0x1f01ff;
const reading = 0x1200a9;
const all = (...accounts: string[]): Allowed[] => accounts.map((account) => ({ account, mask: everything }));
const secure = (security: Partial<Security>): Security => ({ owner: administrators, isProtected: true, allowed: all(localSystem, administrators), ...security });
const folder = (security: Partial<Security>) => ({ kind: 'folder', security: secure(security) }) as const;

test('a folder of the system, closed, is taken as it is; one that is not there is made', () => {
  assert.deepEqual(judgeFolder(folder({}), trusted), { kind: 'ours' });
  assert.deepEqual(judgeFolder(folder({ owner: localSystem, allowed: all(administrators) }), trusted), { kind: 'ours' });
  assert.deepEqual(judgeFolder({ kind: 'nothing' }, trusted), { kind: 'make' });
});

test('a folder of the system that others may use, or that gets rights from above, is closed', () => {
  for (const open of [{ allowed: all(localSystem, users) }, { allowed: [{ account: users, mask: reading }] }, { allowed: null }, { isProtected: false }, { allowed: all('an object') }]) assert.deepEqual(judgeFolder(folder(open), trusted), { kind: 'close' }, JSON.stringify(open));
});

test('what belongs to another is refused however its rights look, and so is what is no folder', () => {
  for (const owner of ['S-1-5-21-1-2-3-1001', users, 'S-1-5-7']) assert.deepEqual(judgeFolder(folder({ owner }), trusted), { kind: 'refuse', why: `it belongs to ${owner}` });
  assert.deepEqual(judgeFolder(folder({ owner: null }), trusted), { kind: 'refuse', why: 'it belongs to nobody' });
  assert.deepEqual(judgeFolder({ kind: 'link' }, trusted), { kind: 'refuse', why: 'it is a link to another place' });
  assert.deepEqual(judgeFolder({ kind: 'file' }, trusted), { kind: 'refuse', why: 'it is a file' });
});

test('what lies in the folder is believed when the system owns it, it has one name, and nobody else could have changed it, however it came there', () => {
  const file = (security: Partial<Security>, names = 1) => ({ kind: 'file', security: secure({ isProtected: false, ...security }), names }) as const;
  assert.equal(whyNotBelieved(file({}), trusted), undefined);
  assert.equal(whyNotBelieved(file({ allowed: [...all(localSystem), { account: users, mask: reading }, { account: 'S-1-3-0', mask: 0 }] }), trusted), undefined);
  assert.equal(whyNotBelieved({ ...folder({}), names: 7 }, trusted), undefined, 'of a folder every folder in it is a name');
  assert.match(whyNotBelieved(file({ owner: users }), trusted)!, /^belongs to S-1-5-32-545/);
  assert.match(whyNotBelieved(file({}, 2), trusted)!, /^has 2 names/);
  assert.equal(whyNotBelieved(file({ allowed: null }), trusted), 'could be changed by everybody');
  for (const mask of [everything, 0x100116, 0x10000, 0x40000, 0x80000, 0x10000000, 0x40000000]) assert.equal(whyNotBelieved(file({ allowed: [...all(localSystem), { account: users, mask }] }), trusted), `could be changed by ${users}`, mask.toString(16));
  assert.equal(whyNotBelieved({ ...folder({ allowed: [{ account: users, mask: 0x16 }] }), names: 2 }, trusted), `could be changed by ${users}`);
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
  chmodSync(open, 0o777);
  chmodSync(join(open, 'deep'), 0o755);
  chmodSync(join(open, 'deep/kit.json'), 0o644);
  claimFolder(open);
  assert.deepEqual([open, join(open, 'deep'), join(open, 'deep/kit.json')].map((path) => statSync(path).mode & 0o777), [0o700, 0o700, 0o600]);
  assert.equal(readFileSync(join(open, 'deep/kit.json'), 'utf8'), 'a token');
});

test('a file with a second name, and what others could have changed, are refused as long as they are there, and their rights stay to be seen', () => {
  const open = join(place, 'filled');
  mkdirSync(join(open, 'deep'), { recursive: true });
  writeFileSync(join(place, 'elsewhere.json'), '{}');
  linkSync(join(place, 'elsewhere.json'), join(open, 'deployer.json'));
  writeFileSync(join(open, 'aaa.json'), '{}', { mode: 0o644 });
  chmodSync(open, 0o777);
  for (const start of ['first', 'second']) assert.throws(() => claimFolder(open), refused(/deployer\.json has 2 names/), `at the ${start} start`);
  assert.equal(statSync(open).mode & 0o777, 0o700, 'the folder is closed');
  rmSync(join(open, 'deployer.json'));
  for (const [name, mode] of [['aaa.json', 0o606], ['deep', 0o757]] as const) {
    chmodSync(join(open, name), mode);
    for (const start of ['first', 'second']) assert.throws(() => claimFolder(open), refused(new RegExp(`${name} could be changed by others`)), `at the ${start} start`);
    assert.equal(statSync(join(open, name)).mode & 0o777, mode);
    rmSync(join(open, name), { recursive: true });
  }
  claimFolder(open);
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
