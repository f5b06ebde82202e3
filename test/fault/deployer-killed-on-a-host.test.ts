/** A real deployer on a whole host, killed in the middle of updates; and an update of itself that does not start. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { until } from '../../src/base/deadline.ts';
import { openDeployerHost, type DeployerHost } from '../kit/deployer-host.ts';
import { whyNoWholeHosts } from '../kit/whole-host.ts';

const skip = whyNoWholeHosts();
const limits = { skip, timeout: 90_000 };
let scene: DeployerHost;

before(async () => {
  if (skip !== undefined) return;
  scene = await openDeployerHost('1.0.0');
  const first = await scene.packages.tar('tidemark-transport', '1.0.0');
  await scene.withDeployer(async (deployer) => {
    await scene.send(deployer, first);
    await deployer.call('deployer.install', { package: first.signed });
  });
  await scene.giveIdentity('transport', 'tidemark');
}, { timeout: 150_000 });
after(async () => await scene?.[Symbol.asyncDispose]());

/** Answers once the deployer is back and has ended what was interrupted. */
async function settled() {
  return await until('the deployer to end what was interrupted', 60_000, async () =>
    await scene.withDeployer(async (deployer) => {
      const about = await deployer.call('deployer.describe', {});
      return about.busy === null ? about : undefined;
    }).catch(() => undefined), { everyMs: 500 });
}

for (const [at, step] of ['switch', 'start', 'see that it is healthy'].entries()) {
  test(`a deployer killed before "${step}" ends the update by itself, or takes it back`, limits, async () => {
    const before = await scene.transportVersion();
    const next = await scene.packages.tar('tidemark-transport', `1.${at + 1}.0`);
    await scene.withDeployer(async (deployer) => {
      await scene.send(deployer, next);
      const pid = await scene.pidOf('tidemark-deployer');
      const killed = deployer.call('deployer.update', { package: next.signed }, {
        async onEvent(event) {
          if (event.step === step) await scene.host.ok('kill', ['-9', String(pid)]);
        },
      });
      await assert.rejects(killed, { code: 'contract.link-lost' });
      assert.notEqual(await until('another deployer', 30_000, async () => (await scene.pidOf('tidemark-deployer')) || undefined), pid);
    });
    const { packages, last } = await settled();
    const { version, service } = packages.find(({ name }) => name === 'tidemark-transport')!;
    assert.equal(service, 'active');
    assert.ok(version === before || version === next.manifest.version, `${version}`);
    assert.equal(await scene.transportVersion(), version, 'what answers is what is installed');
    assert.equal(last?.ok, version === next.manifest.version, last?.says);
  });
}

test('the deployer updates itself', limits, async () => {
  const next = await scene.packages.tar('tidemark-deployer', '1.1.0');
  await scene.withDeployer(async (deployer) => {
    await scene.send(deployer, next);
    assert.deepEqual(await deployer.call('deployer.update', { package: next.signed }), { name: 'tidemark-deployer', version: '1.1.0', before: '1.0.0' });
  });
  const about = await until('version 1.1.0 of the deployer', 40_000, async () => {
    const found = await settled();
    return found.version === '1.1.0' && found.last?.what === 'update tidemark-deployer from 1.0.0 to 1.1.0' ? found : undefined;
  });
  assert.equal(about.last?.ok, true);
});

test('a deployer that does not start is taken back by its unit, and says so', limits, async () => {
  const broken = await scene.packages.tar('tidemark-deployer', '1.2.0', { broken: true });
  await scene.withDeployer(async (deployer) => {
    await scene.send(deployer, broken);
    await deployer.call('deployer.update', { package: broken.signed });
  });
  const about = await until('the version before', 70_000, async () => {
    const found = await settled();
    return found.last?.what === 'update tidemark-deployer from 1.1.0 to 1.2.0' ? found : undefined;
  });
  assert.deepEqual([about.version, about.last?.ok, about.last?.says], ['1.1.0', false, '1.2.0 did not come up; 1.1.0 runs']);
});
