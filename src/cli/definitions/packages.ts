import type { CommandDefinition } from '../command.ts';

export const packageCommands: readonly CommandDefinition[] = [
  {
    name: 'package list',
    takes: '',
    summary: 'List the packages that the distribution server offers, newest first, and what it refuses.',
    options: [],
    client: true,
    examples: ['tidemark package list'],
    see: ['tidemark package add', 'tidemark node update'],
    load: async () => (await import('../commands/package.ts')).listPackages,
  },
  {
    name: 'package add',
    takes: '<file>...',
    summary: 'Put packages into the distribution server of this machine.',
    text: `The files are NAME-VERSION-PLATFORM.tar.gz, with manifest and signature beside them. What the key of this
distribution server has not signed is refused, and hosts would refuse it too. With --sign its key signs what others have
built: do that for files whose origin you have checked, because hosts run them as root.

Works on the directory itself, so it needs no server and the rights of its owner.`,
    options: [
      { flags: '--depot-dir <dir>', says: 'directory of the distribution server (the data directory\'s "depot")' },
      { flags: '--sign', says: 'vouch for the files: sign them with the key of this distribution server' },
    ],
    client: false,
    examples: ['tidemark package add dist/tidemark-transport-0.2.0-linux-x64.tar.gz', 'tidemark package add --sign dist/*.tar.gz'],
    exits: { 1: 'a file was refused; those before it were added' },
    see: ['tidemark package list'],
    load: async () => (await import('../commands/package.ts')).addPackages,
  },
];
