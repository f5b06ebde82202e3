import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import type { PackageManifest } from '../../contract/packages.ts';
import type { HostKit } from '../../contract/routes/hosts.ts';
import type { Invocation } from '../command.ts';
import { keepWindowsKit } from './windows-kit.ts';

const bytes = Buffer.alloc((4 << 20) + 100, 'package');
const manifest = { name: 'tidemark-deployer', version: '1.2.3', platform: 'windows-x64', sha256: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.length, builtAt: 'now' } as PackageManifest;
const kit = { host: 'win', token: 'te_secret' } as HostKit;
const asked: number[] = [];
/** A server whose distribution server has these bytes. */
const serving = (all: Buffer): Invocation =>
  ({
    client: async () => await Promise.resolve({
      call: async (_: string, { query: { from, length } }: { query: { from: number; length: number } }) => {
        asked.push(length);
        return await Promise.resolve({ base64: all.subarray(from, from + length).toString('base64') });
      },
    }),
  }) as unknown as Invocation;

let place: string;
before(() => void (place = mkdtempSync(join(tmpdir(), 'tidemark-windows-kit-'))));
after(() => rmSync(place, { recursive: true }));

test('the folder has the whole package, the kit and the program, for its owner alone; a folder that is there is left as it is', async () => {
  const folder = join(place, 'whole');
  await keepWindowsKit(serving(bytes), folder, { program: 'a program', kit, package: manifest });
  assert.deepEqual(asked, [4 << 20, 100]);
  assert.deepEqual(readdirSync(folder).sort(), ['install.cmd', 'kit.json', 'tidemark-deployer-1.2.3-windows-x64.msi']);
  assert.ok(readFileSync(join(folder, 'tidemark-deployer-1.2.3-windows-x64.msi')).equals(bytes));
  assert.deepEqual(['', 'kit.json'].map((name) => statSync(join(folder, name)).mode & 0o077), [0, 0]);
  await assert.rejects(keepWindowsKit(serving(bytes), folder, { program: '', kit, package: manifest }), { code: 'cli.usage', message: /it is there already/ });
  assert.equal(readFileSync(join(folder, 'install.cmd'), 'utf8'), 'a program');
});

test('of a package whose bytes are not those of its manifest nothing stays', async () => {
  const folder = join(place, 'damaged');
  const damaged = Buffer.from(bytes);
  damaged[damaged.length - 1]! ^= 1;
  await assert.rejects(keepWindowsKit(serving(damaged), folder, { program: '', kit, package: manifest }), { code: 'cli.package-not-whole' });
  assert.ok(!existsSync(folder));
});
