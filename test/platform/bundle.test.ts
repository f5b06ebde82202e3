/** What a package holds, and that it runs with nothing of this checkout around it. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { linuxPackages, type LinuxPackage } from '../../scripts/package/layout.ts';
import { openPackages, type Packages } from '../kit/packages.ts';
import { openPlatform } from '../kit/platform.ts';
import { openReplicaSet } from '../kit/replica-set.ts';

const place = mkdtempSync(join(tmpdir(), 'tidemark-bundle-'));
let packages: Packages;
before(async () => void (packages = await openPackages()));
after(async () => {
  await packages[Symbol.asyncDispose]();
  rmSync(place, { recursive: true, force: true });
});

const packageOf = (path: string): string[] => {
  const inside = path.split('node_modules/').at(-1)!.split('/');
  return path.includes('node_modules/') ? [inside.slice(0, inside[0]!.startsWith('@') ? 2 : 1).join('/')] : [];
};

async function contentOf(name: LinuxPackage): Promise<{ packages: string[]; rooms: string[]; native: string[] }> {
  const { directory, programs } = await packages.laidOut(name);
  const modules = programs.flatMap((file) => file.modules);
  const native = readdirSync(join(directory, 'node_modules'), { recursive: true, encoding: 'utf8' }).filter((file) => file.endsWith('.node'));
  const rooms = modules.flatMap((path) => /^src\/(\w+)\//.exec(path)?.[1] ?? []);
  return { packages: [...new Set(modules.flatMap(packageOf))].sort(), rooms: [...new Set(rooms)].sort(), native };
}

const isOfBuckets = (name: string): boolean => /^(@(aws|aws-sdk|aws-crypto|smithy)\/|bowser$)/.test(name);

test('what lands on a MongoDB host has no web framework, no catalog, no certificate authority and no room of the server', async () => {
  const transport = await contentOf('tidemark-transport');
  assert.ok(transport.packages.includes('@aws-sdk/client-s3'));
  assert.deepEqual(transport.packages.filter((name) => !isOfBuckets(name)), ['@mongodb-js/saslprep', 'bson', 'commander', 'memory-pager', 'mongodb', 'mongodb-connection-string-url', 'punycode', 'sparse-bitfield', 'tr46', 'webidl-conversions', 'whatwg-url', 'ws', 'yaml', 'zod']);
  // `windows`: a check of ports asks a Windows host's port 135 from every host.
  assert.deepEqual(transport.rooms, ['agent', 'base', 'cli', 'contract', 'domain', 'look', 'main', 'mongo', 'mount', 'mover', 'repository', 'windows']);
  assert.equal(transport.native.length, 2, transport.native.join());
});

test('the library of buckets is in files that no program loads before it opens a bucket', async () => {
  const { directory, programs } = await packages.laidOut('tidemark-transport');
  const withLibrary = new Set(programs.filter(({ modules }) => modules.flatMap(packageOf).some(isOfBuckets)).map(({ file }) => file));
  const loadedWith = (file: string, seen: Set<string> = new Set()): Set<string> => {
    if (seen.has(file)) return seen;
    seen.add(file);
    const text = readFileSync(join(directory, 'lib/main', file), 'utf8');
    for (const [, other] of text.matchAll(/(?:^|[;\n}])\s*(?:import|export)(?:[^'"();]*?from)?\s*["']\.\/([^"']+\.js)["']/g)) loadedWith(other!, seen);
    return seen;
  };
  assert.ok(withLibrary.size > 0);
  assert.ok(loadedWith('mover.js').size > 3, 'imports were found');
  for (const file of ['mover.js', 'transport.js', 'mount.js', 'tidemark.js']) assert.deepEqual([...loadedWith(file)].filter((one) => withLibrary.has(one)), [], file);
});

test('the deployer, which is root, holds nothing that reads a database or a repository', async () => {
  const deployer = await contentOf('tidemark-deployer');
  assert.deepEqual(deployer.packages, ['ws', 'zod']);
  assert.deepEqual(deployer.rooms, ['agent', 'base', 'contract', 'main']);
});

test('what an operator loads into a monitoring comes with the server, and with no other package', async () => {
  const shared = async (name: LinuxPackage): Promise<string[]> => {
    const place = join((await packages.laidOut(name)).directory, 'share');
    return existsSync(place) ? readdirSync(place, { recursive: true, encoding: 'utf8' }).filter((file) => !statSync(join(place, file)).isDirectory()).sort() : [];
  };
  assert.deepEqual(await shared('tidemark-server'), ['mibs/TIDEMARK-MIB.txt', 'monitoring/prometheus.yml', 'monitoring/tidemark-dashboard.json', 'monitoring/tidemark-rules.yml']);
  for (const name of ['tidemark-deployer', 'tidemark-transport'] as const) assert.deepEqual(await shared(name), []);
  // Where the docs say that it lies once a package is installed, for everybody to read.
  const listed = execFileSync('dpkg-deb', ['-c', await packages.deb('tidemark-server', '1.2.3')], { encoding: 'utf8' });
  for (const file of await shared('tidemark-server')) assert.match(listed, new RegExp(`^-rw-r--r-- root/root .* \\./opt/tidemark/server/1\\.2\\.3/share/${file}$`, 'm'));
});

for (const name of linuxPackages) {
  test(`no program of ${name} looks for a source file or for a path of this checkout`, async () => {
    const { directory } = await packages.laidOut(name);
    for (const file of readdirSync(join(directory, 'lib/main'))) {
      const text = readFileSync(join(directory, 'lib/main', file), 'utf8');
      assert.doesNotMatch(text, /new URL\([^)]*\.ts["'`]/, file);
      assert.ok(!text.includes(join(import.meta.dirname, '../..')), `${file} names the checkout`);
    }
  });
}

test('an .rpm lays down what a .deb does', { skip: existsSync('/usr/bin/rpmbuild') ? undefined : 'no rpmbuild on this machine' }, async () => {
  const [rpm, deb] = [(await packages.rpm('tidemark-deployer', '1.2.3'))!, await packages.deb('tidemark-deployer', '1.2.3')];
  const inDeb = execFileSync('dpkg-deb', ['-c', deb], { encoding: 'utf8' }).split('\n').flatMap((line) => / \.(\/opt\/tidemark\/deployer\/1\.2\.3\/.*[^/])$/.exec(line)?.[1] ?? []);
  const root = join(place, 'rpm');
  mkdirSync(root);
  execFileSync('rpm', ['--root', root, '--initdb'], { stdio: 'ignore' });
  execFileSync('rpm', ['--root', root, '--nodeps', '--noscripts', '-i', rpm], { stdio: 'ignore' });
  assert.ok(inDeb.length > 10, `${inDeb.length} files`);
  assert.deepEqual(inDeb.filter((file) => !existsSync(join(root, file))), []);
});

test('a platform out of an unpacked archive makes a restore point, proves it and brings it back', { timeout: 90_000 }, async () => {
  const { file } = await packages.tar('tidemark-server', '1.2.3');
  execFileSync('tar', ['-xzf', file, '-C', place, '--strip-components=1']);
  assert.equal(execFileSync(join(place, 'bin/tidemark'), ['--version'], { encoding: 'utf8', env: {} }).trim(), '1.2.3');
  await using set = await openReplicaSet({ members: 1 });
  await using platform = await openPlatform({ command: [join(place, 'bin/node'), join(place, 'lib/main/tidemark.js')] });
  const client = await set.client();
  try {
    await client.db('shop').collection('orders').insertMany(Array.from({ length: 2_000 }, (_, n) => ({ n, text: 'x'.repeat(500) })));
    await platform.ok('set', 'add', set.uri);
    const backup = await platform.ok('backup', 'run', set.name);
    assert.deepEqual([backup.state, backup.verified], ['success', true]);
    await platform.ok('restore', 'collections', set.name, '--at', 'latest', '--ns', 'shop.orders=shop.back', '--apply');
    assert.equal(await client.db('shop').collection('back').countDocuments(), 2_000);
  } finally {
    await client.close();
  }
});
