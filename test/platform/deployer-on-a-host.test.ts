/**
 * The packages on a whole host without Node: systemd as PID 1, an address of its own, nothing of this checkout. The
 * deployer comes as a .deb; everything else comes over its link.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { until } from '../../src/base/deadline.ts';
import { openDeployerHost, type DeployerHost } from '../kit/deployer-host.ts';
import type { BuiltPackage } from '../kit/packages.ts';
import { whyNoWholeHosts, type WholeHost } from '../kit/whole-host.ts';

const skip = whyNoWholeHosts();
const limits = { skip, timeout: 90_000 };
let scene: DeployerHost;
let host: WholeHost;
let one: BuiltPackage;

before(async () => {
  if (skip !== undefined) return;
  scene = await openDeployerHost('1.0.0');
  host = scene.host;
  one = await scene.packages.tar('tidemark-transport', '1.0.0');
}, { timeout: 120_000 });
after(async () => await scene?.[Symbol.asyncDispose]());

test('a .deb brings a deployer that needs nothing of the host, and its unit is hardened', limits, async (context) => {
  assert.equal((await host.run('sh', ['-c', 'command -v node'])).code, 127, 'the host has no Node');
  const { version, platform } = await scene.withDeployer(async (deployer) => await deployer.call('deployer.describe', {}));
  assert.deepEqual({ version, platform }, { version: '1.0.0', platform: `linux-${process.arch}` });
  const exposure = await scene.exposure('tidemark-deployer.service');
  context.diagnostic(`systemd-analyze security tidemark-deployer.service: ${exposure}`);
  assert.ok(exposure <= 3, `${exposure}`);
});

test('the deployer installs a transport that answers as its own user with three capabilities', limits, async (context) => {
  await scene.withDeployer(async (deployer) => {
    const startedMs = performance.now();
    await scene.send(deployer, one);
    context.diagnostic(`${(one.manifest.bytes / 1e6).toFixed(1)} MB sent in ${((performance.now() - startedMs) / 1000).toFixed(1)} s`);
    const answer = await deployer.call('deployer.install', { package: one.signed, service: { settings: { listen: { port: 6162 } } } });
    assert.deepEqual(answer, { name: 'tidemark-transport', version: '1.0.0', before: null });
  });
  await scene.giveIdentity('transport', 'tidemark');
  assert.equal(await scene.transportVersion(), '1.0.0');
  const pid = await scene.pidOf('tidemark-transport');
  const status = host.read(`/proc/${pid}/status`);
  assert.match(status, /^CapEff:\s+0000000000280004$/m, 'DAC_READ_SEARCH, SYS_PTRACE, SYS_ADMIN');
  assert.match(status, /^NoNewPrivs:\s+1$/m);
  assert.equal((await host.ok('stat', ['-c', '%U', `/proc/${pid}`])).trim(), 'tidemark');
  const exposure = await scene.exposure('tidemark-transport.service');
  context.diagnostic(`systemd-analyze security tidemark-transport.service: ${exposure}`);
  assert.ok(exposure <= 3, `${exposure}`);
});

test('a changed port works after a restart of that service alone, and a busy one is refused by the name of its holder', limits, async () => {
  const deployerPid = await scene.pidOf('tidemark-deployer');
  await scene.withDeployer(async (deployer) => {
    await deployer.call('deployer.configure', { name: 'tidemark-transport', service: { settings: { listen: { port: 7162 }, data: { from: 4000, to: 4100 } } } });
    const transport = await scene.dial('transport', 7162);
    assert.deepEqual((await transport.call('host.describe', {})).dataPorts, { from: 4000, to: 4100 });
    transport.close();
    await host.ok('systemd-run', ['--quiet', '--unit=squatter', 'python3', '-m', 'http.server', '7200']);
    await until('the port to be taken', 10_000, async () => ((await host.ok('ss', ['-ltn'])).includes(':7200') ? true : undefined));
    const taken = { name: 'tidemark-transport', service: { settings: { listen: { port: 7200 } } } } as const;
    await assert.rejects(deployer.call('deployer.configure', taken), { code: 'agent.service-not-healthy', message: /port 7200 is in use by pid \d+ \(python3\)/ });
  });
  assert.equal(await scene.transportVersion(7162), '1.0.0', 'it has its old port again');
  assert.equal(await scene.pidOf('tidemark-deployer'), deployerPid);
});

test('an update takes effect, a version that does not start is rolled back, and an older one is refused', limits, async () => {
  const two = await scene.packages.tar('tidemark-transport', '1.1.0');
  const broken = await scene.packages.tar('tidemark-transport', '1.2.0', { broken: true });
  await scene.withDeployer(async (deployer) => {
    await scene.send(deployer, two);
    assert.equal((await deployer.call('deployer.update', { package: two.signed })).before, '1.0.0');
    assert.equal(await scene.transportVersion(7162), '1.1.0');
    await scene.send(deployer, broken);
    await assert.rejects(deployer.call('deployer.update', { package: broken.signed }), { code: 'agent.service-not-healthy', message: /made not to start.*1\.1\.0 runs again$/s });
    assert.equal(await scene.transportVersion(7162), '1.1.0');
    await assert.rejects(deployer.call('deployer.offer', { package: one.signed }), { code: 'agent.older-version' });
  });
});

test('everything is uninstalled: no file, no unit, no user, no package, no process is left', limits, async () => {
  await scene.withDeployer(async (deployer) => await deployer.call('deployer.uninstall-all', {}));
  const look = `ls -d /opt/tidemark /etc/tidemark /var/lib/tidemark-* /run/tidemark-* /etc/systemd/system/tidemark-* /usr/bin/tidemark 2>/dev/null
getent passwd tidemark; dpkg-query -W tidemark-deployer 2>/dev/null; pgrep -af ^/opt/tidemark; true`;
  await until('everything to be gone', 30_000, async () => ((await host.ok('sh', ['-c', look])) === '' ? true : undefined), { everyMs: 500 }).catch(async () => assert.equal(await host.ok('sh', ['-c', look]), ''));
});
