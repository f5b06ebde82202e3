import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { openCommandLine } from '../../../test/kit/command-line.ts';

const place = mkdtempSync(join(tmpdir(), 'tidemark-completion-'));
after(() => rmSync(place, { recursive: true }));

async function scriptFor(shell: string): Promise<string> {
  await using cli = await openCommandLine();
  const { code, stdout } = await cli.run('completion', shell);
  assert.equal(code, 0);
  const path = join(place, shell);
  writeFileSync(path, stdout);
  return path;
}

/** What bash offers after these words. */
function bashOffers(script: string, ...words: string[]): string[] {
  const ask = `source ${script}; COMP_WORDS=(${words.map((word) => `'${word}'`).join(' ')}); COMP_CWORD=${words.length - 1}; _tidemark; printf '%s\\n' "\${COMPREPLY[@]}"`;
  const { stdout, status, stderr } = spawnSync('bash', ['-c', ask], { encoding: 'utf8' });
  assert.equal(status, 0, stderr);
  return stdout.split('\n').filter((line) => line !== '').sort();
}

test('bash completes nouns, verbs, options and their values', async () => {
  const script = await scriptFor('bash');
  assert.deepEqual(bashOffers(script, 'tidemark', 'po'), ['point', 'policy', 'ports']);
  assert.deepEqual(bashOffers(script, 'tidemark', 'set', ''), ['add', 'list', 'remove', 'show']);
  assert.deepEqual(bashOffers(script, 'tidemark', 'backup', 'run', 'rs0', '--full'), ['--full-read']);
  assert.deepEqual(bashOffers(script, 'tidemark', 'backup', 'run', 'rs0', '--method', ''), ['clone', 'lock', 'window']);
  assert.deepEqual(bashOffers(script, 'tidemark', 'completion', 'f'), ['fish']);
  assert.ok(bashOffers(script, 'tidemark', 'window', 'rs0', '--').includes('--json'));
});

for (const [shell, args] of [['zsh', ['-n']], ['fish', ['--no-execute']]] as const) {
  test(`the ${shell} script is one that ${shell} can read`, async (context) => {
    const script = await scriptFor(shell);
    const { status, stderr, error } = spawnSync(shell, [...args, script], { encoding: 'utf8' });
    if (error !== undefined) return context.skip(`${shell} is not installed`);
    assert.equal(status, 0, stderr);
  });
}

test('another shell is refused with those there are', async () => {
  await using cli = await openCommandLine();
  const { code, stderr } = await cli.run('completion', 'tcsh');
  assert.equal(code, 2);
  assert.match(stderr, /no completion for tcsh, only for bash, zsh, fish/);
});
