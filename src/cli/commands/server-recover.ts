import { resolve } from 'node:path';
import { isGiven, textOf, type Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { usageOf } from '../numbers.ts';
import { readPlace } from '../repository-place.ts';
import { readFileOf } from '../secret-file.ts';
import type { KeptConfiguration } from '../surroundings.ts';
import { showMoment } from '../format.ts';
import { showTable } from '../table.ts';

export async function runServerRecover(invocation: Invocation): Promise<ExitCode> {
  const { surroundings } = invocation;
  const file = textOf(invocation, 'passphraseFile');
  if (file === undefined) throw usageOf(invocation, '--passphrase-file is missing');
  const place = await readPlace(invocation.args[0]!, invocation, { isLocal: true, straight: true });
  const passphrase = await readFileOf('passphrase file', file);
  if (isGiven(invocation, 'list')) return await listCopies(invocation, await surroundings.listConfigurations(place, passphrase));
  const data = resolve(textOf(invocation, 'data') ?? surroundings.dataDirectories[0]!);
  const [installation, copy] = [textOf(invocation, 'installation'), textOf(invocation, 'copy')];
  const done = await surroundings.recoverServer(place, passphrase, data, { ...(installation !== undefined && { installation }), ...(copy !== undefined && { copy }) });
  const { hosts, sets, repositories, sessions, madeAtMs } = done;
  invocation.answer(done, () => `recovered into ${data} as of ${new Date(madeAtMs).toISOString()}: ${hosts} hosts, ${sets} sets, ${repositories} repositories, ${sessions} sessions\nstart it with "tidemark up --data ${data}" and the options that the server before it had`);
  return exitCodes.done;
}

async function listCopies(invocation: Invocation, copies: readonly KeptConfiguration[]): Promise<ExitCode> {
  const { timeZone } = invocation.surroundings;
  invocation.answer({ copies }, () =>
    copies.length === 0
      ? 'there is no configuration of a server'
      : showTable<KeptConfiguration>(
          [
            { title: 'COPY', cell: (copy) => copy.id },
            { title: 'OF', cell: (copy) => copy.installation },
            { title: 'MADE', cell: (copy) => (copy.madeAtMs === null ? 'it cannot be opened' : showMoment(copy.madeAtMs, timeZone)) },
            { title: 'BY VERSION', cell: (copy) => copy.version ?? '–' },
          ],
          copies,
        ),
  );
  return await Promise.resolve(exitCodes.done);
}
