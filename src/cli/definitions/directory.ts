import type { CommandDefinition } from '../command.ts';
import { apply } from './options.ts';

export const directoryCommands: readonly CommandDefinition[] = [
  {
    name: 'directory set',
    takes: '',
    summary: 'Set the directory whose users sign in here: Active Directory or LDAP.',
    text: `It is asked once before anything is kept. What is not given stays as it is; given for the first time, the rest is what is usual for its
kind. The bind account's password has to be given again when servers, encryption, authority or account change.

--role GROUP=ROLE gives everybody in a group, itself or through other groups, a role here; with --role given, those before are
replaced. Who is in no such group cannot sign in.`,
    options: [
      { flags: '--kind <kind>', says: 'what it is (active-directory)', choices: ['active-directory', 'ldap'] },
      { flags: '--directory-server <host[:port]>', says: 'asked in the order given; 389, or 636 with ldaps. May be given several times', many: true },
      { flags: '--encryption <how>', says: 'starttls (default), ldaps, or none: passwords cross the network in the clear', choices: ['starttls', 'ldaps', 'none'] },
      { flags: '--directory-ca-file <file>', says: 'authority of the servers\' certificates; "system": those this machine trusts' },
      { flags: '--bind-user <name>', says: 'account that looks things up: DN, user@suffix or DOMAIN\\user' },
      { flags: '--bind-password-file <file>', says: 'file with its password' },
      { flags: '--base <dn>', says: 'below which users and groups are' },
      { flags: '--domain <name>', says: 'the DOMAIN of DOMAIN\\user' },
      { flags: '--realm <name>', says: 'what follows the @ in names of its users here (made of the base)' },
      { flags: '--user-filter <filter>', says: 'which entries are users' },
      { flags: '--name-attribute <name>', says: 'attribute with the name that is typed (sAMAccountName, uid)' },
      { flags: '--group-filter <filter>', says: 'which entries are groups' },
      { flags: '--role <group=role>', says: 'the DN of a group, and the role that it gives; may be given several times', many: true },
    ],
    client: true,
    examples: [
      'tidemark directory set --directory-server dc1.comp.test --base DC=comp,DC=test --bind-user svc@comp.test --bind-password-file svc',
      'tidemark directory set --role "CN=Operators,DC=comp,DC=test=backup-operator" --role "CN=Everybody,DC=comp,DC=test=viewer"',
    ],
    exits: { 0: 'set', 1: 'it could not be asked; nothing was changed' },
    see: ['tidemark directory test', 'tidemark role list'],
    load: async () => (await import('../commands/directory.ts')).setDirectory,
  },
  {
    name: 'directory show',
    takes: '',
    summary: 'Show how the directory is reached, and which of its groups have which roles.',
    options: [],
    client: true,
    examples: ['tidemark directory show'],
    see: ['tidemark directory test'],
    load: async () => (await import('../commands/directory.ts')).showDirectory,
  },
  {
    name: 'directory test',
    takes: '',
    summary: 'Ask every server of the directory, and say for each what failed where.',
    options: [],
    client: true,
    examples: ['tidemark directory test'],
    exits: { 0: 'every server did', 1: 'none did', 3: 'some did' },
    see: ['tidemark directory set'],
    load: async () => (await import('../commands/directory.ts')).testDirectory,
  },
  {
    name: 'directory computers',
    takes: '',
    summary: 'List computers of the directory, as candidates for a protection group.',
    options: [{ flags: '--base <dn>', says: 'below which they are', required: true }],
    client: true,
    examples: ['tidemark directory computers --base OU=DBServers,DC=comp,DC=test'],
    see: ['tidemark group add'],
    load: async () => (await import('../commands/directory.ts')).listComputers,
  },
  {
    name: 'directory remove',
    takes: '',
    summary: 'Forget the directory; its users lose their sign-ins and tokens.',
    text: 'Without --apply it prints the plan and changes nothing.',
    options: [apply],
    client: true,
    examples: ['tidemark directory remove', 'tidemark directory remove --apply'],
    exits: { 0: 'planned or removed' },
    see: ['tidemark directory set'],
    load: async () => (await import('../commands/directory.ts')).removeDirectory,
  },
];
