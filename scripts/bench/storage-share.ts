import { chmodSync, existsSync, mkdirSync, statSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { openSamba, sharePassword, shareUser, whyNoSamba } from '../../test/kit/samba.ts';
import { timed } from './accounting.ts';
import type { Run } from './run.ts';
import type { BenchFile, StorageBed } from './storage-bed.ts';

const smbclient = '/usr/bin/smbclient';

/** smbd on the bench's disk, every message encrypted; Samba's own client carries the files as they are. */
export async function openShareBed(run: Run): Promise<StorageBed | undefined> {
  const missing = whyNoSamba() || (existsSync(smbclient) ? false : 'there is no smbclient on this machine');
  if (missing !== false) {
    run.say(`no share: ${missing}`);
    return undefined;
  }
  const folder = join(run.directory, 'share');
  // The user who signs in goes through it.
  chmodSync(run.directory, 0o711);
  mkdirSync(folder);
  const samba = await openSamba({ after: (work) => run.stack.defer(async () => void (await work())) }, { folder });
  const auth = join(run.directory, 'share-auth');
  writeFileSync(auth, `username=${shareUser}\npassword=${sharePassword}\n`, { mode: 0o600 });
  const words = ['//127.0.0.1/sealed', '-p', String(samba.port), '-s', '/dev/null', '-A', auth, '-m', 'SMB3', '--client-protection=encrypt'];
  const say = async (commands: readonly string[]): Promise<number> => (await timed(smbclient, [...words, '-c', commands.join('; ')])).seconds;
  const folders = (files: readonly BenchFile[]): string[] => [...new Set(files.map(({ path }) => dirname(path)))].filter((path) => path !== '.').sort();
  return {
    name: 'smb',
    place: async (round) => await Promise.resolve({ location: samba.location({ share: 'sealed', path: `round-${round}`, encryption: 'required' }), secret: sharePassword }),
    raw: {
      async put(files, round) {
        const to = `raw-${round}`;
        const seconds = await say([to, ...folders(files).map((path) => `${to}/${path}`)].map((path) => `mkdir "${path}"`).concat(files.map(({ from, path }) => `put "${from}" "${to}/${path}"`)));
        return { seconds, syncSeconds: await synced(files.map(({ path }) => join(folder, to, path))) };
      },
      async get(files, to, round) {
        for (const path of folders(files)) mkdirSync(join(to, path), { recursive: true });
        const seconds = await say(files.map(({ path }) => `get "raw-${round}/${path}" "${join(to, path)}"`));
        for (const { path, bytes } of files) if (statSync(join(to, path)).size !== bytes) throw new Error(`smbclient brought ${path} back with another length`);
        return { seconds, syncSeconds: await synced(files.map(({ path }) => join(to, path))) };
      },
    },
  };
}

async function synced(paths: readonly string[]): Promise<number> {
  const startedMs = performance.now();
  for (const path of paths) {
    await using file = await open(path, 'r+');
    await file.sync();
  }
  return (performance.now() - startedMs) / 1000;
}
