import type { CommandDefinition } from '../command.ts';

const kinds = ['backup', 'verify', 'publish', 'restore-set', 'restore-collections', 'check', 'test', 'sweep', 'oplog-find', 'oplog', 'deploy', 'update', 'configure', 'uninstall', 'rescan', 'copy', 'copy-oplog', 'repair'] as const;
const states = ['waiting', 'working', 'success', 'warning', 'failed', 'stopped'] as const;

export const sessionCommands: readonly CommandDefinition[] = [
  {
    name: 'session list',
    takes: '',
    summary: 'List sessions, newest first.',
    options: [
      { flags: '--set <set>', says: 'only of this set' },
      { flags: '--kind <kind>', says: 'only of this kind', choices: kinds },
      { flags: '--state <state>', says: 'only in this state', choices: states },
      { flags: '--limit <n>', says: 'so many (50)' },
      { flags: '--before <session>', says: 'the page after this session' },
    ],
    client: true,
    examples: ['tidemark session list', 'tidemark session list --state failed --json'],
    see: ['tidemark session show'],
    load: async () => (await import('../commands/session.ts')).listSessions,
  },
  {
    name: 'session show',
    takes: '<session>',
    summary: 'Show one session: state, steps, bytes, log, why it failed.',
    options: [],
    client: true,
    examples: ['tidemark session show 0193f2a1c0de5eed01020304'],
    see: ['tidemark session watch'],
    load: async () => (await import('../commands/session.ts')).showSession,
  },
  {
    name: 'session watch',
    takes: '<session>',
    summary: 'Watch a session until it ends. Ctrl-C stops watching, not the session.',
    options: [],
    client: true,
    examples: ['tidemark session watch 0193f2a1c0de5eed01020304'],
    exits: { 0: 'it ended well', 3: 'it ended with warnings' },
    see: ['tidemark session stop'],
    load: async () => (await import('../commands/session.ts')).watchOne,
  },
  {
    name: 'session stop',
    takes: '<session>',
    summary: 'Ask a session to stop, and wait until it has cleaned up after itself.',
    options: [],
    client: true,
    long: true,
    examples: ['tidemark session stop 0193f2a1c0de5eed01020304'],
    exits: { 0: 'it has stopped' },
    see: ['tidemark session retry'],
    load: async () => (await import('../commands/session.ts')).stopSession,
  },
  {
    name: 'session retry',
    takes: '<session>',
    summary: 'Start a failed or stopped session again, as a new one.',
    options: [],
    client: true,
    long: true,
    examples: ['tidemark session retry 0193f2a1c0de5eed01020304'],
    see: ['tidemark session show'],
    load: async () => (await import('../commands/session.ts')).retrySession,
  },
];
