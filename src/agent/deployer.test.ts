import assert from 'node:assert/strict';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, test } from 'node:test';
import { generateKeyPairSync } from 'node:crypto';
import { until } from '../base/deadline.ts';
import { bring, makeSmallPackage, openScene, order, type Scene } from '../../test/kit/deployer-scene.ts';
import { scratch } from '../../test/kit/scratch.ts';

let scene: Scene;
beforeEach(async () => (scene = await openScene(mkdtempSync(join(scratch, 'tidemark-deployer-')))));
afterEach(() => rmSync(scene.directory, { recursive: true }));

async function withVersion(version: string) {
  const deployer = await scene.open();
  const made = makeSmallPackage(scene, version);
  await bring(deployer, made);
  await order(deployer, 'deployer.install', { package: made.signed });
  return deployer;
}

test('a package is installed with its settings, and its service runs', async () => {
  const deployer = await scene.open();
  const made = makeSmallPackage(scene, '1.0.0');
  await bring(deployer, made);
  const answer = await order(deployer, 'deployer.install', { package: made.signed, service: { settings: { listen: { port: 7162 } } } });
  assert.deepEqual(answer, { name: 'tidemark-transport', version: '1.0.0', before: null });
  assert.equal(scene.running().version, '1.0.0');
  assert.match(scene.settings()!, /7162/);
  const { packages, last } = await order(deployer, 'deployer.describe', {});
  assert.deepEqual(packages.find(({ name }) => name === 'tidemark-transport'), { name: 'tidemark-transport', version: '1.0.0', kept: ['1.0.0'], service: 'active' });
  assert.equal(last?.ok, true);
});

test('an update keeps the version before it and drops older ones', async () => {
  const deployer = await withVersion('1.0.0');
  for (const version of ['1.1.0', '1.2.0']) {
    const made = makeSmallPackage(scene, version);
    await bring(deployer, made);
    await order(deployer, 'deployer.update', { package: made.signed, sessionsWithinMs: 0 });
  }
  assert.equal(scene.running().version, '1.2.0');
  const { packages } = await order(deployer, 'deployer.describe', {});
  assert.deepEqual(packages.find(({ name }) => name === 'tidemark-transport')!.kept, ['1.2.0', '1.1.0']);
});

test('a version that does not become healthy is taken back, and the failure says why and what runs now', async () => {
  const deployer = await withVersion('1.0.0');
  const made = makeSmallPackage(scene, '1.1.0', { broken: true });
  await bring(deployer, made);
  await assert.rejects(order(deployer, 'deployer.update', { package: made.signed, sessionsWithinMs: 0 }), { code: 'agent.service-not-healthy', message: 'tidemark-transport 1.1.0 did not become healthy: systemd says failed (port 6162 is in use by pid 812 (nginx)); 1.0.0 runs again' });
  assert.equal(scene.running().version, '1.0.0');
  const { packages, last } = await order(deployer, 'deployer.describe', {});
  assert.deepEqual(packages.find(({ name }) => name === 'tidemark-transport')!.kept, ['1.0.0']);
  assert.equal(last?.ok, false);
});

test('a first version that does not become healthy leaves nothing', async () => {
  const deployer = await scene.open();
  const made = makeSmallPackage(scene, '1.0.0', { broken: true });
  await bring(deployer, made);
  await assert.rejects(order(deployer, 'deployer.install', { package: made.signed }), { code: 'agent.service-not-healthy', message: /nothing of it is left/ });
  const { packages } = await order(deployer, 'deployer.describe', {});
  assert.deepEqual(packages.find(({ name }) => name === 'tidemark-transport'), { name: 'tidemark-transport', version: null, kept: [], service: 'failed' });
});

