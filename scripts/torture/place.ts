/** Where the torture keeps its archive: a directory of the platform's own, or a real server that can be struck. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { randomId } from '../../src/base/ids.ts';
import type { StoragePlace } from '../../src/repository/storage/location.ts';
import { openObjectStore } from '../../test/kit/object-store.ts';
import type { Platform } from '../../test/kit/platform.ts';
import { openSamba, sharePassword, shareUser } from '../../test/kit/samba.ts';

export const STORAGES = ['directory', 'smb', 's3'] as const;
export type StorageKind = (typeof STORAGES)[number];

export type Place = {
  readonly kind: StorageKind;
  /** Makes the platform's repository there; answers its name, and how a reader with the passphrase opens it. */
  add(platform: Platform): Promise<{ name: string; place: StoragePlace; passphrase: string }>;
  /** Kills what serves the place, without warning, and starts it again; absent where nothing does. */
  readonly strike?: () => Promise<void>;
};

export async function openPlace(kind: StorageKind, directory: string, stack: AsyncDisposableStack): Promise<Place> {
  if (kind === 'directory') return { kind, add: async (platform) => await ownRepository(platform) };
  const file = (name: string, text: string): string => {
    writeFileSync(join(directory, name), `${text}\n`, { mode: 0o600 });
    return join(directory, name);
  };
  const passphrase = randomId();
  const add = async (platform: Platform, url: string, words: readonly string[], place: StoragePlace): ReturnType<Place['add']> => {
    await platform.ok('repository', 'add', 'torture', url, ...words, '--passphrase-file', file('passphrase', passphrase));
    return { name: 'torture', place, passphrase };
  };
  if (kind === 'smb') {
    const samba = await openSamba({ after: (work) => stack.defer(async () => void (await work())) });
    const words = ['--share-user', shareUser, '--share-password-file', file('share', sharePassword)];
    return {
      kind,
      add: async (platform) => await add(platform, `smb://127.0.0.1:${samba.port}/plain/torture`, words, { location: samba.location({ path: 'torture' }), secret: sharePassword }),
      strike: async () => {
        await samba.kill();
        await samba.start();
      },
    };
  }
  const store = stack.use(await openObjectStore());
  const location = await store.bucket('torture');
  const words = ['--access-key', location.accessKeyId, '--secret-key-file', file('key', store.secret)];
  return {
    kind,
    add: async (platform) => await add(platform, `s3:${location.endpoint}/torture`, words, { location, secret: store.secret }),
    strike: async () => {
      await store.kill();
      await store.start();
    },
  };
}

/** The repository that a platform makes for itself. */
export async function ownRepository(platform: Platform): ReturnType<Place['add']> {
  const { repositories } = await platform.ok('repository', 'list');
  const [{ name, location, passphraseFile }] = repositories as [{ name: string; location: { kind: 'directory'; path: string }; passphraseFile: string }];
  return { name, place: { location, secret: null }, passphrase: readFileSync(passphraseFile, 'utf8').trim() };
}
