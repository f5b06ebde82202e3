import type { CommandDefinition } from '../command.ts';
import { apply } from './options.ts';

/** Commands about the services of hosts. */
export const nodeServiceCommands: readonly CommandDefinition[] = [
  {
    name: 'node install',
    takes: '<node>',
    summary: 'Install the services on a host: the deployer over SSH, the transport by the deployer. They enrol by themselves.',
    text: `The host is one that "node add" expects. Its SSH key is recorded at first use, or has to be trusted first ("node trust");
a changed key fails. Packages come from the distribution server. Where the deployer answers already, because it was
installed before or by an installer ("node kit --installer"), no SSH is needed. With a credential for Windows the deployer is
put there over port 445 and installed by Windows Installer, as docs/design/windows-first-contact.md says.`,
    options: [
      { flags: '--credential <name>', says: 'how to sign in and become root ("credential add"); not needed where the deployer answers' },
      { flags: '--package <file>', says: 'the deployer as a .deb or .rpm on the server\'s machine, for the host\'s package manager' },
    ],
    client: true,
    long: true,
    examples: ['tidemark node install db1 --credential root-at-db', 'tidemark node install db2'],
    see: ['tidemark node add', 'tidemark credential add', 'tidemark package list'],
    load: async () => (await import('../commands/node-services.ts')).installNode,
  },
  {
    name: 'node update',
    takes: '[node]',
    summary: 'Update the services of a host to the newest packages of the distribution server.',
    text: `Sessions that run there finish first; meanwhile the host takes no new ones. A version that does not become healthy is
taken back by the host itself, and the session fails with the last error of its log.`,
    options: [
      { flags: '--all', says: 'every host that is out of date, side by side; each has its own result' },
      { flags: '--wait <duration>', says: 'how long running sessions have to end (1h); past it nothing is changed' },
    ],
    client: true,
    long: true,
    examples: ['tidemark node update db1', 'tidemark node update --all --wait 3h'],
    exits: { 3: 'with --all: some hosts were not updated, and are named' },
    see: ['tidemark node list', 'tidemark package list'],
    load: async () => (await import('../commands/node-services.ts')).updateNode,
  },
  {
    name: 'node configure',
    takes: '<node>',
    summary: 'Change ports and rights of the services of a host.',
    text: `The service is restarted alone, and the server follows. A port on which it does not start, or on which the server does not
reach it, is taken back. What is left out stays as it is.`,
    options: [
      { flags: '--control-port <port>', says: 'of its transport service' },
      { flags: '--data-ports <from-to>', says: 'for data channels, one for each connection' },
      { flags: '--single-port <on|off>', says: 'have data channels come to the control port in place of the range; needs no deployer there', choices: ['on', 'off'] },
      { flags: '--deployer-port <port>', says: 'of its deployer service' },
      { flags: '--rights <rights>', says: 'of its transport: "restore" to lay down whole sets there, "read" for backups only', choices: ['read', 'restore'] },
      { flags: '--wait <duration>', says: 'how long running sessions have to end (10m); past it nothing is changed' },
    ],
    client: true,
    long: true,
    examples: ['tidemark node configure db1 --control-port 7162 --data-ports 4000-4100', 'tidemark node configure db1 --rights restore', 'tidemark node configure vault --single-port on'],
    see: ['tidemark node list', 'tidemark ports matrix'],
    load: async () => (await import('../commands/node-services.ts')).configureNode,
  },
  {
    name: 'node uninstall',
    takes: '<node>',
    summary: 'Take the transport service off a host, or everything of ours.',
    text: `Without --apply it prints the plan and changes nothing. With --all the deployer goes last, and the host is forgotten. A
host with a repository, or one that a session works on, is left as it is.`,
    options: [{ flags: '--all', says: 'the deployer too, with all settings and data; the host is removed' }, { flags: '--data', says: 'the settings, the user and the data of the transport too' }, apply],
    client: true,
    long: true,
    examples: ['tidemark node uninstall db1', 'tidemark node uninstall db1 --all --apply'],
    exits: { 0: 'planned or uninstalled', 5: 'a repository is on it, or a session works there' },
    see: ['tidemark node remove'],
    load: async () => (await import('../commands/node-services.ts')).uninstallNode,
  },
];
