/**
 * First contact with Windows hosts: the product's own server, programs and session against a stand-in for a Windows host, with Samba's
 * clients and an RPC server that is not ours. What is real there and what is not: docs/design/windows-first-contact.md.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { probePorts } from '../../src/agent/port-probe.ts';
import { until } from '../../src/base/deadline.ts';
import { hostKit } from '../../src/contract/routes/hosts.ts';
import { endStates, type Session } from '../../src/contract/sessions.ts';
import { filesOver445 } from '../../src/windows/samba-tools.ts';
import { openServiceControl } from '../../src/windows/service-control.ts';
import { openFakeDeployer } from '../kit/fake-deployer.ts';
import { scratch } from '../kit/scratch.ts';
import { openServerPlatform, type ServerPlatform } from '../kit/server-platform.ts';
import { openTestDepot, placeDepot, type TestDepot } from '../kit/test-depot.ts';
import { makeInstallerDirectory, openWindowsHost, whyNoWindowsHost, type WindowsHost, type WindowsHostOptions } from '../kit/windows-host.ts';

const skip = whyNoWindowsHost();
const msi = Buffer.concat([Buffer.from('d0cf11e0a1b11ae1', 'hex'), randomBytes(6_000_000)]);
let directory: string;
let platform: ServerPlatform;
let depot: TestDepot;

before(async () => {
  if (skip !== false) return;
  directory = mkdtempSync(join(scratch, 'tidemark-windows-contact-'));
  await makeInstallerDirectory(join(directory, 'installer'));
  const distribution = await placeDepot();
  platform = await openServerPlatform({}, { distribution, windowsInstaller: join(directory, 'installer') });
  depot = await openTestDepot(platform.data, distribution);
  depot.add('9.9.8');
  depot.addForWindows('9.9.8', msi);
});
after(async () => {
  if (skip !== false) return;
  await platform[Symbol.asyncDispose]();
  await depot[Symbol.asyncDispose]();
  rmSync(directory, { recursive: true, force: true });
});

/** A folder that an earlier contact may have left. */
const earlier = `TidemarkInstaller-${'0a'.repeat(16)}`;

type Contact = { host: WindowsHost; session: Session; log: string[] };

/** Adds the host with its credential and installs; where a kit comes to lie there, its deployer starts as Windows Installer would start it. */
async function contact(name: string, options: WindowsHostOptions = {}, more: { password?: string; prepare?: (host: WindowsHost) => Promise<void> } = {}): Promise<Contact & AsyncDisposable> {
  const host = await openWindowsHost(options);
  await more.prepare?.(host);
  const windows = { user: host.account.user, password: more.password ?? host.account.password };
  await platform.ask('credential.add', { body: { name, record: { kind: 'windows', windows } } });
  await platform.ask('host.add', { body: { name, address: host.address } });
  const ends = new AbortController();
  const kitFile = join(host.root, 'ProgramData/Tidemark/deployer/kit.json');
  const deployer = until('msiexec to be asked', 60_000, () => (host.installed() === undefined || !existsSync(kitFile) ? undefined : hostKit.parse(JSON.parse(readFileSync(kitFile, 'utf8')))), { signal: ends.signal }).then(
    async (kit) => (options.msiexec === undefined ? await openFakeDeployer({ kit, address: host.address, directory, version: '9.9.8', before: async () => {}, onTransport: () => {} }) : undefined),
    () => undefined,
  );
  const started = await platform.ask('host.install', { params: { host: name }, body: { credential: name } });
  // Many programs are started for it, one after the other: on a busy machine that takes a while.
  const session = await until('the session to end', 60_000, async () => {
    const shown = await platform.ask('session.show', { params: { session: started.id } });
    return endStates.has(shown.state) ? shown : undefined;
  }, { everyMs: 100 });
  ends.abort(new Error('the session has ended'));
  const log = (await platform.events(started.id)).map((event) => JSON.stringify(event));
  return {
    host,
    session,
    log,
    async [Symbol.asyncDispose]() {
      await (await deployer)?.[Symbol.asyncDispose]();
      await host[Symbol.asyncDispose]();
    },
  };
}

const platformOf = async (name: string): Promise<string | null | undefined> => (await platform.ask('host.list', { query: {} })).hosts.find((host) => host.name === name)?.platform;

