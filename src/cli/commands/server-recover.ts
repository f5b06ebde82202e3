import { resolve } from 'node:path';
import { textOf, type Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { usageOf } from '../numbers.ts';
import { readPlace } from '../repository-place.ts';
import { readFileOf } from '../secret-file.ts';

export async function runServerRecover(invocation: Invocation): Promise<ExitCode> {
  const { surroundings } = invocation;
  const file = textOf(invocation, 'passphraseFile');
  if (file === undefined) throw usageOf(invocation, '--passphrase-file is missing');
  const place = await readPlace(invocation.args[0]!, invocation, { isLocal: true, straight: true });
  const data = resolve(textOf(invocation, 'data') ?? surroundings.dataDirectories[0]!);
  const done = await surroundings.recoverServer(place, await readFileOf('passphrase file', file), data, textOf(invocation, 'installation'));
  const { hosts, sets, repositories, sessions, madeAtMs } = done;
  invocation.answer(done, () => `recovered into ${data} as of ${new Date(madeAtMs).toISOString()}: ${hosts} hosts, ${sets} sets, ${repositories} repositories, ${sessions} sessions\nstart it with "tidemark up --data ${data}" and the options that the server before it had`);
  return exitCodes.done;
}
