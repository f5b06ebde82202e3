/** Opens a repository with its passphrase and makes a server of a configuration in it, the newest one where none is named. */
import { toWire } from '../base/failure.ts';
import { withStorage } from '../agent/archive-access.ts';
import type { KeptConfiguration, RecoveredServer } from '../cli/surroundings.ts';
import type { WrittenPlace } from '../cli/repository-place.ts';
import { noConfiguration, severalInstallations } from '../cli/failures.ts';
import { listConfigurations } from '../repository/configurations.ts';
import { openRepository } from '../repository/repository.ts';
import { openConfiguration } from '../server/configuration-copy.ts';
import { recoverInto } from '../server/recovery.ts';
import { showPlace } from '../contract/repository-place.ts';

export type RecoveryQuestion = { readonly place: WrittenPlace; readonly passphrase: string; readonly installation?: string; readonly copy?: string; /** Nothing is recovered. */ readonly list?: true };

/** `question` is JSON, from standard input: it has secrets in it. Answers JSON. */
export async function answerRecovery(data: string, question: AsyncIterable<Buffer>): Promise<string> {
  try {
    const parts: Buffer[] = [];
    for await (const part of question) parts.push(part);
    const asked = JSON.parse(Buffer.concat(parts).toString('utf8')) as RecoveryQuestion;
    return JSON.stringify(asked.list === true ? { copies: await listKept(asked) } : { recovered: await recoverServer(asked, data) });
  } catch (error) {
    return JSON.stringify({ failure: toWire(error) });
  }
}

async function listKept({ place, passphrase }: RecoveryQuestion): Promise<KeptConfiguration[]> {
  return await withStorage(place, { create: false }, async (storage) => {
    const { key } = await openRepository(storage, passphrase);
    const kept: KeptConfiguration[] = [];
    for (const name of await listConfigurations(storage)) {
      const [, installation = '', id = ''] = name.split('/');
      const opened = await storage.read(name).then((bytes) => openConfiguration(bytes, key, name)).catch(() => null);
      kept.push({ id, installation, madeAtMs: opened?.madeAtMs ?? null, version: opened?.version ?? null });
    }
    return kept;
  });
}

async function recoverServer({ place, passphrase, installation, copy }: RecoveryQuestion, data: string): Promise<RecoveredServer> {
  const configuration = await withStorage(place, { create: false }, async (storage) => {
    const { key } = await openRepository(storage, passphrase);
    const names = (await listConfigurations(storage)).filter((name) => (installation === undefined || name.split('/')[1] === installation) && (copy === undefined || name.split('/')[2] === copy));
    const installations = [...new Set(names.map((name) => name.split('/')[1]!))];
    if (installations.length > 1) throw severalInstallations({ place: showPlace(place.location), installations });
    const [newest] = names;
    if (newest === undefined) throw noConfiguration({ place: showPlace(place.location), copy: copy ?? null });
    return openConfiguration(await storage.read(newest), key, newest);
  });
  const recovered = await recoverInto(data, configuration);
  return { ...recovered, dataDir: data, madeAtMs: configuration.madeAtMs, version: configuration.version };
}