const did = ({ host }: Contact): string[] => host.done.map((done) => `${done.did} ${done.name} ${done.code}`);
function assertNothingLeft({ host }: Contact): void {
  assert.deepEqual(readdirSync(join(host.root, 'Windows')).sort(), ['System32', 'Temp']);
  assert.deepEqual(readdirSync(join(host.root, 'Windows/Temp')), []);
  assert.equal(host.done.filter(({ did }) => did === 'create').length, host.done.filter(({ did }) => did === 'delete').length);
}

/** What any program of this machine had on its command line while `work` was at it. */
async function commandLinesDuring(work: () => Promise<void>): Promise<string> {
  const seen = new Set<string>();
  const look = setInterval(() => {
    for (const id of readdirSync('/proc')) {
      if (!/^\d+$/.test(id)) continue;
      try {
        seen.add(readFileSync(`/proc/${id}/cmdline`, 'utf8').replaceAll('\0', ' '));
      } catch {
        // It has ended.
      }
    }
  }, 15);
  try {
    await work();
  } finally {
    clearInterval(look);
  }
  return [...seen].join('\n');
}

test('before anything is there the plan has the ports of a push, and a check tries each: 445, 135, and the dynamic port that 135 names now', { skip, timeout: 60_000 }, async () => {
  platform.fake.probe = async (target) => (await probePorts([target], { identity: { keyPem: '', certificatePem: '', caPem: '' }, eachMs: 3_000, signal: new AbortController().signal }))[0]!;
  const tried = async (name: string, options: WindowsHostOptions): Promise<string[]> => {
    await using host = await openWindowsHost(options);
    const { host: added } = await platform.ask('host.add', { body: { name, address: host.address, platform: 'windows' } });
    assert.equal(added.platform, 'windows');
    const { rows } = await platform.ask('ports.check', { body: { host: name, rows: [5, 6] } });
    return rows.map(({ row, ports: [range], outcome, says, optional }) => `${row} ${range!.from} ${outcome}${optional ? ' (optional)' : ''}: ${says.replaceAll(host.address, 'HOST')}`);
  };
  assert.deepEqual(await tried('open', {}), [
    '5 445 good: SMB',
    '5 11731 no-link: open takes no orders from this server, so nobody listens there for a try',
    '5 135 good (optional): the connection was accepted',
    '6 49152 good (optional): port 49700, which port 135 named answers RPC, and takes no bind without a sign-in',
  ]);
  assert.deepEqual((await tried('closed', { withoutRpc: true })).slice(2), [
    '5 135 refused (optional): nothing listens there, or a firewall answers for it',
    '6 49152 not-tried (optional): which port it is now was not learnt from port 135: no connection to HOST on port 135: connect ECONNREFUSED HOST:135',
  ]);
});

test('a Windows host gets its services over 445 and 135, the installer is gone afterwards, and no password is seen anywhere', { skip, timeout: 90_000 }, async () => {
  let made: (Contact & AsyncDisposable) | undefined;
  const lines = await commandLinesDuring(async () => void (made = await contact('win1')));
  await using done = made!;
  assert.equal(done.session.state, 'success', `${JSON.stringify(done.session.failure)}\n${done.log.join('\n')}\n${done.host.said()}`);
  assert.match(done.log.join('\n'), /service control over port 49700, which port 135 named, signed and sealed/);
  assert.deepEqual(did(done), ['create TidemarkInstaller 0', 'start TidemarkInstaller 0', 'delete TidemarkInstaller 0']);
  const { words, bytes } = done.host.installed()!;
  assert.match(readFileSync(join(done.host.root, 'icacls'), 'utf8'), /^\S+\/Windows\/TidemarkInstaller-[0-9a-f]{32} \/inheritance:r /);
  assert.match(words, /TidemarkInstaller-[0-9a-f]{32}\/[0-9a-f]{32}\/[0-9a-f]{32}\/tidemark/);
  assert.match(words, /^\/i \S+tidemark-deployer-9\.9\.8\.msi \/qn \/norestart$/);
  assert.ok(bytes.equals(msi), 'Windows Installer got the bytes that were signed');
  assertNothingLeft(done);
  const { password } = done.host.account;
  assert.match(lines, /smbclient .*sign-in/, 'the tools were seen at work');
  for (const [where, text] of [['command lines', lines], ['the session', done.log.join('\n')], ['the log', platform.logged.join('\n')]] as const) assert.ok(!text.includes(password) && !text.includes(JSON.stringify(password).slice(1, -1)), where);
  assert.deepEqual(readdirSync(join(platform.data, 'server/windows-contacts')), [], 'no file with a password is left');
  assert.equal(await platformOf('win1'), 'linux', 'the services of this stand-in run here, and say so: that counts more than how they came');
});

