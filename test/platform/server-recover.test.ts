/** `tidemark server recover` as an operator runs it: a repository, its passphrase, an empty directory. */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { takeDataDirectory } from '../../src/cli/up/data-directory.ts';
import { openCatalog } from '../../src/catalog/catalog.ts';
import { migrations } from '../../src/catalog/migrations/table.ts';
import { keepConfiguration, listConfigurations } from '../../src/repository/configurations.ts';
import { createRepository } from '../../src/repository/repository.ts';
import { openDirectory } from '../../src/repository/storage/directory.ts';
import { sealConfiguration } from '../../src/server/configuration-copy.ts';
import { scratch } from '../kit/scratch.ts';

const program = new URL('../../src/main/tidemark.ts', import.meta.url).pathname;
const tidemark = async (...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> =>
  await new Promise((resolve) => {
    const child = execFile(process.execPath, [program, ...args], { timeout: 60_000 }, (_error, stdout, stderr) => resolve({ code: child.exitCode ?? -1, stdout, stderr }));
  });

test('the newest configuration of a repository makes a server, once, and only with the passphrase', async (t) => {
  const folder = mkdtempSync(join(scratch, 'tm-recover-'));
  t.after(() => rmSync(folder, { recursive: true }));
  const [place, data, file, wrong] = ['repository', 'data', 'passphrase', 'wrong'].map((name) => join(folder, name)) as [string, string, string, string];
  writeFileSync(file, 'the right passphrase\n', { mode: 0o600 });
  writeFileSync(wrong, 'another passphrase\n', { mode: 0o600 });
  const storage = await openDirectory(place, { create: true });
  const { key } = await createRepository(storage, 'the right passphrase');
  for (let n = 1; n <= 4; n++) {
    const name = `server/${'a'.repeat(16)}/${String(n).padStart(24, '0')}`;
    const configuration = { form: 1 as const, version: '0', madeAtMs: n, secrets: { masterKeyHex: 'cd'.repeat(32), authority: '{"keyPem":"k","certificatePem":"c"}' }, catalog: { migration: Object.keys(migrations).at(-1)!, tables: { settings: [{ name: 'round', value: String(n) }] } } };
    await keepConfiguration(storage, name, sealConfiguration(configuration, key, name), 3);
  }
  assert.equal((await listConfigurations(storage)).length, 3, 'older ones go');

  const words = ['server', 'recover', place, '--data', data, '--json', '--passphrase-file'];
  const refused = await tidemark(...words, wrong);
  assert.deepEqual([refused.code, /passphrase/.test(refused.stderr)], [1, true], refused.stderr);
  const listed = JSON.parse((await tidemark(...words, file, '--list')).stdout) as { copies: { id: string; madeAtMs: number }[] };
  assert.deepEqual(listed.copies.map(({ id, madeAtMs }) => [Number(id), madeAtMs]), [[4, 4], [3, 3], [2, 2]]);
  const missing = await tidemark(...words, file, '--copy', 'f'.repeat(24));
  assert.deepEqual([missing.code, /there is no configuration f{24} in/.test(missing.stderr)], [1, true], missing.stderr);
  const earlier = await tidemark('server', 'recover', place, '--data', join(folder, 'earlier'), '--json', '--passphrase-file', file, '--copy', listed.copies[1]!.id);
  assert.equal(JSON.parse(earlier.stdout).madeAtMs, 3, earlier.stderr);
  const done = await tidemark(...words, file);
  assert.equal(done.code, 0, done.stderr);
  assert.equal(JSON.parse(done.stdout).madeAtMs, 4);
  for (const secret of ['master.key', 'server/ca.json', 'server/catalog.sqlite']) assert.equal(statSync(join(data, secret)).mode & 0o777, 0o600, secret);
  await using catalog = await openCatalog(join(data, 'server/catalog.sqlite'));
  assert.equal(await catalog.settings.get('round'), '4');
  await (await takeDataDirectory(data, process.pid, async () => await Promise.resolve(true))).close();
  const again = await tidemark(...words, file);
  assert.deepEqual([again.code, /has a server in it already/.test(again.stderr)], [1, true], again.stderr);
});
