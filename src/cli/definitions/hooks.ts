import type { CommandDefinition } from '../command.ts';

export const hookCommands: readonly CommandDefinition[] = [
  {
    name: 'hook add',
    takes: '<set>',
    summary: 'Run a program of yours before or after each backup of a set.',
    text: `The program is a file in /etc/tidemark/hooks.d of its host; it and the directories above it must belong to root, and nobody else
may write them. It runs without a shell, as the transport service's user (tidemark on a host, root on the machine of an installed
server), without the service's capabilities, and with the environment and the rights that docs/design/hooks.md lists.`,
    options: [
      { flags: '--program <name>', says: 'name of the file in /etc/tidemark/hooks.d', required: true },
      { flags: '--when <moment>', says: 'before or after the backup', choices: ['before', 'after'], required: true },
      { flags: '--arg <text>', says: 'an argument, as it is', many: true },
      { flags: '--on <node>', says: 'the host it runs on (local, the server\'s own machine)' },
      { flags: '--deadline <duration>', says: 'when it is ended, with all its process group: 30s, 5m (60s)' },
      { flags: '--on-failure <what>', says: 'fail (default): the session fails; warn: it goes on', choices: ['fail', 'warn'] },
    ],
    client: true,
    examples: ['tidemark hook add rs0 --when before --program quiet-shop --deadline 2m', 'tidemark hook add rs0 --when after --program wake-shop --on db1 --on-failure warn'],
    see: ['tidemark hook list', 'docs/design/hooks.md'],
    load: async () => (await import('../commands/hook.ts')).addHook,
  },
  {
    name: 'hook list',
    takes: '',
    summary: 'List the hooks, in the order in which they run.',
    options: [],
    client: true,
    examples: ['tidemark hook list'],
    see: ['tidemark hook add'],
    load: async () => (await import('../commands/hook.ts')).listHooks,
  },
  {
    name: 'hook remove',
    takes: '<hook>',
    summary: 'Run this program no more, by the id that "hook list" shows. The file stays.',
    options: [],
    client: true,
    examples: ['tidemark hook remove 0199f0a1b2c3d4e5f6a7b8c9'],
    see: ['tidemark hook list'],
    load: async () => (await import('../commands/hook.ts')).removeHook,
  },
];