test('running sessions end before an update, and when they do not in time nothing is changed', async () => {
  const deployer = await withVersion('1.0.0');
  const made = makeSmallPackage(scene, '1.1.0');
  await bring(deployer, made);
  scene.setRunning({ tasks: [{ taskId: 't', kind: 'backup' }] });
  await assert.rejects(order(deployer, 'deployer.update', { package: made.signed, sessionsWithinMs: 0 }), { code: 'agent.sessions-still-running', message: '1 tasks still run after 0 s: backup' });
  assert.equal(scene.running().version, '1.0.0');
  assert.equal(scene.running().draining, false, 'new tasks are taken again');
  const updated = order(deployer, 'deployer.update', { package: made.signed, sessionsWithinMs: 20_000 });
  await until('the service to take no new task', 5_000, () => (scene.running().draining === true ? true : undefined));
  await assert.rejects(order(deployer, 'deployer.remove', { name: 'tidemark-transport', data: false }), { code: 'agent.deployer-busy' });
  scene.setRunning({ tasks: [] });
  await updated;
  assert.equal(scene.running().version, '1.1.0');
});

test('unsigned, foreign, changed, older and wrong-platform packages are refused before and after their bytes are here', async () => {
  const deployer = await withVersion('1.1.0');
  const good = makeSmallPackage(scene, '1.2.0');
  const offers: [string, Parameters<typeof deployer.handlers['deployer.offer']>[0]['package']][] = [
    ['contract.package-not-signed', { ...good.signed, signature: '' }],
    ['contract.package-not-signed', { ...good.signed, manifest: good.signed.manifest.replace('1.2.0', '1.3.0') }],
    ['agent.older-version', makeSmallPackage(scene, '1.0.9').signed],
    ['agent.wrong-platform', makeSmallPackage(scene, '1.3.0', { platform: process.arch === 'arm64' ? 'linux-x64' : 'linux-arm64' }).signed],
  ];
  for (const [code, signed] of offers) {
    await assert.rejects(order(deployer, 'deployer.offer', { package: signed }), { code });
    await assert.rejects(order(deployer, 'deployer.install', { package: signed }), { code });
    await assert.rejects(order(deployer, 'deployer.update', { package: signed, sessionsWithinMs: 0 }), { code });
  }
  const changed = Buffer.from(good.bytes);
  changed[changed.length >> 1]! ^= 1;
  await assert.rejects(bring(deployer, { ...good, bytes: changed }), { code: 'agent.package-damaged' });
  await assert.rejects(order(deployer, 'deployer.update', { package: good.signed, sessionsWithinMs: 0 }), { code: 'agent.package-incomplete' });
  writeFileSync(join(scene.directory, 'packages.pub'), generateKeyPairSync('ed25519').publicKey.export({ type: 'spki', format: 'pem' }));
  await assert.rejects(bring(deployer, good), { code: 'contract.package-not-signed' });
  assert.equal(scene.running().version, '1.1.0');
});

test('bytes that came before a restart are not sent again, pieces that came twice are dropped, and gaps are refused', async () => {
  const made = makeSmallPackage(scene, '1.0.0');
  const piece = (from: number, to: number) => ({ sha256: made.manifest.sha256, offset: from, base64: made.bytes.subarray(from, to).toString('base64') });
  const first = await scene.open();
  await assert.rejects(order(first, 'deployer.piece', piece(0, 50)), { code: 'agent.package-not-offered' });
  await order(first, 'deployer.offer', { package: made.signed });
  assert.deepEqual(await order(first, 'deployer.piece', piece(0, 50)), { have: 50 });
  const second = await scene.open();
  assert.deepEqual(await order(second, 'deployer.offer', { package: made.signed }), { have: 50 });
  assert.deepEqual(await order(second, 'deployer.piece', piece(20, 60)), { have: 60 });
  await assert.rejects(order(second, 'deployer.piece', piece(80, 90)), { code: 'agent.package-incomplete' });
  assert.deepEqual(await order(second, 'deployer.piece', piece(60, made.bytes.length)), { have: made.bytes.length });
  await order(second, 'deployer.install', { package: made.signed });
  assert.equal(scene.running().version, '1.0.0');
});

test('settings with which the service does not start are taken back', async () => {
  const deployer = await withVersion('1.0.0');
  await order(deployer, 'deployer.configure', { name: 'tidemark-transport', service: { settings: { listen: { port: 7000 } }, rights: 'restore' } });
  assert.match(scene.settings()!, /7000/);
  await assert.rejects(order(deployer, 'deployer.configure', { name: 'tidemark-transport', service: { settings: { bad: true } } }), { code: 'agent.service-not-healthy' });
  assert.match(scene.settings()!, /7000/);
  assert.equal(scene.running().version, '1.0.0');
});

