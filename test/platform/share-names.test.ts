/** Shares whose server is known by a NetBIOS name alone, with nmbd and smbd on ports 137 to 139, and shares of a domain, on its controller's own smbd. */
import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { until } from '../../src/base/deadline.ts';
import type { SmbLocation } from '../../src/repository/storage/location.ts';
import { adPassword, domain, openActiveDirectory, whyNoActiveDirectory } from '../kit/active-directory.ts';
import { openNetwork, whyNoNetwork, type TestMachine, type TestNetwork } from '../kit/namespaces.ts';
import { openSamba, sharePassword, shareUser, whyNoSamba, type Samba } from '../kit/samba.ts';
import { scratch } from '../kit/scratch.ts';
import type { OpenerAnswer, OpenerOrder } from '../kit/share-opener.ts';
import { openTestAuthority } from '../kit/test-authority.ts';

const why = whyNoSamba() || (whyNoNetwork() ?? false);

async function open(t: TestContext, names: readonly string[]): Promise<{ network: TestNetwork; from(machine: string, location: Partial<SmbLocation> & { server: string }, secret?: string): Promise<OpenerAnswer> }> {
  const network = await openNetwork(names);
  t.after(async () => await network[Symbol.asyncDispose]());
  return {
    network,
    async from(machine, location, secret = sharePassword) {
      const order: OpenerOrder = { location: { kind: 'smb', port: 445, share: 'plain', path: 'tidemark', user: shareUser, domain: '', encryption: 'if-offered', netbios: false, ...location }, secret };
      const { code, stdout, stderr } = await network.machine(machine).run(process.execPath, ['test/kit/share-opener.ts'], JSON.stringify(order));
      assert.equal(code, 0, stderr);
      return JSON.parse(stdout) as OpenerAnswer;
    },
  };
}

function home(t: TestContext): string {
  const directory = mkdtempSync(join(scratch, 'tidemark-names-'));
  t.after(() => rmSync(directory, { recursive: true, force: true, maxRetries: 5 }));
  return directory;
}

/** smbd on 139 and 445 and nmbd on 137 and 138. */
async function startFileServer(t: TestContext, machine: TestMachine, asking: TestMachine): Promise<Samba> {
  const samba = await openSamba(t, { machine, port: 445, global: ['netbios name = TIDEFILES', 'smb ports = 445 139'] });
  await machine.start('/usr/sbin/nmbd', ['--foreground', '--no-process-group', '-s', join(samba.logFolder, '../smb.conf'), '-l', samba.logFolder]);
  await until('the file server to have its name', 30_000, async () => {
    // It answers a question to itself at once, and one to everybody when nobody has claimed the name for some seconds.
    const { stdout } = await asking.run('nmblookup', ['-s', '/dev/null', 'TIDEFILES']);
    return stdout.includes(`${machine.address} TIDEFILES`) ? true : undefined;
  });
  return samba;
}

test('a share whose server has a NetBIOS name alone is found where that was asked for, over 445 and over 139, and nowhere else', { skip: why, timeout: 90_000 }, async (t) => {
  const { network, from } = await open(t, ['files', 'db1']);
  const { folder } = await startFileServer(t, network.machine('files'), network.machine('db1'));
  const stored = { outcome: 'stored', read: 'by TIDEFILES' };
  assert.deepEqual(await from('db1', { server: 'TIDEFILES', netbios: true }), stored);
  assert.deepEqual(readdirSync(join(folder, 'tidemark')).sort(), ['.tmp', 'words']);
  assert.deepEqual(await from('db1', { server: 'TIDEFILES', netbios: true, port: 139 }), stored);
  const refused = await from('db1', { server: 'TIDEFILES' });
  assert.deepEqual(refused, { outcome: 'failed', code: 'repository.share-unreachable', message: (refused as { message: string }).message });
  assert.match((refused as { message: string }).message, /no address is known for TIDEFILES/);
  const unknown = await from('db1', { server: 'NOBODYHERE', netbios: true });
  assert.equal((unknown as { code: string }).code, 'repository.share-unreachable', JSON.stringify(unknown));
  assert.match((unknown as { message: string }).message, /no address is known for NOBODYHERE, nor does anybody answer to that NetBIOS name/);

  // Names are asked for over 137 alone: with that closed, the server is not found, though its 445 is open.
  const { code, stderr } = await network.machine('files').run('nft', ['-f', '-'], 'table inet closed { chain in { type filter hook input priority 0; udp dport { 137, 138 } drop; }; }\n');
  assert.equal(code, 0, stderr);
  const closed = await from('db1', { server: 'TIDEFILES', netbios: true });
  assert.equal((closed as { code: string }).code, 'repository.share-unreachable', JSON.stringify(closed));
  assert.deepEqual(await from('db1', { server: network.machine('files').address }), { outcome: 'stored', read: `by ${network.machine('files').address}` });
});

test('an account of a domain opens a share of it, encrypted, and is named with its domain when it is refused', { skip: why || (whyNoActiveDirectory() ?? false), timeout: 90_000 }, async (t) => {
  const { network, from } = await open(t, ['dc', 'db1']);
  const folder = home(t);
  chmodSync(folder, 0o777);
  const authority = await openTestAuthority();
  t.after(async () => await authority[Symbol.asyncDispose]());
  const password = 'Sh4re-Pa55 wörd';
  const account = { dn: `CN=Backup,CN=Users,${domain.base}`, objectClass: 'user', sAMAccountName: 'svc-backup', userPrincipalName: `svc-backup@${domain.realm}`, userAccountControl: '512', unicodePwd: adPassword(password) };
  const directory = await openActiveDirectory(network.machine('dc'), await authority.issue('server', 'dc1', ['dc1']), [account], { shares: ['[plain]', `path = ${folder}`, 'read only = no', 'smb encrypt = required'] });
  t.after(async () => await directory[Symbol.asyncDispose]());
  const server = directory.address;
  const settings = { server, user: 'svc-backup', domain: domain.netbios, encryption: 'required' as const };
  assert.deepEqual(await from('db1', settings, password), { outcome: 'stored', read: `by ${server}` });
  assert.deepEqual(readdirSync(join(folder, 'tidemark')).sort(), ['.tmp', 'words']);
  for (const [more, secret] of [[{}, 'Not-the-Pa55word'], [{ user: 'nobody-here' }, password]] as const) {
    const refused = await from('db1', { ...settings, ...more }, secret);
    assert.equal((refused as { code: string }).code, 'repository.share-refused', JSON.stringify(refused));
    assert.ok((refused as { message: string }).message.includes(`${domain.netbios}\\${{ ...settings, ...more }.user}`), JSON.stringify(refused));
    assert.ok(!JSON.stringify(refused).includes(secret));
  }
});
