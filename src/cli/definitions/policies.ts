import type { CommandDefinition, OptionDefinition } from '../command.ts';
import { apply, plan, reason } from './options.ts';

const settings: readonly OptionDefinition[] = [
  { flags: '--set <set>', says: 'a set it protects. May be given several times', many: true },
  { flags: '--group <group>', says: 'a protection group: whatever sets of it are protected when it runs. May be given several times', many: true },
  { flags: '--schedule <when>', says: '22:00 (default), "every 4h", "first sat 21:00", "day last 21:00", continuous, "after POLICY" or manual' },
  { flags: '--days <days>', says: 'with a time or "every": only on these, such as mon,wed,fri' },
  { flags: '--hours <from-to>', says: 'with "every" or continuous: only between these, such as 08:00-20:00' },
  { flags: '--months <months>', says: 'with a day of the month: only in these, such as 1,4,7,10' },
  { flags: '--time-zone <zone>', says: 'of all its times, such as Europe/Berlin (this machine\'s)' },
  { flags: '--window <from-to>', says: 'backup window: outside it sessions are stopped; "none" for always' },
  { flags: '--window-days <days>', says: 'the window is open on these days only' },
  { flags: '--keep <days>', says: 'days that points stay (7)' },
  { flags: '--keep-points <n>', says: 'in place of days: so many of the newest stay' },
  { flags: '--weekly <n@day>', says: 'and the first point of each of the newest n weeks, which begin on a day: 4@sun; "none"' },
  { flags: '--monthly <n@week>', says: 'the same for months, which begin with their week 1 to 4 or last: 12@1; "none"' },
  { flags: '--yearly <n@month>', says: 'the same for years, which begin with a month: 5@1; "none"' },
  { flags: '--oplog-keep <days>', says: 'days that any single moment can be reached; "points": as long as a point leads to it (points)' },
  { flags: '--retry <times>', says: 'how often what failed is tried again (3)' },
  { flags: '--retry-minutes <minutes>', says: 'how long after it failed (10)' },
  { flags: '--promise-hours <hours>', says: 'a set whose newest point is older is told as unprotected (the longest pause of the schedule, and an hour)' },
  { flags: '--promise-loss <minutes>', says: 'a set that would lose more if its host were lost now is told as unprotected (15)' },
  { flags: '--prefer <set=node>', says: 'copy this set from this member: rs0=db2:27017. May be given several times', many: true },
  { flags: '--no-fail-over', says: 'fail when the preferred member is not fit, in place of taking another' },
  { flags: '--primary', says: 'the primary may be copied from when no secondary is fit' },
  { flags: '--hidden-first', says: 'hidden members are copied from before others' },
  { flags: '--lag-limit <seconds>', says: 'how far behind a member may be (30)' },
  { flags: '--verify <when>', says: 'when its sets are verified in full: "sun 03:00" (default), 03:00, "every 12h", "first sat 03:00" or manual' },
  { flags: '--proof <level>', says: 'of each point when it was made; none: it counts as good only once a verification has proved it (open)', choices: ['open', 'none'] },
  { flags: '--new-base <yes|no>', says: 'after a gap a new base is made by itself; no: the alarm stays open until you run one (yes)', choices: ['yes', 'no'] },
  { flags: '--compression <level>', says: 'of what is stored (balanced)', choices: ['none', 'fast', 'balanced', 'strong'] },
  { flags: '--bandwidth <limit>', says: 'Mbit/s of its copies on a host: 200, or 50@08:00-18:00. May be given several times; "none"', many: true },
  { flags: '--priority <level>', says: 'high: its sets come before those of others', choices: ['normal', 'high'] },
  { flags: '--description <text>', says: 'what it is for' },
];

const one = (name: string, summary: string, load: CommandDefinition['load'], more: Partial<CommandDefinition> = {}): CommandDefinition => ({
  name: `policy ${name}`, takes: '<policy>', summary, options: [], client: true, examples: [`tidemark policy ${name} nightly`], see: ['tidemark policy show'], load, ...more,
});

