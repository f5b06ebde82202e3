import type { CommandDefinition } from '../command.ts';

export const serverCommands: readonly CommandDefinition[] = [
  {
    name: 'server limit',
    takes: '',
    summary: 'Set how many sets are copied at once, by all servers of one catalog together.',
    text: 'A copy that is running goes on when it is lowered. Without options it is shown.',
    options: [{ flags: '--copies <n>', says: 'so many sets are copied at once (100)' }],
    client: true,
    examples: ['tidemark server limit', 'tidemark server limit --copies 40'],
    see: ['tidemark node limit', 'tidemark repository limit'],
    load: async () => (await import('../commands/server-limit.ts')).limitServer,
  },
  {
    name: 'server recover',
    takes: '<repository>',
    summary: 'Make a server on this machine of the configuration that a lost one kept in a repository.',
    text: `Wants the repository and its passphrase, nothing else of the server that was lost: a copy of its configuration is in each of
its repositories, made once a day and after each change. The repository is a directory of this machine, a share or a bucket.
Writes into an empty data directory. Hosts take the new server for the old one: end the old one for good before.`,
    options: [
      { flags: '--passphrase-file <file>', says: 'the passphrase of the repository' },
      { flags: '--data <dir>', says: 'data directory (/var/lib/tidemark for root, else ~/.local/share/tidemark)' },
      { flags: '--installation <id>', says: 'which one, where several servers have used the repository' },
      { flags: '--list', says: 'which copies there are; nothing is recovered' },
      { flags: '--copy <id>', says: 'one of them; the newest unless given' },
      { flags: '--share-user <user>', says: 'of a share, as DOMAIN\\USER' },
      { flags: '--share-password-file <file>', says: 'its password' },
      { flags: '--access-key <id>', says: 'of a bucket' },
      { flags: '--secret-key-file <file>', says: 'the secret of that key' },
      { flags: '--region <name>', says: 'of a bucket' },
      { flags: '--ca <file>', says: 'certificate authority of the bucket\'s server' },
    ],
    client: false,
    examples: ['tidemark server recover /mnt/vault/repository --passphrase-file repository.passphrase --data /var/lib/tidemark'],
    exits: { 0: 'recovered', 1: 'there is no configuration, or the data directory is in use' },
    see: ['tidemark up', 'tidemark repository open'],
    load: async () => (await import('../commands/server-recover.ts')).runServerRecover,
  },
];
