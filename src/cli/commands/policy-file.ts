/** Policies as YAML, so that they can live in Git: written out, compared, and made to be so. */
import { stringify } from 'yaml';
import { isFailure } from '../../base/failure.ts';
import type { Policy, PolicyDocument } from '../../contract/policies.ts';
import type { Client } from '../client.ts';
import { isApplied } from '../numbers.ts';
import type { Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { policyFileUnfit } from '../failures.ts';
import { policyExample } from '../policy-example.ts';
import { showRuns } from '../policy-words.ts';
import { readPolicies, type ReadPolicies } from '../policy-problems.ts';
import { readFileOf } from '../secret-file.ts';

type Change = { readonly policy: string; readonly what: 'add' | 'edit' | 'same'; readonly differs: readonly string[]; /** What it changes for its sets. */ readonly notes: readonly string[]; /** Its next runs, where their times change. */ readonly runs: readonly string[] };

export async function exportPolicies(invocation: Invocation): Promise<ExitCode> {
  const { policies } = await (await invocation.client()).call('policy.list');
  const client = await invocation.client();
  const wanted = invocation.args.length === 0 ? policies : await Promise.all(invocation.args.map(async (policy) => await client.call('policy.show', { params: { policy } })));
  const documents = wanted.map(({ document }) => document);
  invocation.answer({ policies: documents }, () => documents.map((document) => stringify(document, { lineWidth: 0 })).join('---\n').trimEnd());
  return exitCodes.done;
}

export async function applyPolicies(invocation: Invocation): Promise<ExitCode> {
  const file = invocation.args[0]!;
  const { documents, problems, lineOf } = readPolicies(file, await readFileOf('policy file', file));
  if (problems.length > 0) throw policyFileUnfit({ file, problems });
  const client = await invocation.client();
  const { policies } = await client.call('policy.list');
  const wanted = inOrder(file, documents, policies);
  const known = new Map(policies.map(({ document }) => [document.name, document]));
  const changes = await withNotes(client, { file, lineOf, ownZone: invocation.surroundings.timeZone }, wanted, known);
  const applied = isApplied(invocation);
  if (applied) for (const [at, { what }] of changes.entries()) await carryOut(client, what, wanted[at]!);
  invocation.answer({ applied, changes }, () => describeChanges(changes, applied));
  return exitCodes.done;
}

export async function showExample(invocation: Invocation): Promise<ExitCode> {
  invocation.answer({ example: policyExample }, () => policyExample.trimEnd());
  return await Promise.resolve(exitCodes.done);
}

async function carryOut(client: Client, what: Change['what'], document: PolicyDocument): Promise<void> {
  if (what === 'add') await client.call('policy.add', { body: document });
  if (what === 'edit') await client.call('policy.edit', { params: { policy: document.name }, body: document });
}

/** One that runs after another comes behind it, whatever their order in the file: all before it are by then as they will be. */
function inOrder(file: string, documents: readonly PolicyDocument[], policies: readonly Policy[]): PolicyDocument[] {
  const nameOf = new Map(policies.map(({ id, document }) => [id, document.name]));
  const then = new Map([...policies.map(({ document }) => document), ...documents].map((document) => [document.name, document]));
  const chain = ({ schedule }: PolicyDocument, of: readonly string[]): readonly string[] => {
    const before = schedule.kind === 'after' ? then.get(nameOf.get(schedule.policy) ?? schedule.policy) : undefined;
    if (before === undefined) return of;
    if (of.includes(before.name)) throw policyFileUnfit({ file, problems: [`${file}: policies ${of.toSorted().join(', ')} would run after each other: give one of them a schedule of its own`] });
    return chain(before, [...of, before.name]);
  };
  const length = new Map(documents.map((document) => [document.name, chain(document, [document.name]).length]));
  return documents.toSorted((a, b) => length.get(a.name)! - length.get(b.name)!);
}

/** What the server says of each that differs: all of it is asked before anything is changed. */
async function withNotes(client: Client, { file, lineOf, ownZone }: { file: string; ownZone: string } & Pick<ReadPolicies, 'lineOf'>, wanted: readonly PolicyDocument[], known: ReadonlyMap<string, PolicyDocument>): Promise<Change[]> {
  const changes = wanted.map((document) => changeOf(document, known.get(document.name)));
  const besides = changes.flatMap(({ policy, what }) => (what === 'same' ? [] : [policy]));
  const problems: string[] = [];
  const noted: Change[] = [];
  for (const [at, change] of changes.entries()) {
    const document = wanted[at]!;
    try {
      if (change.what === 'same') {
        noted.push(change);
        continue;
      }
      const { says, runs, document: shown } = await client.call('policy.preview', { body: { document, besides, ...(change.what === 'edit' && { policy: document.name }) } });
      // What the file names by its id is no difference.
      const settled = changeOf(shown, known.get(document.name));
      const hasOtherTimes = settled.what === 'add' || settled.differs.some((each) => /^(schedule|timeZone|window)\b/.test(each));
      noted.push({ ...settled, notes: settled.what === 'same' ? [] : says, runs: hasOtherTimes ? showRuns(runs, document, ownZone) : [] });
    } catch (error) {
      if (!isFailure(error) || !/^server\.policy-(unfit|circle)$/.test(error.code)) throw error;
      const given: unknown = error.details['problems'];
      problems.push(...(Array.isArray(given) ? given.map((one) => `${file}:${lineOf(document.name, String(one).split(':')[0]!)}: policy ${document.name}: ${String(one)}`) : [`${file}: ${error.message}: ${error.hint}`]));
    }
  }
  if (problems.length > 0) throw policyFileUnfit({ file, problems });
  return noted;
}

function changeOf(wanted: PolicyDocument, now: PolicyDocument | undefined): Change {
  if (now === undefined) return { policy: wanted.name, what: 'add', differs: [], notes: [], runs: [] };
  const differs = differences('', now, wanted);
  return { policy: wanted.name, what: differs.length === 0 ? 'same' : 'edit', differs, notes: [], runs: [] };
}

/** `retention.keep.days: 7 → 14`, for whatever is not the same; of hooks and checks one by one. */
function differences(path: string, now: unknown, wanted: unknown): string[] {
  if (JSON.stringify(now) === JSON.stringify(wanted)) return [];
  if (isRecord(now) && isRecord(wanted)) return [...new Set([...Object.keys(now), ...Object.keys(wanted)])].flatMap((key) => differences(path === '' ? key : `${path}.${key}`, now[key], wanted[key]));
  if (Array.isArray(now) && Array.isArray(wanted) && [...now, ...wanted].some(isRecord)) return Array.from({ length: Math.max(now.length, wanted.length) }, (_, at) => differences(`${path}[${at}]`, now[at], wanted[at])).flat();
  return [`${path}: ${shown(now)} → ${shown(wanted)}`];
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
const shown = (value: unknown): string => (value === undefined ? 'nothing' : JSON.stringify(value));

function describeChanges(changes: readonly Change[], applied: boolean): string {
  const done = { add: applied ? 'added' : 'would be added', edit: applied ? 'changed' : 'would be changed', same: 'is so already' } as const;
  const lines = changes.flatMap(({ policy, what, differs, notes, runs }) => [`${policy} ${done[what]}`, ...[...differs, ...(applied ? [] : runs), ...notes.map((each) => `note: ${each}`)].map((each) => `  ${each}`)]);
  if (!applied && changes.some(({ what }) => what !== 'same')) lines.push('Nothing was changed. Add --apply to carry it out.');
  return lines.join('\n') || 'the file names no policy';
}
