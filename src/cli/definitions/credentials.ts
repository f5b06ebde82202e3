import type { CommandDefinition } from '../command.ts';
import { apply } from './options.ts';

export const credentialCommands: readonly CommandDefinition[] = [
  {
    name: 'credential add',
    takes: '<name>',
    summary: 'Keep how to sign in to hosts or databases, under a name.',
    text: `Secrets are read from files: what stands on a command line can be seen by every user. The server seals them with its
master key, and no command shows them again.

For hosts: a user with a password or a private key, and how it becomes root: --sudo (with the user's password, or with
--sudo-password-file; a rule with NOPASSWD needs neither), --root-password-file for su, or both: then su is tried where
sudo is refused. For hosts on Windows: an administrator there, NAME, DOMAIN\\NAME or NAME@DOMAIN, with a
password. For databases: a user with a password (SCRAM), or --x509.`,
    options: [
      { flags: '--for <what>', says: 'what it opens: host (default), windows or database', choices: ['host', 'windows', 'database'] },
      { flags: '--user <name>', says: 'user on the host, or of the database' },
      { flags: '--password-file <file>', says: 'file with that user\'s password' },
      { flags: '--key-file <file>', says: 'host: file with the user\'s private key' },
      { flags: '--passphrase-file <file>', says: 'host: file with the passphrase of that key' },
      { flags: '--port <port>', says: 'host: port of sshd (22)' },
      { flags: '--sudo', says: 'host: become root with sudo' },
      { flags: '--sudo-password-file <file>', says: 'host: file with the password sudo asks for; implies --sudo' },
      { flags: '--root-password-file <file>', says: 'host: file with root\'s password, for su' },
      { flags: '--auth-source <database>', says: 'database: where the user is kept (admin)' },
      { flags: '--x509 <file>', says: 'database: sign in with this client certificate and key (PEM)' },
      { flags: '--tls-ca <file>', says: 'database: certificate authority of the servers' },
    ],
    client: true,
    examples: [
      'tidemark credential add dba --user tidemark --key-file /root/.ssh/tidemark --sudo',
      'tidemark credential add old-hosts --user admin --password-file /root/pw --port 2222 --root-password-file /root/root-pw',
      'tidemark credential add windows-admin --for windows --user CORP\\\\backup --password-file /root/windows-password',
      'tidemark credential add rs0-reader --for database --user tidemark --password-file /root/db-password',
    ],
    exits: { 0: 'kept' },
    see: ['tidemark credential list'],
    load: async () => (await import('../commands/credential.ts')).addCredential,
  },
  {
    name: 'credential list',
    takes: '',
    summary: 'List the kept credentials, without their secrets.',
    options: [],
    client: true,
    examples: ['tidemark credential list', 'tidemark credential list --json'],
    see: ['tidemark credential add'],
    load: async () => (await import('../commands/credential.ts')).listCredentials,
  },
  {
    name: 'credential remove',
    takes: '<credential>',
    summary: 'Forget a credential with its secrets.',
    text: 'Without --apply it prints the plan and changes nothing.',
    options: [apply],
    client: true,
    examples: ['tidemark credential remove dba', 'tidemark credential remove dba --apply'],
    exits: { 0: 'planned or removed' },
    see: ['tidemark credential list'],
    load: async () => (await import('../commands/credential.ts')).removeCredential,
  },
];
