import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ShareSignIn } from '../../base/windows-share.ts';
import type { SmbLocation } from './location.ts';
import { openShareOnWindows, uncOf } from './share-on-windows.ts';

const location: SmbLocation = { kind: 'smb', server: 'nas', port: 445, share: 'backup', path: 'mongo/tidemark', user: 'tide', domain: 'CORP', encryption: 'if-offered', netbios: false };

test('a share and a folder on it have the paths that Windows knows', () => {
  assert.deepEqual(uncOf(location), { share: '\\\\nas\\backup', folder: '\\\\nas\\backup\\mongo\\tidemark' });
  assert.equal(uncOf({ ...location, path: '' }).folder, '\\\\nas\\backup');
  assert.equal(uncOf({ ...location, path: '/a//b/' }).folder, '\\\\nas\\backup\\a\\b');
  assert.equal(uncOf({ ...location, server: 'fd00::1' }).share, '\\\\fd00--1.ipv6-literal.net\\backup');
});

async function met(answer: number, changes: Partial<SmbLocation> = {}): Promise<{ asked: ShareSignIn[]; failure: string }> {
  const asked: ShareSignIn[] = [];
  const failure = await openShareOnWindows({ ...location, ...changes }, 'a secret', { create: false }, async (wanted) => {
    asked.push(wanted);
    return await Promise.resolve(answer);
  }).then(() => 'opened', (error: Error & { code: string }) => `${error.code}: ${error.message}`);
  return { asked, failure };
}

test('the account of the share is signed in before its folder is opened, with encryption where it is required', async () => {
  const { asked } = await met(5);
  assert.deepEqual(asked, [{ share: '\\\\nas\\backup', user: 'CORP\\tide', password: 'a secret', encryption: false }]);
  assert.deepEqual((await met(5, { domain: '', encryption: 'required' })).asked.map(({ user, encryption }) => [user, encryption]), [['tide', true]]);
});

test('what Windows answers becomes the failure that a share has on Linux, with its number and without the secret', async () => {
  const failures: [number, RegExp][] = [
    [86, /^repository\.share-refused: \\\\nas\\backup\\mongo\\tidemark does not let CORP\\tide in: wrong password \(Win32 error 86\)$/],
    [1219, /^repository\.share-refused: .*signed in to that server as somebody else/],
    [1909, /^repository\.share-refused: .*locked/],
    [67, /^repository\.share-missing: .*has no share backup$/],
    [53, /^repository\.share-unreachable: .*there is no such server/],
    [1222, /^repository\.share-unreachable: .*no network of Windows \(Win32 error 1222\)$/],
    [4711, /^repository\.share-unreachable: .*did not connect to it \(Win32 error 4711\)$/],
    [87, /^repository\.share-unfit: .*cannot be held to signing \(/],
  ];
  for (const [answer, says] of failures) {
    const { failure } = await met(answer);
    assert.match(failure, says, String(answer));
    assert.ok(!failure.includes('a secret'));
  }
});

test('nobody is signed in for a path or a port that Windows would not open', async () => {
  for (const [changes, says] of [[{ port: 4450 }, /^repository\.share-unfit: .*port 445 alone, and this one is on 4450/], [{ path: 'a/../b' }, /^repository\.path-refused: .*goes through \.\./], [{ path: 'aux' }, /^repository\.path-refused: .*device/], [{ server: 'nas:1' }, /^repository\.path-refused: /]] as const) {
    const { asked, failure } = await met(0, changes);
    assert.match(failure, says);
    assert.deepEqual(asked, []);
  }
});
