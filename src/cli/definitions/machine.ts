import type { CommandDefinition } from '../command.ts';

export const machineCommands: readonly CommandDefinition[] = [
  {
    name: 'up',
    takes: '',
    summary: 'Run everything on this machine: server, transport service, a local repository and, for other hosts, a distribution server.',
    text: `Runs in the foreground until Ctrl-C or SIGTERM and prints one line when it is ready. The first start makes the
certificate authority, the catalog, a repository and the admin token, all in the data directory, which is for its
owner only. A part that ends is started again. Nothing is left running when this command is killed.

Commands on the same machine find the server by themselves when it runs on the default data directory.`,
    options: [
      { flags: '--data <dir>', says: 'data directory (/var/lib/tidemark for root, else ~/.local/share/tidemark)' },
      { flags: '--listen <host:port>', says: 'where the REST API answers (127.0.0.1:9419)' },
      { flags: '--transport-listen <host:port>', says: 'where the transport service answers the server (127.0.0.1:6162)' },
      { flags: '--hosts <address>', says: 'take other hosts: they enrol and dial in at this address of the machine (not taken unless given)' },
      { flags: '--enrolment-port <port>', says: 'where hosts enrol and renew their certificates (10002)' },
      { flags: '--agent-port <port>', says: 'where hosts that dial in do (10006)' },
      { flags: '--depot-port <port>', says: 'of the distribution server that runs with --hosts (9380)' },
      { flags: '--installer-port <port>', says: 'of its installer service (11731)' },
      { flags: '--depot <host:port>', says: 'a distribution server on another host in place of one here' },
      { flags: '--catalog <url>', says: 'share a catalog with other servers: postgres://USER@HOST/DATABASE (one of its own)' },
      { flags: '--catalog-password-file <file>', says: 'the password of that database' },
      { flags: '--catalog-backed-up', says: 'that database was backed up: it may be changed for this version' },
      { flags: '--dns <address>', says: 'name server to check names at, on another port as ADDRESS:PORT; several (those of /etc/resolv.conf)', many: true },
      { flags: '--no-depot', says: 'no distribution server: services are not installed or updated from here' },
    ],
    client: false,
    examples: ['tidemark up', 'tidemark up --hosts backup1 --catalog postgres://tide@db1/tidemark --catalog-password-file /etc/tidemark/catalog.password', 'tidemark up --data /srv/tidemark --listen 127.0.0.1:9420 --json'],
    exits: { 0: 'stopped by a signal', 1: 'a part cannot run, or a port is taken', 5: 'the data directory is in use by another "tidemark up"' },
    see: ['tidemark doctor', 'tidemark set add'],
    load: async () => (await import('../commands/up.ts')).runUp,
  },
  {
    name: 'doctor',
    takes: '',
    summary: 'Show what this machine has and lacks for backup and restore.',
    text: `Looks at this machine (mongod, mounts, reflinks, rights, space, ports, clock), and when a server answers, at the
server and its hosts as well. Changes nothing.`,
    options: [{ flags: '--data <dir>', says: 'data directory to look at' }],
    client: true,
    examples: ['tidemark doctor', 'tidemark doctor --json'],
    exits: { 0: 'nothing is lacking', 3: 'something is lacking; it is listed' },
    see: ['tidemark up'],
    load: async () => (await import('../commands/doctor.ts')).runDoctor,
  },
  {
    name: 'completion',
    takes: '<shell>',
    summary: 'Print the completion script for bash, zsh or fish.',
    options: [],
    client: false,
    examples: [
      'tidemark completion bash > /etc/bash_completion.d/tidemark',
      'tidemark completion zsh > "${fpath[1]}/_tidemark"',
      'tidemark completion fish > ~/.config/fish/completions/tidemark.fish',
    ],
    load: async () => (await import('../commands/completion.ts')).runCompletion,
  },
];