export const policyCommands: readonly CommandDefinition[] = [
  one('add', 'Add a policy: sets that are backed up by themselves, when, and for how long their points stay.', async () => (await import('../commands/policy.ts')).addPolicy, {
    text: `The next ten runs are shown before it is saved. The newest three good points of a set always stay. A set may be in several
policies: a point stays for as long as any of them keeps it.`,
    options: settings,
    examples: ['tidemark policy add nightly --group shop --schedule 22:00 --keep 14 --weekly 4@sun --monthly 12@1', 'tidemark policy add hourly --set rs0 --schedule "every 1h" --hours 08:00-20:00 --keep-points 24', 'tidemark policy add after --set rs1 --schedule "after nightly"'],
    see: ['tidemark policy preview', 'tidemark retention preview', 'docs/guide/policies.md'],
  }),
  one('preview', 'Show the next ten runs of a policy, or of one that is not saved, and save nothing.', async () => (await import('../commands/policy.ts')).previewPolicy, {
    takes: '[policy]', options: settings, examples: ['tidemark policy preview nightly', 'tidemark policy preview --schedule "last sat 02:30" --time-zone Europe/Berlin'], see: ['tidemark policy add'],
  }),
  one('list', 'List the policies, when each runs next and how it ran last.', async () => (await import('../commands/policy.ts')).listPolicies, { takes: '', examples: ['tidemark policy list'] }),
  one('show', 'Show one policy: what it protects, when, and how its last run went.', async () => (await import('../commands/policy.ts')).showPolicy, { see: ['tidemark policy runs'] }),
  one('runs', 'List the newest runs of a policy with each of their sets.', async () => (await import('../commands/policy.ts')).listRuns, { see: ['tidemark session show'] }),
  one('edit', 'Change a policy. Only what is given changes; a new schedule counts from now.', async () => (await import('../commands/policy.ts')).editPolicy, {
    options: [{ flags: '--name <name>', says: 'another name' }, ...settings], examples: ['tidemark policy edit nightly --schedule 23:30', 'tidemark policy edit nightly --keep 30 --monthly none'], see: ['tidemark retention preview'],
  }),
  one('clone', 'Add a policy that is like another one. It is disabled until you enable it.', async () => (await import('../commands/policy.ts')).clonePolicy, { takes: '<policy> <name>', examples: ['tidemark policy clone nightly weekly'], see: ['tidemark policy edit'] }),
  one('enable', 'Have the schedule of a policy run again. What it missed meanwhile is not made up for.', async () => (await import('../commands/policy.ts')).enablePolicy),
  one('disable', 'Have the schedule of a policy run no more. A run that is open goes on.', async () => (await import('../commands/policy.ts')).disablePolicy, { see: ['tidemark policy stop'] }),
  one('remove', 'Remove a disabled policy. Its points stay, under its retention.', async () => (await import('../commands/policy.ts')).removePolicy, { exits: { 1: 'it is enabled', 5: 'a run of it is open' }, see: ['tidemark retention orphans'] }),
  one('run', 'Run a policy now, also outside its window.', async () => (await import('../commands/policy.ts')).runPolicy, {
    options: [{ flags: '--full-read', says: 'read and hash everything again' }, { flags: '--only-failed', says: 'only the sets that failed in its last run' }, reason],
    examples: ['tidemark policy run nightly', 'tidemark policy run nightly --only-failed'], exits: { 5: 'a run of it is open' },
  }),
  one('stop', 'Stop the open run of a policy: its sessions are asked to end, and no other begins.', async () => (await import('../commands/policy.ts')).stopPolicy),
  one('export', 'Write policies as YAML, all of them unless some are named.', async () => (await import('../commands/policy-file.ts')).exportPolicies, { takes: '[policy]...', examples: ['tidemark policy export > policies.yaml', 'tidemark policy export nightly'], see: ['tidemark policy apply'] }),
  one('apply', 'Make policies be as a YAML file says. Those that it does not name are left alone.', async () => (await import('../commands/policy-file.ts')).applyPolicies, {
    takes: '<file>', text: `Without --apply it shows what differs and changes nothing. What is so already is not touched, so it may be run again and again.
Where anything does not fit, every such line is told and nothing is changed. "tidemark policy example" prints a file to begin with.`,
    options: [plan, apply], examples: ['tidemark policy apply policies.yaml', 'tidemark policy apply policies.yaml --apply'], see: ['tidemark policy example', 'tidemark policy export'],
  }),
  { name: 'policy example', takes: '', summary: 'Print a policy as YAML with every field there is, each explained. It can be applied as it is.', options: [], client: false, examples: ['tidemark policy example > policies.yaml'], see: ['tidemark policy apply'], load: async () => (await import('../commands/policy-file.ts')).showExample },
  {
    name: 'retention preview', takes: '<set>', summary: 'Show which restore points and which oplog of a set would go now, and why the others stay.', options: [], client: true,
    examples: ['tidemark retention preview rs0'], see: ['tidemark point hold', 'tidemark policy edit'], load: async () => (await import('../commands/retention.ts')).previewRetention,
  },
  {
    name: 'retention apply', takes: '<set>', summary: 'Apply the retention of a set now, and give back the space.', options: [plan, apply], client: true, long: true,
    text: 'This is done after each new point and once a day by itself. Without --apply it shows what would go and deletes nothing.',
    examples: ['tidemark retention apply rs0', 'tidemark retention apply rs0 --apply'], exits: { 3: 'some points could not be deleted' }, see: ['tidemark retention preview'], load: async () => (await import('../commands/retention.ts')).applyRetention,
  },
  {
    name: 'retention orphans', takes: '', summary: 'List sets whose policy was removed, and the retention that goes on for their points.', options: [], client: true,
    examples: ['tidemark retention orphans'], see: ['tidemark retention forget'], load: async () => (await import('../commands/retention.ts')).listOrphans,
  },
  {
    name: 'retention forget', takes: '<set>', summary: 'End the retention of a removed policy for a set: its points stay until somebody deletes them.', options: [], client: true,
    examples: ['tidemark retention forget rs0'], see: ['tidemark point delete'], load: async () => (await import('../commands/retention.ts')).forgetOrphan,
  },
];