test('a removal leaves settings and data unless it is told to take them, and what is not there cannot be removed', async () => {
  const deployer = await withVersion('1.0.0');
  await order(deployer, 'deployer.configure', { name: 'tidemark-transport', service: { settings: {} } });
  await order(deployer, 'deployer.remove', { name: 'tidemark-transport', data: false });
  assert.equal(scene.running().version, null);
  assert.notEqual(scene.settings(), undefined);
  await assert.rejects(order(deployer, 'deployer.remove', { name: 'tidemark-transport', data: true }), { code: 'agent.package-not-installed' });
});

test('settings are changed field by field, so that what an operator wrote beside them stays', async () => {
  const deployer = await withVersion('1.0.0');
  await order(deployer, 'deployer.configure', { name: 'tidemark-transport', service: { settings: { listen: { address: '10.0.0.1', port: 7000 }, work: '/srv/tidemark' } } });
  await order(deployer, 'deployer.configure', { name: 'tidemark-transport', service: { settings: { listen: { port: 7001 } } } });
  assert.deepEqual(JSON.parse(scene.settings()!), { listen: { address: '10.0.0.1', port: 7001 }, work: '/srv/tidemark' });
});

test('a kit is laid down for the service alone, and is gone when its installation fails', async () => {
  const kit = { kind: 'tidemark-kit', host: 'db1', server: { address: '10.0.0.1', enrolmentPort: 10002, controlPort: 10006 }, fingerprint: 'a'.repeat(64), token: 'te_token', expiresAtMs: 1, dials: 'server', listen: { address: '10.0.0.2', port: 6162 } } as const;
  const file = join(scene.directory, 'state/tidemark-transport/kit.json');
  const broken = makeSmallPackage(scene, '0.9.0', { broken: true });
  const deployer = await scene.open();
  await bring(deployer, broken);
  await assert.rejects(order(deployer, 'deployer.install', { package: broken.signed, service: { settings: {}, kit } }), { code: 'agent.service-not-healthy' });
  assert.equal(existsSync(file), false);
  const made = makeSmallPackage(scene, '1.0.0');
  await bring(deployer, made);
  await order(deployer, 'deployer.install', { package: made.signed, service: { settings: {}, kit } });
  assert.equal(JSON.parse(readFileSync(file, 'utf8')).token, 'te_token');
  assert.equal(statSync(file).mode & 0o777, 0o600);
  assert.doesNotMatch(scene.settings()!, /te_token/, 'the settings, which everybody may read, do not have it');
});

test('a distribution server brings packages and orders nothing', async () => {
  const deployer = await withVersion('1.0.0');
  const made = makeSmallPackage(scene, '1.1.0');
  const { have } = await order(deployer, 'deployer.offer', { package: made.signed }, 'depot');
  await order(deployer, 'deployer.piece', { sha256: made.manifest.sha256, offset: have, base64: made.bytes.subarray(have).toString('base64') }, 'depot');
  for (const [name, input] of [['deployer.update', { package: made.signed, sessionsWithinMs: 0 }], ['deployer.describe', {}], ['deployer.uninstall-all', {}]] as const) {
    await assert.rejects(order(deployer, name, input, 'depot'), { code: 'agent.order-not-allowed' }, name);
  }
  assert.equal(scene.running().version, '1.0.0');
});

/** As one that was killed leaves it. */
function leaveBegun(name: string, from: string | null, to: string): void {
  writeFileSync(join(scene.directory, 'work/begun.json'), JSON.stringify({ kind: 'switch', name, from, to }));
}

test('a deployer killed when the old version was taken away and the new one was not there yet brings the old one back', async () => {
  await withVersion('1.0.0');
  rmSync(join(scene.directory, 'opt/transport/current'));
  scene.setRunning({ version: null });
  leaveBegun('tidemark-transport', '1.0.0', '1.1.0');
  const deployer = await scene.open();
  await deployer.resume(Promise.resolve());
  assert.equal(scene.running().version, '1.0.0');
  const { packages, last } = await order(deployer, 'deployer.describe', {});
  assert.equal(packages.find(({ name }) => name === 'tidemark-transport')!.version, '1.0.0');
  assert.match(last!.says, /interrupted in the switch; 1\.0\.0 runs again/);
});

