import type { CommandDefinition } from '../command.ts';
import { apply, databaseSignIn, momentForms, placeForms, placeOptions, plan } from './options.ts';

export const repositoryCommands: readonly CommandDefinition[] = [
  {
    name: 'repository add',
    takes: '<name> <place>',
    summary: 'Make a backup repository, or take up the one that is there.',
    text: `${placeForms} Every host opens a share or a bucket by itself; with --gateway
one host does it for all, and the others send their data to it.

Everything in it is encrypted with a key that only the passphrase opens. Keep the passphrase somewhere else than on
this machine: without it the backups cannot be read by anyone.`,
    options: [
      { flags: '--passphrase-file <file>', says: 'file with the passphrase, 8 characters or more', required: true },
      { flags: '--node <name>', says: 'the host that the directory is on (the server\'s own)' },
      { flags: '--gateway <node>', says: 'share or bucket: only this host opens it' },
      ...placeOptions,
      { flags: '--no-create', says: 'fail unless a repository is there' },
      { flags: '--immutable-days <n>', says: 'nobody can change or delete what is stored for so many days; never lowered' },
      { flags: '--lock-mode <mode>', says: 'bucket: compliance (default), or governance', choices: ['compliance', 'governance'] },
    ],
    client: true,
    examples: [
      'tidemark repository add main /srv/backup --passphrase-file /root/passphrase',
      `tidemark repository add share smb://files.example/backup --share-user 'CORP\\mongo' --share-password-file smb --passphrase-file pass`,
      'tidemark repository add vault /srv/backup --node backup1 --immutable-days 30 --passphrase-file pass',
      'tidemark repository add bucket s3:https://store.example:7480/backup --access-key AKTM --secret-key-file key --passphrase-file pass',
    ],
    see: ['tidemark repository open', 'tidemark repository immutable', 'docs/guide/immutable.md'],
    load: async () => (await import('../commands/repository.ts')).addRepository,
  },
  {
    name: 'repository import',
    takes: '<place>',
    summary: 'Attach a repository of another server, or from a recovered disk, read-only.',
    text: `${placeForms}

Nothing is written into it, not even a temporary file. Its sets, points and windows are listed, and restores read from it with
--repository. "repository adopt" makes it one of this server's own.`,
    options: [
      { flags: '--passphrase-file <file>', says: 'file with the passphrase', required: true },
      { flags: '--node <name>', says: 'the host that the directory is on (the server\'s own)' },
      { flags: '--name <name>', says: 'how you call it (the last part of its place)' },
      ...placeOptions,
    ],
    client: true,
    examples: ['tidemark repository import /mnt/old-disk/backup --passphrase-file /root/old-passphrase --name old'],
    see: ['tidemark repository adopt', 'tidemark restore set', 'docs/guide/second-copy.md'],
    load: async () => (await import('../commands/repository-import.ts')).importRepository,
  },
  {
    name: 'repository adopt',
    takes: '<repository>',
    summary: 'Take over an attached repository, or a copy: sets that are protected here go on in it.',
    text: `Without --apply it prints the plan and changes nothing. An attached repository may be written from then on; a set with an
archive in it has its backups and its oplog there from then on. Refused while somebody else is at work in it.`,
    options: [apply],
    client: true,
    examples: ['tidemark repository adopt old', 'tidemark repository adopt second --apply'],
    exits: { 0: 'planned or taken over', 5: 'somebody is at work in it, or a backup of a set that would move is running' },
    see: ['tidemark repository import', 'tidemark window'],
    load: async () => (await import('../commands/repository-import.ts')).adoptRepository,
  },
  {
    name: 'repository repair',
    takes: '[repository]',
    summary: 'Read all of a repository, and heal what is damaged from a copy.',
    text: `Everything is read and proved. What is damaged is taken from --from, as far as that has the same sets, and only when it
is proved to be what was lost. What is not there is read again from the database by the next backup, if it is still in its files.
Without a name, the default repository.`,
    options: [{ flags: '--from <repository>', says: 'another repository that has the same sets: a copy, or what this is the copy of' }],
    client: true,
    long: true,
    examples: ['tidemark repository repair', 'tidemark repository repair main --from second'],
    exits: { 0: 'whole now', 3: 'something is still damaged', 5: 'another repair works on it' },
    see: ['tidemark repository check', 'tidemark copy run'],
    load: async () => (await import('../commands/repository-import.ts')).repairRepository,
  },
  {
    name: 'repository list',
    takes: '',
    summary: 'List the repositories.',
    options: [],
    client: true,
    examples: ['tidemark repository list'],
    see: ['tidemark repository show'],
    load: async () => (await import('../commands/repository.ts')).listRepositories,
  },
  {
    name: 'repository show',
    takes: '[repository]',
    summary: 'Show one repository and the archives in it.',
    options: [],
    client: true,
    examples: ['tidemark repository show main'],
    see: ['tidemark repository check'],
    load: async () => (await import('../commands/repository.ts')).showRepository,
  },
  {
    name: 'repository limit',
    takes: '<repository> [limit]...',
    summary: 'Limit how fast data goes between a repository and other hosts, and how many sets are copied into it at once.',
    text: `A limit is Mbit/s, for the whole day or between two times of the host's day: "200" or "50@08:00-18:00". Where several hold, the
lowest counts. They take the place of those before; "none" limits nothing. All who work with a repository on a host share it; of
a share or a bucket that hosts open themselves, the tasks of each host do. Running tasks keep what they started with.
Without any, and without options, it is shown.`,
    options: [
      { flags: '--copies <n>', says: 'so many sets are copied into it at once (4); running copies go on when it is lowered' },
      { flags: '--connections <n>', says: 'over so many each task sends and reads: channels or connections to a share (4), parts to a bucket (6)' },
    ],
    client: true,
    examples: ['tidemark repository limit main 50@08:00-18:00 400', 'tidemark repository limit main none', 'tidemark repository limit main --copies 8 --connections 8'],
    see: ['tidemark repository show', 'tidemark node limit', 'tidemark server limit'],
    load: async () => (await import('../commands/repository.ts')).limitRepository,
  },
  {
    name: 'repository immutable',
    takes: '<repository> <days>',
    summary: 'Raise for how many days nothing in an immutable repository can be changed or deleted.',
    text: `Holds for what is stored from now on, and for what later restore points build on. The days are never lowered, and a
repository that was made without them is never immutable: make another one.`,
    options: [],
    client: true,
    examples: ['tidemark repository immutable vault 60'],
    see: ['tidemark repository add', 'docs/guide/immutable.md'],
    load: async () => (await import('../commands/repository.ts')).raiseImmutable,
  },
  {
    name: 'repository reread',
    takes: '<repository>',
    summary: 'Have every object of a repository read and its digest compared within so many days.',
    text: `A slice is read each night, so that the bytes of a repository are known to be readable before they are needed. What is damaged
marks the restore points that it hurts, is an alarm, and a new restore point is made. Without options it is shown.`,
    options: [
      { flags: '--days <days>', says: 'everything is read within so many (30); 0: not by itself' },
      { flags: '--at <time>', says: 'when it begins each night, by the server\'s clock (01:00)' },
    ],
    client: true,
    examples: ['tidemark repository reread main', 'tidemark repository reread main --days 14 --at 02:30', 'tidemark repository reread main --days 0'],
    see: ['tidemark repository check', 'tidemark repository show'],
    load: async () => (await import('../commands/repository-reread.ts')).rereadRepository,
  },
  {
    name: 'repository gateway',
    takes: '<repository> [node]...',
    summary: 'Name the gateway hosts that other hosts reach a repository through.',
    text: `A gateway is a managed host that passes data channels on, unread, between hosts that cannot reach each other. Of several, one
that is connected and has little to do is taken. They take the place of those before; without any, all hosts reach the
repository's host straight. "ports matrix" and "ports export" follow at once. Running tasks keep what they started with.`,
    options: [{ flags: '--for <node>', says: 'only this host goes through a gateway, the others straight; once for each', many: true }],
    client: true,
    examples: ['tidemark repository gateway main gate1 gate2', 'tidemark repository gateway main gate1 --for db1 --for db2', 'tidemark repository gateway main'],
    see: ['tidemark repository show', 'tidemark ports matrix'],
    load: async () => (await import('../commands/repository.ts')).setGateways,
  },
  {
    name: 'repository check',
    takes: '[repository]',
    summary: 'Check that a repository is whole, and say which restore points are hurt if it is not.',
    text: `Checks structure: every point, chunk and oplog slice is there. Repairs nothing.
Without a name, the default repository.`,
    options: [{ flags: '--read-data [percent]', says: 'read back the stored bytes as well, or a share of them (100)' }],
    client: true,
    long: true,
    examples: ['tidemark repository check', 'tidemark repository check main --read-data 5'],
    exits: { 0: 'whole', 1: 'damaged, or it could not be checked' },
    see: ['tidemark point verify'],
    load: async () => (await import('../commands/repository.ts')).checkRepository,
  },
  {
    name: 'repository test',
    takes: '[repository]',
    summary: 'Try whether the place of a repository keeps what a repository needs, and how fast it is.',
    text: `Writes, reads, lists and deletes objects of its own, and looks at what the place does by itself: rules that delete, versions,
locks. Leaves nothing there. Without a name, the default repository.`,
    options: [
      { flags: '--node <name>', says: 'the host that tries it (the one the repository is on); for a share or a bucket that hosts open themselves' },
      { flags: '--size <megabytes>', says: 'of the largest object that is written (64)' },
    ],
    client: true,
    long: true,
    examples: ['tidemark repository test', 'tidemark repository test NAME --node db1 --size 512'],
    exits: { 0: 'every promise is kept', 1: 'one is not, or it could not be tried', 3: 'kept, with something to see to' },
    see: ['tidemark repository check', 'docs/guide/repositories.md'],
    load: async () => (await import('../commands/repository-test.ts')).testRepository,
  },
  {
    name: 'repository sweep',
    takes: '[repository]',
    summary: 'Give back the space of chunks that no restore point needs.',
    text: `Safe at any moment and beside running backups; a sweep that is killed leaves every point readable.
Without a name, the default repository.`,
    options: [],
    client: true,
    long: true,
    examples: ['tidemark repository sweep'],
    exits: { 5: 'another sweep works on it' },
    see: ['tidemark point delete'],
    load: async () => (await import('../commands/repository.ts')).sweepRepository,
  },
  {
    name: 'repository sweeps',
    takes: '<repository>',
    summary: 'Have the space of a repository given back by itself.',
    text: `At least every so many days, and in the next night where points were deleted, a backup or a copy failed or was stopped, or the
last sweep did. It begins up to an hour after its time, each repository always at the same. Without options it is shown.`,
    options: [
      { flags: '--days <days>', says: 'about every so many (7); 0: not by itself' },
      { flags: '--at <time>', says: 'when it begins, by the server\'s clock (04:00)' },
    ],
    client: true,
    examples: ['tidemark repository sweeps main', 'tidemark repository sweeps main --days 1 --at 23:00', 'tidemark repository sweeps main --days 0'],
    see: ['tidemark repository sweep', 'tidemark repository show'],
    load: async () => (await import('../commands/repository-sweeps.ts')).sweepRepositoryByItself,
  },
  {
    name: 'repository open',
    takes: '<place>',
    summary: 'Read a repository with its passphrase alone: no server, no catalog.',
    text: `Lists the sets in it with their restore points and windows. With --set and --at it restores: a whole set with --to-dir,
or collections with --ns and --into. Restores print their plan and change nothing without --apply.

${momentForms}`,
    options: [
      { flags: '--passphrase-file <file>', says: 'file with the passphrase', required: true },
      ...placeOptions,
      { flags: '--set <set>', says: 'only this set, by name or id' },
      { flags: '--at <moment>', says: 'restore this moment' },
      { flags: '--to-dir <dir:port>', says: 'restore the whole set: a member\'s data directory and port; once for each', many: true },
      { flags: '--host <name>', says: 'the name members reach each other by (127.0.0.1)' },
      { flags: '--name <newset>', says: 'name of the restored set (the old one)' },
      { flags: '--start', says: 'start the members and wait until the set takes writes' },
      { flags: '--ns <db.coll[=db.coll]>', says: 'restore this collection, and its new name if another; once for each', many: true },
      { flags: '--existing <how>', says: 'when the name is taken: refuse (default), aside, replace', choices: ['refuse', 'aside', 'replace'] },
      { flags: '--into <uri>', says: 'the live set that collections go into' },
      ...databaseSignIn.map((option) => ({ ...option, says: `for --into: ${option.says}` })),
      plan,
      apply,
    ],
    client: false,
    examples: [
      'tidemark repository open /srv/backup --passphrase-file /root/passphrase',
      'tidemark repository open /srv/backup --passphrase-file /root/passphrase --set rs0 --at latest --to-dir /data/r1:27117 --start --apply',
    ],
    see: ['docs/guide/when-a-disk-dies.md'],
    load: async () => (await import('../commands/repository-open.ts')).openWithPassphrase,
  },
];
