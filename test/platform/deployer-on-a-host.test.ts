/**
 * The packages on a whole host without Node: systemd as PID 1, an address of its own, nothing of this checkout. The
 * deployer comes as a .deb; everything else comes over its link.
 */
import assert from 'node:assert/strict';
import { openAsBlob } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { until } from '../../src/base/deadline.ts';
import type { Caller } from '../../src/contract/link/caller.ts';
import { dialOrders } from '../../src/contract/link/dial.ts';
import { admitPart, type LinkIdentity, type Part } from '../../src/contract/link/trust.ts';
import { sendPackage } from '../../src/contract/send-package.ts';
import { openAuthority, type Authority } from '../../src/server/authority.ts';
import { openPackages, type BuiltPackage, type Packages } from '../kit/packages.ts';
import { openWholeHosts, whyNoWholeHosts, type WholeHost, type WholeHosts } from '../kit/whole-host.ts';

const skip = whyNoWholeHosts();
let place: string;
let packages: Packages;
let wholeHosts: WholeHosts;
let host: WholeHost;
let authority: Authority;
let server: LinkIdentity;
let deb: string;
let one: BuiltPackage, two: BuiltPackage, broken: BuiltPackage;

before(async () => {
  if (skip !== undefined) return;
  place = await mkdtemp(join(tmpdir(), 'tidemark-deployer-host-'));
  packages = await openPackages();
  authority = await openAuthority(place, systemClock, async () => {});
  server = await authority.issue({ part: 'server', name: 'server', hosts: [] });
  deb = await packages.deb('tidemark-deployer', '1.0.0');
  one = await packages.tar('tidemark-transport', '1.0.0');
  two = await packages.tar('tidemark-transport', '1.1.0');
  broken = await packages.tar('tidemark-transport', '1.2.0', { broken: true });
  wholeHosts = await openWholeHosts(1);
  host = wholeHosts.hosts[0]!;
}, { timeout: 240_000 });

after(async () => {
  await wholeHosts?.[Symbol.asyncDispose]();
  await packages?.[Symbol.asyncDispose]();
  if (place !== undefined) await rm(place, { recursive: true, force: true });
});

async function giveIdentity(part: Part, owner: string): Promise<void> {
  const { keyPem, certificatePem, caPem } = await authority.issue({ part, name: 'host1', hosts: [host.address] });
  host.write(`/etc/tidemark/${part}-identity.json`, JSON.stringify({ keyPem, certificatePem, caPem }), 0o600);
  await host.ok('chown', [owner, `/etc/tidemark/${part}-identity.json`]);
}

const dial = async (part: Part, port: number): Promise<Caller> =>
  await until(`the ${part} on port ${port}`, 30_000, async () => await dialOrders({ host: host.address, port, identity: server, version: 'test', admit: admitPart(part) }).catch(() => undefined), { everyMs: 300 });

async function withDeployer<T>(work: (deployer: Caller) => Promise<T>): Promise<T> {
  const deployer = await dial('deployer', 6160);
  try {
    return await work(deployer);
  } finally {
    deployer.close();
  }
}

async function send(deployer: Caller, built: BuiltPackage): Promise<void> {
  const blob = await openAsBlob(built.file);
  await sendPackage(deployer, built.signed, async (from, length) => await blob.slice(from, from + length).bytes());
}

async function transportVersion(port = 6162): Promise<string> {
  const transport = await dial('transport', port);
  try {
    return (await transport.call('host.describe', {})).version;
  } finally {
    transport.close();
  }
}

const security = async (unit: string): Promise<number> => Number(/level for \S+: ([\d.]+)/.exec((await host.run('systemd-analyze', ['security', '--no-pager', unit])).stdout)?.[1]);

test('a .deb brings a deployer that needs nothing of the host, and its unit is hardened', { skip, timeout: 90_000 }, async (context) => {
  assert.equal((await host.run('sh', ['-c', 'command -v node'])).code, 127, 'the host has no Node');
  host.write('/etc/tidemark/packages.pub', packages.key.publicKeyPem);
  host.copyIn(deb, '/root/deployer.deb');
  await host.ok('dpkg', ['-i', '/root/deployer.deb'], { deadlineMs: 60_000 });
  await giveIdentity('deployer', 'root');
  const { version, platform } = await withDeployer(async (deployer) => await deployer.call('deployer.describe', {}));
  assert.deepEqual({ version, platform }, { version: '1.0.0', platform: `linux-${process.arch}` });
  const exposure = await security('tidemark-deployer.service');
  context.diagnostic(`systemd-analyze security tidemark-deployer.service: ${exposure}`);
  assert.ok(exposure < 5, `${exposure}`);
});