test('where the old version cannot be brought back either, the change ends all the same and says so', async () => {
  await withVersion('1.0.0');
  rmSync(join(scene.directory, 'opt/transport/current'));
  leaveBegun('tidemark-transport', '1.0.0', '1.1.0');
  const point = async (): Promise<never> => await Promise.reject(new Error('error 1603'));
  const deployer = await scene.open(undefined, ({ versions }) => ({ versions: { ...versions, point } }));
  await deployer.resume(Promise.resolve());
  assert.equal(scene.isBegun(), false);
  assert.match((await order(deployer, 'deployer.describe', {})).last!.says, /1\.0\.0 does not run again either: error 1603/);
});

test('a first version that is not healthy and cannot be taken away ends its change, and the next one is not refused', async () => {
  const unpoint = async (): Promise<never> => await Promise.reject(new Error('error 1605'));
  const deployer = await scene.open(undefined, ({ versions }) => ({ versions: { ...versions, unpoint } }));
  const made = makeSmallPackage(scene, '1.0.0', { broken: true });
  await bring(deployer, made);
  await assert.rejects(order(deployer, 'deployer.install', { package: made.signed }), { code: 'agent.service-not-healthy', message: /it could not be taken away: error 1605/ });
  assert.equal(scene.isBegun(), false);
  const next = makeSmallPackage(scene, '1.1.0');
  const usual = await scene.open();
  await bring(usual, next);
  await order(usual, 'deployer.install', { package: next.signed });
  assert.equal(scene.running().version, '1.1.0');
});

test('an update of the deployer that did not come about ends, even when its installer is still held', async () => {
  await scene.open();
  leaveBegun('tidemark-deployer', '1.0.0', '1.1.0');
  const remove = async (): Promise<never> => await Promise.reject(new Error('EBUSY'));
  const deployer = await scene.open(undefined, ({ versions }) => ({ versions: { ...versions, remove } }));
  await deployer.resume(Promise.resolve());
  assert.equal(scene.isBegun(), false);
  assert.match((await order(deployer, 'deployer.describe', {})).last!.says, /1\.1\.0 did not come up; 1\.0\.0 runs/);
});

test('settings of the deployer itself stay when the server comes back to it, and are taken back when it does not', async () => {
  mkdirSync(join(scene.directory, 'opt/deployer/1.0.0'), { recursive: true });
  symlinkSync('1.0.0', join(scene.directory, 'opt/deployer/current'));
  for (const [port, isHeard] of [[7160, true], [7161, false]] as const) {
    await order(await scene.open(), 'deployer.configure', { name: 'tidemark-deployer', service: { settings: { listen: { port } } } });
    const next = await scene.open();
    const resumed = next.resume(Promise.resolve());
    if (isHeard) await order(next, 'deployer.describe', {});
    await resumed;
    assert.deepEqual(JSON.parse(scene.settingsOf('deployer')!), { listen: { port: 7160 } });
    const { last } = await order(next, 'deployer.describe', {});
    assert.equal(last!.ok, isHeard, last!.says);
  }
  await until('a restart with the old settings', 5_000, () => (scene.restarts.length === 3 ? true : undefined));
});

test('a deployer that does not get its new port starts next with the old one', async () => {
  mkdirSync(join(scene.directory, 'opt/deployer/1.0.0'), { recursive: true });
  symlinkSync('1.0.0', join(scene.directory, 'opt/deployer/current'));
  await order(await scene.open(), 'deployer.configure', { name: 'tidemark-deployer', service: { settings: { listen: { port: 7160 } } } });
  await (await scene.open()).cannotListen('port 7160 is in use by pid 812 (nginx)');
  assert.equal(scene.settingsOf('deployer'), undefined);
  assert.equal(scene.isBegun(), false);
  const { last } = await order(await scene.open(), 'deployer.describe', {});
  assert.match(last!.says, /in use by pid 812 \(nginx\)/);
});
