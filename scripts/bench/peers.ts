/** The tools we are compared with, each with encryption on and its own defaults otherwise. */
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { timed, costOf, type Cost } from './accounting.ts';

export type Peer = {
  readonly name: 'restic' | 'borg';
  readonly version: string;
  init(): Promise<void>;
  /** Stores a directory that is always at the same path; files are looked at by size and mtime, as a fresh clone has new inodes. */
  store(directory: string): Promise<Cost>;
  /** Lays the newest copy down in an empty directory. */
  restore(to: string): Promise<Cost>;
};

export async function openRestic(repository: string, cache: string): Promise<Peer> {
  const program = required('restic');
  const env = { RESTIC_REPOSITORY: repository, RESTIC_PASSWORD: 'bench', RESTIC_CACHE_DIR: cache };
  const restic = async (...args: string[]): ReturnType<typeof timed> => await timed(program, ['--quiet', ...args], { env, codes: [0, 3] });
  return {
    name: 'restic',
    version: /restic (\S+)/.exec((await timed(program, ['version'])).stdout)?.[1] ?? 'unknown',
    init: async () => void (await restic('init')),
    store: async (directory) => costOf(await restic('backup', '--ignore-inode', '--ignore-ctime', '--host', 'bench', directory)),
    restore: async (to) => costOf(await restic('restore', 'latest', '--target', to)),
  };
}

export async function openBorg(repository: string, base: string): Promise<Peer> {
  const program = required('borg');
  const env = { BORG_REPO: repository, BORG_PASSPHRASE: 'bench', BORG_BASE_DIR: base, BORG_RELOCATED_REPO_ACCESS_IS_OK: 'yes' };
  const borg = async (args: string[], cwd?: string): ReturnType<typeof timed> => await timed(program, args, { env, cwd, codes: [0, 1] });
  let archives = 0;
  return {
    name: 'borg',
    version: /borg (\S+)/.exec((await timed(program, ['--version'])).stdout)?.[1] ?? 'unknown',
    init: async () => void (await borg(['init', '-e', 'repokey-blake2'])),
    store: async (directory) => costOf(await borg(['create', '--files-cache', 'mtime,size', `::a${++archives}`, directory])),
    restore: async (to) => costOf(await borg(['extract', `::a${archives}`], to)),
  };
}

/** The path of a program, by `TIDEMARK_<NAME>` or on PATH. */
export function findProgram(name: string): string | undefined {
  const given = process.env[`TIDEMARK_${name.toUpperCase()}`];
  if (given !== undefined) return given;
  return (process.env['PATH'] ?? '').split(delimiter).map((directory) => join(directory, name)).find((path) => existsSync(path));
}

function required(name: string): string {
  const found = findProgram(name);
  if (found === undefined) throw new Error(`${name} is not on PATH: "apt-get install restic borgbackup" brings both peers`);
  return found;
}