test('the deployer installs a transport that answers as its own user with three capabilities', { skip, timeout: 90_000 }, async (context) => {
  await withDeployer(async (deployer) => {
    const startedMs = performance.now();
    await send(deployer, one);
    context.diagnostic(`${(one.manifest.bytes / 1e6).toFixed(1)} MB sent in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
    const answer = await deployer.call('deployer.install', { package: one.signed, service: { settings: { listen: { port: 6162 } } } });
    assert.deepEqual(answer, { name: 'tidemark-transport', version: '1.0.0', before: null });
  });
  await giveIdentity('transport', 'tidemark');
  assert.equal(await transportVersion(), '1.0.0');
  const pid = (await host.ok('systemctl', ['show', '-P', 'MainPID', 'tidemark-transport'])).trim();
  const status = host.read(`/proc/${pid}/status`);
  assert.match(status, /^CapEff:\s+0000000000280004$/m, 'DAC_READ_SEARCH, SYS_PTRACE, SYS_ADMIN');
  assert.match(status, /^NoNewPrivs:\s+1$/m);
  assert.equal((await host.ok('stat', ['-c', '%U', `/proc/${pid}`])).trim(), 'tidemark');
  const exposure = await security('tidemark-transport.service');
  context.diagnostic(`systemd-analyze security tidemark-transport.service: ${exposure}`);
  assert.ok(exposure < 4, `${exposure}`);
});

test('a changed port works after a restart of that service alone, and a busy one is refused by the name of its holder', { skip, timeout: 90_000 }, async () => {
  const deployerPid = (await host.ok('systemctl', ['show', '-P', 'MainPID', 'tidemark-deployer'])).trim();
  await withDeployer(async (deployer) => {
    await deployer.call('deployer.configure', { name: 'tidemark-transport', service: { settings: { listen: { port: 7162 } } } });
    assert.equal(await transportVersion(7162), '1.0.0');
    await host.ok('systemd-run', ['--quiet', '--unit=squatter', 'python3', '-m', 'http.server', '7200']);
    await until('the port to be taken', 10_000, async () => ((await host.ok('ss', ['-ltn'])).includes(':7200') ? true : undefined));
    const taken = { name: 'tidemark-transport', service: { settings: { listen: { port: 7200 } } } } as const;
    await assert.rejects(deployer.call('deployer.configure', taken), { code: 'agent.service-not-healthy', message: /port 7200 is in use by pid \d+ \(python3\)/ });
  });
  assert.equal(await transportVersion(7162), '1.0.0', 'it has its old port again');
  assert.equal((await host.ok('systemctl', ['show', '-P', 'MainPID', 'tidemark-deployer'])).trim(), deployerPid);
});

test('an update takes effect, and a version that does not start is rolled back', { skip, timeout: 90_000 }, async () => {
  await withDeployer(async (deployer) => {
    await send(deployer, two);
    assert.equal((await deployer.call('deployer.update', { package: two.signed })).before, '1.0.0');
    assert.equal(await transportVersion(7162), '1.1.0');
    await send(deployer, broken);
    await assert.rejects(deployer.call('deployer.update', { package: broken.signed }), { code: 'agent.service-not-healthy', message: /1\.1\.0 runs again$/ });
    assert.equal(await transportVersion(7162), '1.1.0');
    await assert.rejects(deployer.call('deployer.offer', { package: one.signed }), { code: 'agent.older-version' });
  });
});

test('everything is uninstalled: no file, no unit, no user, no process is left', { skip, timeout: 90_000 }, async () => {
  await withDeployer(async (deployer) => await deployer.call('deployer.uninstall-all', {}));
  await until('the deployer to be gone', 30_000, async () => ((await host.run('ls', ['/opt/tidemark'])).code !== 0 ? true : undefined));
  const left = await until('the rest to be gone', 30_000, async () => {
    const found = await host.run('sh', ['-c', 'ls -d /opt/tidemark /etc/tidemark /var/lib/tidemark-* /run/tidemark-* /etc/systemd/system/tidemark-* /usr/bin/tidemark 2>/dev/null; getent passwd tidemark; dpkg-query -W tidemark-deployer 2>/dev/null; pgrep -f ^/opt/tidemark']);
    return found.stdout === '' ? found.stdout : undefined;
  }).catch(async () => await host.ok('sh', ['-c', 'ls -d /opt/tidemark /etc/tidemark /var/lib/tidemark-* /run/tidemark-* /etc/systemd/system/tidemark-* /usr/bin/tidemark 2>/dev/null; getent passwd tidemark; dpkg-query -W tidemark-deployer 2>/dev/null; pgrep -af ^/opt/tidemark; true']));
  assert.equal(left, '');
});
