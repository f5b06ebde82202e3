/** Opens a repository with its passphrase and makes a server of the newest configuration in it. */
import { toWire } from '../base/failure.ts';
import { withStorage } from '../agent/archive-access.ts';
import type { RecoveredServer } from '../cli/surroundings.ts';
import type { WrittenPlace } from '../cli/repository-place.ts';
import { noConfiguration, severalInstallations } from '../cli/failures.ts';
import { listConfigurations } from '../repository/configurations.ts';
import { openRepository } from '../repository/repository.ts';
import { openConfiguration } from '../server/configuration-copy.ts';
import { recoverInto } from '../server/recovery.ts';
import { showPlace } from '../contract/repository-place.ts';

type Question = { readonly place: WrittenPlace; readonly passphrase: string; readonly installation?: string };

/** `question` is JSON, from standard input: it has secrets in it. Answers JSON. */
export async function answerRecovery(data: string, question: AsyncIterable<Buffer>): Promise<string> {
  try {
    const parts: Buffer[] = [];
    for await (const part of question) parts.push(part);
    const { place, passphrase, installation } = JSON.parse(Buffer.concat(parts).toString('utf8')) as Question;
    return JSON.stringify({ recovered: await recoverServer(place, passphrase, data, installation) });
  } catch (error) {
    return JSON.stringify({ failure: toWire(error) });
  }
}

async function recoverServer(place: WrittenPlace, passphrase: string, data: string, installation: string | undefined): Promise<RecoveredServer> {
  const configuration = await withStorage(place, { create: false }, async (storage) => {
    const { key } = await openRepository(storage, passphrase);
    const names = (await listConfigurations(storage)).filter((name) => installation === undefined || name.split('/')[1] === installation);
    const installations = [...new Set(names.map((name) => name.split('/')[1]!))];
    if (installations.length > 1) throw severalInstallations({ place: showPlace(place.location), installations });
    const [newest] = names;
    if (newest === undefined) throw noConfiguration({ place: showPlace(place.location) });
    return openConfiguration(await storage.read(newest), key, newest);
  });
  const recovered = await recoverInto(data, configuration);
  return { ...recovered, dataDir: data, madeAtMs: configuration.madeAtMs, version: configuration.version };
}
