import type { CommandDefinition } from '../command.ts';
import { nodeServiceCommands } from './node-services.ts';
import { apply } from './options.ts';

export const nodeCommands: readonly CommandDefinition[] = [
  {
    name: 'node list',
    takes: '',
    summary: 'List the hosts that work for this server and how each is connected.',
    text: `With --filter: unmanaged, those without services of ours, computers that groups have found among them; out-of-date, those
that there is a newer package for; offline, those that have enrolled and are not connected; untrusted, those
whose SSH key waits to be admitted.`,
    options: [{ flags: '--filter <filter>', says: 'only these', choices: ['unmanaged', 'out-of-date', 'offline', 'untrusted'] }],
    client: true,
    examples: ['tidemark node list', 'tidemark node list --filter offline'],
    see: ['tidemark node show', 'tidemark node add'],
    load: async () => (await import('../commands/node.ts')).listNodes,
  },
  {
    name: 'node show',
    takes: '<node>',
    summary: 'Show one host: both its services, their ports and versions, and what keeps a link from being there.',
    options: [],
    client: true,
    examples: ['tidemark node show db1'],
    see: ['tidemark node list', 'tidemark node update'],
    load: async () => (await import('../commands/node.ts')).showNode,
  },
  {
    name: 'node add',
    takes: '<name> <address>',
    summary: 'Expect a host.',
    text: `The kit holds a one-time token that is good for a day. "node install" makes its own; carry this one to the host as a
secret where a service is installed by hand, and put it where that looks for it. No other port of the server answers a
host before that.`,
    options: [
      { flags: '--kit <file>', says: 'where a kit is written, readable by you alone; "node install" needs none' },
      { flags: '--control-port <port>', says: 'of its transport service (6162)' },
      { flags: '--deployer-port <port>', says: 'of its deployer service (6160)' },
      { flags: '--data-ports <from-to>', says: 'for data channels, one for each connection (2500-3300)' },
      { flags: '--windows', says: 'it runs Windows: its ports are in the plan before it has said so itself' },
      { flags: '--dials-in', says: 'the host opens the link to the server, because the server may not dial it' },
    ],
    client: true,
    examples: ['tidemark node add db1 10.0.0.11', 'tidemark node add win1 10.0.0.30 --windows', 'tidemark node add vault 10.0.0.20 --data-ports 2500-2600'],
    see: ['tidemark node install', 'tidemark node kit'],
    load: async () => (await import('../commands/node.ts')).addNode,
  },
  {
    name: 'node kit',
    takes: '<node>',
    summary: 'Write a new kit for a host, or an installer that needs no SSH; earlier ones that were not used open nothing any more.',
    text: `A kit is for a service that is there: put it at /var/lib/tidemark-deployer/kit.json (or tidemark-transport) and start
the service. An installer is a program to run on the host as root within an hour: it fetches the deployer from the
installer service of the distribution server, checks it and has it enrol; then "node install" does the rest. For
Windows it is a folder with the package, the kit and install.cmd, to be run there by an administrator within a day.`,
    options: [
      { flags: '--kit <file>', says: 'where a kit is written, readable by you alone' },
      { flags: '--installer <path>', says: 'where an installer is written, for you alone' },
      { flags: '--part <part>', says: 'the one service a kit is for (the first that shows it)', choices: ['transport', 'deployer', 'depot'] },
      { flags: '--platform <platform>', says: 'of an installer (linux-x64)', choices: ['linux-x64', 'linux-arm64', 'windows-x64'] },
    ],
    client: true,
    examples: ['tidemark node kit db1 --installer /root/install-on-db1.sh', 'tidemark node kit win --installer win-kit --platform windows-x64', 'tidemark node kit db1 --kit /root/db1.kit --part transport'],
    see: ['tidemark node add', 'tidemark node install'],
    load: async () => (await import('../commands/node.ts')).writeKit,
  },
  {
    name: 'node trust',
    takes: '[host]',
    summary: 'Trust the SSH key of a host that waits; without a host, list those that wait.',
    text: `A host waits when its key is not known and the mode is manual, or when it shows another key than the one that is
trusted: then somebody may stand between. Without --apply it prints the key to compare and changes nothing.`,
    options: [
      { flags: '--fingerprint <sha256>', says: 'only this key, as compared on the host (SHA256:…)' },
      { flags: '--port <port>', says: 'of its sshd (22)' },
      { flags: '--mode <mode>', says: 'for all hosts: trust at first use (automatic, the default), or wait (manual)', choices: ['automatic', 'manual'] },
      apply,
    ],
    client: true,
    examples: ['tidemark node trust', 'tidemark node trust 10.0.0.11 --fingerprint SHA256:Yc0… --apply', 'tidemark node trust --mode manual'],
    exits: { 0: 'listed, planned or trusted', 1: 'it shows another key' },
    see: ['tidemark node list'],
    load: async () => (await import('../commands/trust.ts')).trustNode,
  },
  {
    name: 'node limit',
    takes: '<node> [limit]...',
    summary: 'Limit how fast a host sends and receives, and how many sets are copied from it at once.',
    text: `A limit is Mbit/s, for the whole day or between two times of the host's own clock: "200" or "50@08:00-18:00". Where several hold, the
lowest counts. They take the place of those before; "none" limits nothing. All tasks of the host share it for what goes to
and comes from repositories elsewhere; limits of repositories and policies hold besides. Running tasks keep what they
started with. Without any, and without options, it is shown. The machine of the server is "local".`,
    options: [{ flags: '--copies <n>', says: 'so many sets are copied from it at once (1); running copies go on when it is lowered' }],
    client: true,
    examples: ['tidemark node limit db1 50@08:00-18:00 400', 'tidemark node limit db1 none', 'tidemark node limit db1 --copies 2'],
    see: ['tidemark node show', 'tidemark repository limit', 'tidemark server limit'],
    load: async () => (await import('../commands/node-limit.ts')).limitNode,
  },
  ...nodeServiceCommands,
  {
    name: 'node remove',
    takes: '<node>',
    summary: 'Remove a host: its certificates are refused at once.',
    text: 'Without --apply it prints the plan and changes nothing. What is installed on the host stays there.',
    options: [apply],
    client: true,
    examples: ['tidemark node remove db1', 'tidemark node remove db1 --apply'],
    exits: { 0: 'planned or removed', 5: 'a repository is on it, or a session works there' },
    see: ['tidemark node list'],
    load: async () => (await import('../commands/node.ts')).removeNode,
  },
];
