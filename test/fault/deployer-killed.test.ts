/** A deployer killed before each of its steps: its next start brings the host to one version or the other, and says so. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { bring, makeSmallPackage, openScene, order } from '../kit/deployer-scene.ts';
import { scratch } from '../kit/scratch.ts';

const place = mkdtempSync(join(scratch, 'tidemark-deployer-killed-'));
after(() => rmSync(place, { recursive: true }));
const child = new URL('../kit/deployer-child.ts', import.meta.url).pathname;

const before = join(place, 'before');
const scene = await openScene(before);
const made = makeSmallPackage(scene, '1.0.0');
const first = await scene.open();
await bring(first, made);
await order(first, 'deployer.install', { package: made.signed, service: { settings: { listen: { port: 6999 } } } });

type Life = { readonly signal: string | null; readonly steps: string[] };

function live(directory: string, what: string, nth: number): Life {
  const { signal, stdout, stderr, status } = spawnSync(process.execPath, [child, directory, what, String(nth)], { encoding: 'utf8', timeout: 30_000 });
  assert.ok(signal === 'SIGKILL' || status === 0, stderr);
  return { signal, steps: stdout.trim().split('\n') };
}

/** What must be true after the next start, wherever the one before was killed. */
async function isWhole(directory: string, allowed: (string | null)[]): Promise<void> {
  const after = await openScene(directory);
  const deployer = await after.open();
  await deployer.resume(Promise.resolve());
  const { version } = after.running();
  assert.ok(allowed.includes(version), `${version} runs`);
  assert.equal(after.current() ?? null, version, 'what runs is what "current" leads to');
  assert.equal(after.isBegun(), false, 'nothing is begun and not ended');
  assert.equal(after.running().draining ?? false, false, 'the service takes new tasks');
  const left = existsSync(join(directory, 'opt/transport')) ? readdirSync(join(directory, 'opt/transport')) : [];
  assert.deepEqual(left.filter((name) => name.startsWith('.')), [], 'nothing half unpacked is left');
  if (version === null) return;
  const next = makeSmallPackage(after, '2.0.0');
  await bring(deployer, next);
  await order(deployer, 'deployer.update', { package: next.signed, sessionsWithinMs: 0 });
  assert.equal(after.running().version, '2.0.0', 'the next update goes through');
}

const cases: { what: string; from: 'nothing' | 'installed'; allowed: (string | null)[] }[] = [
  { what: 'install', from: 'nothing', allowed: [null, '1.0.0'] },
  { what: 'update', from: 'installed', allowed: ['1.0.0', '1.1.0'] },
  { what: 'broken update', from: 'installed', allowed: ['1.0.0'] },
  { what: 'configure', from: 'installed', allowed: ['1.0.0'] },
  { what: 'remove', from: 'installed', allowed: ['1.0.0', null] },
];

for (const { what, from, allowed } of cases) {
  test(`a deployer killed before any step of "${what}" leaves the old version or the new one running`, async () => {
    const start = (name: string): string => {
      const directory = join(place, name);
      if (from === 'installed') cpSync(before, directory, { recursive: true, verbatimSymlinks: true });
      else cpSync(join(before, 'signing.key'), join(directory, 'signing.key'));
      return directory;
    };
    const { steps } = live(start(`${what}-whole`), what, 0);
    assert.ok(steps.length >= 3, `it has steps: ${steps.join(', ')}`);
    for (const [at, step] of steps.entries()) {
      const directory = start(`${what}-${at}`);
      assert.equal(live(directory, what, at + 1).signal, 'SIGKILL', step);
      await isWhole(directory, allowed).catch((error: unknown) => assert.fail(`killed before "${step}": ${(error as Error).message}`));
    }
  });
}
