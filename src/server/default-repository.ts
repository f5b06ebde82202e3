/**
 * The repository that is there without asking: a directory beside the catalog, with a passphrase made at first start.
 *
 * The passphrase file is written before the repository is made, so there is never a repository nobody can open.
 */
import { randomInt } from 'node:crypto';
import { join } from 'node:path';
import type { Catalog } from '../catalog/catalog.ts';
import type { Clock } from '../base/clock.ts';
import { describe } from '../base/failure.ts';
import type { Log } from '../base/log.ts';
import type { Archives } from './archives.ts';
import { readSecret, writeSecret } from './secret-file.ts';
import { localHost } from './hosts.ts';
import type { Links } from './links.ts';

/** Answers null when it is there, or why it is not. Goes on trying for as long as the server runs. */
export async function ensureDefaultRepository(options: {
  data: string;
  archives: Archives;
  catalog: Catalog;
  links: Links;
  log: Log;
  clock: Clock;
  waitMs: number;
  signal: AbortSignal;
}): Promise<string | null> {
  const { data, archives, catalog, links, log, waitMs, clock, signal } = options;
  if ((await catalog.repositories.list()).some(({ is_default }) => is_default === 1)) return null;
  const passphraseFile = join(data, 'repository.passphrase');
  const make = async (): Promise<void> => {
    await links.of(localHost).connected(waitMs, signal);
    let passphrase = (await readSecret(passphraseFile))?.toString('utf8').trim();
    if (passphrase === undefined || passphrase === '') {
      passphrase = newPassphrase();
      await writeSecret(passphraseFile, `${passphrase}\n`);
    }
    await archives.add({ name: 'default', location: { kind: 'directory', path: join(data, 'repository') }, secret: null, passphrase, create: true, isDefault: true, passphraseFile });
    log.info('default repository made; keep a copy of its passphrase somewhere else', { passphraseFile });
  };
  const again = async (): Promise<void> => {
    for (;;) {
      await clock.wait(5_000, signal);
      try {
        return await make();
      } catch (error) {
        log.warn('the default repository is not there yet', { why: describe(error) });
      }
    }
  };
  try {
    await make();
    return null;
  } catch (error) {
    if (!signal.aborted) log.error('the default repository could not be made', { why: describe(error) });
    again().catch(() => {});
    return describe(error);
  }
}

/** Letters and digits that cannot be taken for one another. */
const alphabet = '23456789abcdefghjkmnpqrstuvwxyz';

/** Six groups of five: 148 bits, which a person can still copy from paper. */
export function newPassphrase(): string {
  return Array.from({ length: 6 }, () => Array.from({ length: 5 }, () => alphabet[randomInt(alphabet.length)]).join('')).join('-');
}
