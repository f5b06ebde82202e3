import type { CommandDefinition } from '../command.ts';
import { apply, databaseSignIn, fromRepository, reason } from './options.ts';

export const setCommands: readonly CommandDefinition[] = [
  {
    name: 'set add',
    takes: '<uri>',
    summary: 'Protect a replica set, by a connection string or as a group has found it.',
    text: `Discovers the set from the member named in the connection string, opens its archive in the repository and starts
to follow its oplog. Passwords are read from files: what stands on a command line can be seen by every user. The user needs
the roles backup, clusterMonitor and hostManager on admin.

Behind mongodb+srv://NAME/ the members are looked up once, by this machine's name servers, and come from the set itself
from then on; "tidemark ports check" says when the records no longer fit.

In place of a connection string, the name of a set that a group has found: it is reached at the members that are known
there, with the group's credential for it.`,
    options: [
      { flags: '--group <group>', says: 'the group that has found the set, where several have found one of that name' },
      { flags: '--name <name>', says: 'how you call it (the replica set\'s own name)' },
      { flags: '--repository <name>', says: 'where its backups go (the default repository)' },
      ...databaseSignIn,
    ],
    client: true,
    examples: [
      `tidemark set add 'mongodb://127.0.0.1:27017/?replicaSet=rs0'`,
      'tidemark set add mongodb://db1:27017,db2:27017 --user tidemark --password-file /root/db-password --tls-ca /etc/ssl/db-ca.pem',
      'tidemark set add mongodb+srv://rs.example.net/ --user tidemark --password-file /root/db-password',
      'tidemark set add rs0 --group shop',
    ],
    see: ['tidemark set show', 'tidemark backup run'],
    load: async () => (await import('../commands/set.ts')).addSet,
  },
  {
    name: 'set list',
    takes: '',
    summary: 'List the protected sets and how each stands.',
    options: [],
    client: true,
    examples: ['tidemark set list'],
    see: ['tidemark set show'],
    load: async () => (await import('../commands/set.ts')).listSets,
  },
  {
    name: 'set show',
    takes: '<set>',
    summary: 'Show one set: members, ways to copy, oplog, last restore point, alarms.',
    options: [],
    client: true,
    examples: ['tidemark set show rs0'],
    see: ['tidemark window'],
    load: async () => (await import('../commands/set.ts')).showSet,
  },
  {
    name: 'set remove',
    takes: '<set>',
    summary: 'Stop protecting a set. Its restore points and oplog stay in the repository.',
    text: 'Without --apply it prints the plan and changes nothing.',
    options: [apply],
    client: true,
    examples: ['tidemark set remove rs0', 'tidemark set remove rs0 --apply'],
    exits: { 0: 'planned or removed', 5: 'a session works on the set' },
    see: ['tidemark point delete'],
    load: async () => (await import('../commands/set.ts')).removeSet,
  },
  {
    name: 'backup run',
    takes: '<set>',
    summary: 'Make one restore point now, and prove it by opening it.',
    text: `Takes the copy in the way that disturbs the database least, stores what the repository does not have yet, and
opens the new point with a real mongod. Node and compression are those of the set's policy, if it has one, unless
given here; the command does not wait for the limits of policies. Ctrl-C asks the session to stop; what was stored is
used by the next run.`,
    options: [
      { flags: '--full-read', says: 'read and hash everything again, whatever is known to be unchanged' },
      { flags: '--repository <name>', says: 'must be the set\'s repository' },
      { flags: '--method <way>', says: 'take this way of copying or fail', choices: ['clone', 'window', 'lock'] },
      { flags: '--source <host:port>', says: 'take the copy from this member or fail' },
      { flags: '--compression <level>', says: 'how hard to compress (as the set\'s policy has it, else balanced)', choices: ['none', 'fast', 'balanced', 'strong'] },
      { flags: '--window-seconds <n>', says: 'longest checkpoint window to try (60)' },
      { flags: '--drop-clone', says: 'keep no clone for the next run' },
      reason,
    ],
    client: true,
    long: true,
    examples: ['tidemark backup run rs0', 'tidemark backup run rs0 --full-read --json'],
    exits: { 0: 'stored and proved', 3: 'stored, with warnings', 5: 'another session backs the set up' },
    see: ['tidemark point list', 'tidemark window'],
    load: async () => (await import('../commands/backup.ts')).runBackup,
  },
  {
    name: 'window',
    takes: '<set>',
    summary: 'Show the moments a set can be brought back to: from, to, gaps, barriers, points.',
    text: `A gap is a stretch of oplog that is not in the archive; a barrier is an operation that no replay can pass, such as a
change of the feature compatibility version. Moments beyond either need a restore point after it.`,
    options: [fromRepository],
    client: true,
    examples: ['tidemark window rs0', 'tidemark window rs0 --json'],
    see: ['tidemark point list', 'tidemark oplog find'],
    load: async () => (await import('../commands/window.ts')).showWindow,
  },
  {
    name: 'oplog pause',
    takes: '<set>',
    summary: 'Pause the oplog of a set: nothing is archived until it is resumed.',
    text: `For work on hosts or networks that must not be disturbed. "tidemark set show" says for how long the members' own oplogs
cover it: what they drop meanwhile is a gap, and resuming then begins anew with a base backup.`,
    options: [{ flags: '--reason <text>', says: 'why, for whoever finds it paused', required: true }],
    client: true,
    examples: ['tidemark oplog pause rs0 --reason "the switch is replaced"'],
    see: ['tidemark oplog resume', 'tidemark set show'],
    load: async () => (await import('../commands/oplog-mode.ts')).pauseOplog,
  },
  {
    name: 'oplog resume',
    takes: '<set>',
    summary: 'Resume the oplog of a set: without a gap where a member still has what is missing.',
    options: [],
    client: true,
    examples: ['tidemark oplog resume rs0'],
    see: ['tidemark oplog pause', 'tidemark window'],
    load: async () => (await import('../commands/oplog-mode.ts')).resumeOplog,
  },
  {
    name: 'oplog take',
    takes: '<set>',
    summary: 'Choose how the oplog of a set is taken: all the time (usual), or every so many minutes.',
    text: `With --every a disaster costs up to that much, and a moment can be reached once the next round has archived it. While a
backup of the set runs, the oplog is taken at once.`,
    options: [
      { flags: '--every <duration>', says: 'such as 15m or 4h, up to a day' },
      { flags: '--continuous', says: 'all the time' },
    ],
    client: true,
    examples: ['tidemark oplog take rs0 --every 15m', 'tidemark oplog take rs0 --continuous'],
    see: ['tidemark set show'],
    load: async () => (await import('../commands/oplog-mode.ts')).takeOplog,
  },
  {
    name: 'oplog find',
    takes: '<set>',
    summary: 'Find operations in the archived oplog: which operation did it?',
    text: `Prints each operation with its cluster time. Give it to --at as it stands for the state just after the operation, or
with before: for the state just before it.`,
    options: [
      { flags: '--ns <db.coll>', says: 'only this collection, or with a database alone all of its collections' },
      { flags: '--op <kind>', says: 'only this kind', choices: ['insert', 'update', 'delete', 'command'] },
      { flags: '--match <ejson>', says: 'fields of the operation that must be equal, as extended JSON' },
      { flags: '--since <moment>', says: 'not before this moment (forms of --at)' },
      { flags: '--until <moment>', says: 'not after this moment (forms of --at)' },
      { flags: '--limit <n>', says: 'stop after so many (100)' },
    ],
    client: true,
    long: true,
    examples: [
      'tidemark oplog find rs0 --ns shop.orders --op command',
      `tidemark oplog find rs0 --ns shop.orders --op delete --match '{"_id": 4711}' --since 2026-11-23T12:00:00Z`,
    ],
    see: ['tidemark restore collections', 'tidemark window'],
    load: async () => (await import('../commands/oplog.ts')).findOperations,
  },
];
