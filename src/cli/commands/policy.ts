import { isDeepStrictEqual } from 'node:util';
import { policyDocument, type GivenPolicy, type Policy, type PolicyDocument, type PolicyRun } from '../../contract/policies.ts';
import type { RouteAnswer } from '../../contract/routes.ts';
import { isGiven, textOf, type Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { plural, showMoment } from '../format.ts';
import { showBandwidth } from '../limit-words.ts';
import { changedBy, showRetention, showRuns, showSchedule } from '../policy-words.ts';
import { showFields, showTable } from '../table.ts';

const named = (invocation: Invocation) => ({ params: { policy: invocation.args[0]! } });
const zoneOf = (invocation: Invocation): string => invocation.surroundings.timeZone;

/** The next ten runs, and what changes for its sets, said before the policy is saved. */
async function sayRuns(invocation: Invocation, document: GivenPolicy, of?: string): Promise<void> {
  const preview = await (await invocation.client()).call('policy.preview', { body: { document, ...(of !== undefined && { policy: of }) } });
  for (const line of describeRuns(preview, document, invocation).split('\n')) invocation.say(line);
}

function describeRuns({ runs, says }: RouteAnswer<'policy.preview'>, given: GivenPolicy, invocation: Invocation): string {
  return [...showRuns(runs, policyDocument.parse(given), zoneOf(invocation)), ...says.map((each) => `note: ${each}`)].join('\n');
}

export async function addPolicy(invocation: Invocation): Promise<ExitCode> {
  const document = changedBy(invocation, { name: invocation.args[0]!, timeZone: zoneOf(invocation) });
  await sayRuns(invocation, document);
  const policy = await (await invocation.client()).call('policy.add', { body: document });
  invocation.answer(policy, () => describePolicy(policy, zoneOf(invocation)));
  return exitCodes.done;
}

export async function editPolicy(invocation: Invocation): Promise<ExitCode> {
  const client = await invocation.client();
  const { document: before } = await client.call('policy.show', named(invocation));
  const document = changedBy(invocation, { ...before, name: textOf(invocation, 'name') ?? before.name });
  await sayRuns(invocation, document, before.name);
  const policy = await client.call('policy.edit', { ...named(invocation), body: document });
  invocation.answer(policy, () => describePolicy(policy, zoneOf(invocation)));
  return exitCodes.done;
}

export async function clonePolicy(invocation: Invocation): Promise<ExitCode> {
  const client = await invocation.client();
  const { document } = await client.call('policy.show', named(invocation));
  const cloned = { ...document, name: invocation.args[1]! };
  await sayRuns(invocation, cloned);
  const policy = await client.call('policy.add', { body: cloned });
  await client.call('policy.enable', { params: { policy: policy.id }, body: { isEnabled: false } });
  const shown = await client.call('policy.show', { params: { policy: policy.id } });
  invocation.answer(shown, () => `${describePolicy(shown, zoneOf(invocation))}\n\nIt is disabled. Next: tidemark policy enable ${shown.document.name}`);
  return exitCodes.done;
}

/** Of a policy that is there, with what else was given, or of one that is not. */
export async function previewPolicy(invocation: Invocation): Promise<ExitCode> {
  const client = await invocation.client();
  const name = invocation.args[0];
  const { policies } = name === undefined ? { policies: [] } : await client.call('policy.list');
  const known = policies.find(({ id, document }) => document.name === name || id === name);
  const document = changedBy(invocation, known?.document ?? { name: name ?? 'preview', timeZone: zoneOf(invocation) });
  const preview = await client.call('policy.preview', { body: { document, ...(known !== undefined && { policy: known.document.name }) } });
  const about = aboutPreview(name, known?.document, document);
  invocation.answer({ ...preview, about }, () => `${about}\n${describeRuns(preview, document, invocation)}`);
  return exitCodes.done;
}

/** Whose runs are shown: nobody is to take those of a name that was misspelled for those of a policy. */
function aboutPreview(name: string | undefined, known: PolicyDocument | undefined, document: GivenPolicy): string {
  if (name === undefined) return 'hypothetical: a policy without a name, of what was given here and the defaults; nothing is saved';
  if (known === undefined) return `hypothetical: no policy is called ${name}; this is one of what was given here and the defaults, and nothing is saved`;
  return isDeepStrictEqual(known, policyDocument.parse(document)) ? `policy ${name}, as it is` : `hypothetical: policy ${name} with what was given here; nothing is saved`;
}

export async function listPolicies(invocation: Invocation): Promise<ExitCode> {
  const answer = await (await invocation.client()).call('policy.list');
  invocation.answer(answer, () =>
    answer.policies.length === 0
      ? 'there is no policy; add one with "tidemark policy add"'
      : showTable<Policy>(
          [
            { title: 'POLICY', cell: ({ document }) => document.name },
            { title: 'SETS', cell: ({ protects }) => String(protects.length), right: true },
            { title: 'WHEN', cell: ({ document: { schedule, timeZone } }) => `${showSchedule(schedule)}${timeZone === zoneOf(invocation) || !('at' in schedule) ? '' : `, ${timeZone}`}` },
            { title: 'KEEPS', cell: ({ document }) => showRetention(document.retention) },
            { title: 'NEXT RUN', cell: (policy) => nextOf(policy, zoneOf(invocation)) },
            { title: 'LAST RUN', cell: ({ lastRun }) => (lastRun === null ? 'none' : showRun(lastRun, zoneOf(invocation))) },
          ],
          answer.policies,
        ),
  );
  return exitCodes.done;
}

export async function showPolicy(invocation: Invocation): Promise<ExitCode> {
  const policy = await (await invocation.client()).call('policy.show', named(invocation));
  invocation.answer(policy, () => describePolicy(policy, zoneOf(invocation)));
  return exitCodes.done;
}

const switchTo = (isEnabled: boolean) => async (invocation: Invocation): Promise<ExitCode> => {
  const policy = await (await invocation.client()).call('policy.enable', { ...named(invocation), body: { isEnabled } });
  invocation.answer(policy, () => `policy ${policy.document.name} is ${isEnabled ? 'enabled' : 'disabled'}; next run: ${nextOf(policy, zoneOf(invocation))}`);
  return exitCodes.done;
};
export const enablePolicy = switchTo(true);
export const disablePolicy = switchTo(false);

export async function removePolicy(invocation: Invocation): Promise<ExitCode> {
  const policy = await (await invocation.client()).call('policy.remove', named(invocation));
  invocation.answer(policy, () => `policy ${policy.document.name} is removed; the points of ${plural(policy.protects.length, 'set')} stay under its retention, see "tidemark retention orphans"`);
  return exitCodes.done;
}

export async function runPolicy(invocation: Invocation): Promise<ExitCode> {
  const body = { fullRead: isGiven(invocation, 'fullRead'), onlyFailed: isGiven(invocation, 'onlyFailed'), reason: textOf(invocation, 'reason') };
  const run = await (await invocation.client()).call('policy.run', { ...named(invocation), body });
  invocation.answer(run, () => `run ${run.id} is open: ${plural(run.parts.length, 'set')}; see "tidemark policy show ${invocation.args[0]}"`);
  return exitCodes.done;
}

export async function stopPolicy(invocation: Invocation): Promise<ExitCode> {
  const run = await (await invocation.client()).call('policy.stop', named(invocation));
  invocation.answer(run, () => `run ${run.id} stops`);
  return exitCodes.done;
}

export async function listRuns(invocation: Invocation): Promise<ExitCode> {
  const answer = await (await invocation.client()).call('policy.runs', { ...named(invocation), query: {} });
  invocation.answer(answer, () => (answer.runs.length === 0 ? 'it has not run yet' : answer.runs.map((run) => describeRun(run, zoneOf(invocation))).join('\n\n')));
  return exitCodes.done;
}

function nextOf({ isEnabled, nextRunAtMs, document }: Policy, timeZone: string): string {
  if (!isEnabled) return 'none, it is disabled';
  return nextRunAtMs === null ? showSchedule(document.schedule) : showMoment(nextRunAtMs, timeZone);
}

function showRun(run: PolicyRun, timeZone: string): string {
  return `${run.state === 'open' ? 'at work' : run.state}, ${showMoment(run.endedAtMs ?? run.beganAtMs, timeZone)}${run.says === null ? '' : `: ${run.says}`}`;
}

function describeRun(run: PolicyRun, timeZone: string): string {
  const head = `${run.id}  ${showRun(run, timeZone)}\n  why: ${run.why}${run.skipped === 0 ? '' : `; ${plural(run.skipped, 'run')} skipped meanwhile`}`;
  const parts = run.parts.map((part) => `  ${part.set}  ${part.state}${part.tries > 1 ? `, try ${part.tries}` : ''}${part.session === null ? '' : `, session ${part.session}`}${part.says === null ? '' : `: ${part.says}`}`);
  return [head, ...parts].join('\n');
}

function describePolicy(policy: Policy, timeZone: string): string {
  const { document } = policy;
  const { source, window } = document;
  const preferred = Object.entries(document.overrides).flatMap(([set, { preferredNode }]) => (preferredNode === undefined ? [] : [`${set} from ${preferredNode}`]));
  const wishes = [...preferred, ...(source.failOver ? [] : ['no other than the preferred']), ...(source.hiddenFirst ? ['hidden members first'] : []), ...(source.primaryAllowed ? ['the primary, when no secondary is fit'] : []), `at most ${source.lagLimitSeconds} s behind`];
  const fields = showFields([
    ['policy', `${document.name} (${policy.id})${policy.isEnabled ? '' : ', disabled'}${document.highPriority ? ', high priority' : ''}`],
    ...(document.description === '' ? [] : [['description', document.description] as const]),
    ['protects', policy.protects.join(', ') || 'no set that is protected'],
    ['of', [...document.groups.map((group) => `group ${group}`), ...document.sets.map((set) => `set ${set}`)].join(', ') || 'nothing'],
    ['when', `${showSchedule(document.schedule)}, ${document.timeZone}`],
    ['window', window === null ? 'always' : `${window.from} to ${window.to}${window.days.length === 7 ? '' : ` on ${window.days.join(', ')}`}`],
    ['next run', nextOf(policy, timeZone)],
    ['keeps', showRetention(document.retention)],
    ['from', wishes.join(', ')],
    ['tries again', document.retry.times === 0 ? 'never' : `${plural(document.retry.times, 'time')}, after ${document.retry.minutes} min`],
    ['promises', `${document.promise.pointHours === null ? 'a point as old as the schedule makes it, and an hour' : `a point of the last ${document.promise.pointHours} h`}; at most ${Math.round(document.promise.lossSeconds / 60)} min lost`],
    ['verified', `in full ${showSchedule(document.verification.schedule)}, at a moment by chance, with ${plural(document.verification.checks.length, 'own check')}`],
    ['compression', document.compression],
    ['bandwidth', showBandwidth(document.bandwidth)],
    ...document.hooks.map(({ when, on, program, args, deadlineSeconds, onFailure }) => [`hook ${when}`, `${[program, ...args].join(' ')} on ${on}, ${deadlineSeconds} s, else ${onFailure}`] as const),
    ...(document.proof === 'open' ? [] : [['proof', 'none: its points are not proved before a verification comes to them'] as const]),
    ...(document.newBase ? [] : [['new base', 'not by itself: an alarm stays open until a backup by hand or by schedule settles it'] as const]),
  ]);
  return policy.lastRun === null ? fields : `${fields}\n\nlast run  ${describeRun(policy.lastRun, timeZone)}`;
}
