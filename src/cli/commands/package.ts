import { join, resolve } from 'node:path';
import type { PackageList } from '../../contract/depot.ts';
import { isGiven, textOf, type Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { showBytes } from '../format.ts';
import { showTable } from '../table.ts';

export async function addPackages(invocation: Invocation): Promise<ExitCode> {
  const { surroundings } = invocation;
  const directory = resolve(textOf(invocation, 'depotDir') ?? join(surroundings.dataDirectories[0]!, 'depot'));
  const added: Awaited<ReturnType<typeof surroundings.addPackage>>[] = [];
  for (const file of invocation.args) added.push(await surroundings.addPackage(directory, resolve(file), isGiven(invocation, 'sign')));
  invocation.answer({ directory, packages: added }, () => added.map(({ name, version, platform, before }) => `${name} ${version} for ${platform} ${before ? 'was there already' : `is in ${directory}`}`).join('\n'));
  return exitCodes.done;
}

export async function listPackages(invocation: Invocation): Promise<ExitCode> {
  const answer = await (await invocation.client()).call('package.list');
  const table = () =>
    showTable<PackageList['packages'][number]>(
      [
        { title: 'PACKAGE', cell: ({ name }) => name },
        { title: 'VERSION', cell: ({ version }) => version },
        { title: 'PLATFORM', cell: ({ platform }) => platform },
        { title: 'SIZE', cell: ({ bytes }) => showBytes(bytes), right: true },
        { title: 'BUILT', cell: ({ builtAt }) => builtAt },
      ],
      answer.packages,
    );
  invocation.answer(answer, () => [answer.packages.length === 0 ? 'no packages' : table(), ...answer.refused.map(({ file, why }) => `refused: ${file}: ${why}`)].join('\n'));
  return exitCodes.done;
}