test('where 135 is closed the same comes about over 445 alone, and the session says so; what an earlier contact left is taken away', { skip, timeout: 90_000 }, async () => {
  await using done = await contact('win2', { withoutRpc: true }, {
    prepare: async (host) => {
      mkdirSync(join(host.root, `Windows/${earlier}/incoming`), { recursive: true });
      writeFileSync(join(host.root, `Windows/${earlier}/incoming/old`), 'half a package');
      await Promise.resolve();
    },
  });
  assert.equal(done.session.state, 'success', `${JSON.stringify(done.session.failure)}\n${done.log.join('\n')}\n${done.host.said()}`);
  assert.match(done.log.join('\n'), /service control over 445, because port 135 does not lead there: .*ECONNREFUSED/);
  assert.deepEqual(did(done), ['create TidemarkInstaller 0', 'start TidemarkInstaller 0', 'delete TidemarkInstaller 0']);
  assertNothingLeft(done);
});

test('an installer that an earlier contact left running is stopped and replaced', { skip, timeout: 90_000 }, async () => {
  await using done = await contact('win3', {}, {
    prepare: async (host) => {
      using services = await openServiceControl({ host: host.address, account: host.account });
      await services.create({ name: 'TidemarkInstaller', title: 'left', command: '/usr/bin/sleep 1000' });
      await services.start('TidemarkInstaller');
    },
  });
  assert.equal(done.session.state, 'success', JSON.stringify(done.session.failure));
  assert.deepEqual(did(done).slice(2), ['stop TidemarkInstaller 0', 'delete TidemarkInstaller 0', 'create TidemarkInstaller 0', 'start TidemarkInstaller 0', 'delete TidemarkInstaller 0']);
  assertNothingLeft(done);
});

test('a wrong password is refused by its name, and nothing is put there', { skip, timeout: 60_000 }, async () => {
  await using done = await contact('win4', {}, { password: 'another' });
  assert.equal(done.session.state, 'failed');
  assert.match(done.session.failure!.message, /refused to let Administrator in/);
  assert.deepEqual(did(done), ['refuse administrator 1'], 'hosts lock accounts: it was sent once');
  assertNothingLeft(done);
});

test('an answer with a forged signature ends the contact: no other way is tried and nothing is started', { skip, timeout: 60_000 }, async () => {
  await using done = await contact('win5', { forges: 15 });
  assert.equal(done.session.state, 'failed');
  assert.match(done.session.failure!.message, /does not carry the signature of this session/);
  assert.deepEqual(did(done), []);
});

test('what Windows Installer refuses fails with its number, and the kit is not left there', { skip, timeout: 60_000 }, async () => {
  await using done = await contact('win6', { msiexec: 67 });
  assert.equal(done.session.state, 'failed');
  assert.match(done.session.failure!.message, /failed at "install": Windows Installer did not install tidemark-deployer 9\.9\.8: error 67/);
  assert.ok(!existsSync(join(done.host.root, 'ProgramData/Tidemark/deployer/kit.json')));
  assert.equal(await platformOf('win6'), 'windows', 'known from the first contact on');
  assertNothingLeft(done);
});

test('a folder that somebody else has made is not taken for ours, and folders are found by the beginning of their names', { skip, timeout: 60_000 }, async () => {
  await using host = await openWindowsHost({ withoutRpc: true });
  const files = filesOver445({ host: host.address, account: host.account, secretsDirectory: directory });
  assert.deepEqual(await files.foldersNamed('TidemarkInstaller-'), []);
  await files.makeFolder(earlier);
  await assert.rejects(files.makeFolder(earlier), { code: 'windows.share-refused', message: /COLLISION/ });
  await assert.rejects(files.put([], [earlier], 10_000), { code: 'windows.share-refused', message: /COLLISION/ });
  writeFileSync(join(host.root, 'Windows/TidemarkInstaller-file'), 'no folder');
  assert.deepEqual(await files.foldersNamed('TidemarkInstaller-'), [earlier]);
});
