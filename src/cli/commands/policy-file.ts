/** Policies as YAML, so that they can live in Git: written out, compared, and made to be so. */
import * as z from 'zod';
import { parseAllDocuments, stringify } from 'yaml';
import { policyDocument, type PolicyDocument } from '../../contract/policies.ts';
import type { Client } from '../client.ts';
import { isApplied } from '../numbers.ts';
import type { Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { policyFileUnfit } from '../failures.ts';
import { readFileOf } from '../secret-file.ts';

type Change = { readonly policy: string; readonly what: 'add' | 'edit' | 'same'; readonly differs: readonly string[] };

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
  const wanted = readDocuments(file, await readFileOf('policy file', file));
  const client = await invocation.client();
  const { policies } = await client.call('policy.list');
  const known = new Map(policies.map(({ document }) => [document.name, document]));
  const changes = wanted.map((document) => changeOf(document, known.get(document.name)));
  const applied = isApplied(invocation);
  if (applied) for (const [at, { what }] of changes.entries()) await carryOut(client, what, wanted[at]!);
  invocation.answer({ applied, changes }, () => describeChanges(changes, applied));
  return exitCodes.done;
}

async function carryOut(client: Client, what: Change['what'], document: PolicyDocument): Promise<void> {
  if (what === 'add') await client.call('policy.add', { body: document });
  if (what === 'edit') await client.call('policy.edit', { params: { policy: document.name }, body: document });
}

function readDocuments(file: string, text: string): PolicyDocument[] {
  return parseAllDocuments(text).flatMap((parsed, at) => {
    const [error] = parsed.errors;
    if (error !== undefined) throw policyFileUnfit({ file, why: error.message.split('\n')[0]! });
    const value: unknown = parsed.toJS();
    if (value === null) return [];
    const document = policyDocument.safeParse(value);
    if (!document.success) throw policyFileUnfit({ file, why: `policy ${at + 1}: ${z.prettifyError(document.error).replaceAll('\n', ' ')}` });
    const stray = strayIn('', value, document.data);
    if (stray !== undefined) throw policyFileUnfit({ file, why: `policy ${document.data.name} has ${stray}, which no policy has` });
    return [document.data];
  });
}

/** What is spelled wrong would else be left out without a word. */
function strayIn(path: string, given: unknown, understood: unknown): string | undefined {
  if (!isRecord(given) || !isRecord(understood)) return undefined;
  for (const [key, value] of Object.entries(given)) {
    const stray = key in understood ? strayIn(`${path}${key}.`, value, understood[key]) : `${path}${key}`;
    if (stray !== undefined) return stray;
  }
  return undefined;
}

function changeOf(wanted: PolicyDocument, now: PolicyDocument | undefined): Change {
  if (now === undefined) return { policy: wanted.name, what: 'add', differs: [] };
  const differs = differences('', now, wanted);
  return { policy: wanted.name, what: differs.length === 0 ? 'same' : 'edit', differs };
}

/** `retention.keep.days: 7 → 14`, for whatever is not the same. */
function differences(path: string, now: unknown, wanted: unknown): string[] {
  if (JSON.stringify(now) === JSON.stringify(wanted)) return [];
  if (isRecord(now) && isRecord(wanted)) return [...new Set([...Object.keys(now), ...Object.keys(wanted)])].flatMap((key) => differences(path === '' ? key : `${path}.${key}`, now[key], wanted[key]));
  if (isList(now) && isList(wanted)) return Array.from({ length: Math.max(now.length, wanted.length) }, (_, at) => differences(`${path}[${at}]`, now[at], wanted[at])).flat();
  return [`${path}: ${shown(now)} → ${shown(wanted)}`];
}

/** Of hooks or checks, which are told one by one. */
const isList = (value: unknown): value is readonly unknown[] => Array.isArray(value) && value.some(isRecord);
const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
const shown = (value: unknown): string => (value === undefined ? 'nothing' : JSON.stringify(value));

function describeChanges(changes: readonly Change[], applied: boolean): string {
  const done = { add: applied ? 'added' : 'would be added', edit: applied ? 'changed' : 'would be changed', same: 'is so already' } as const;
  const lines = changes.flatMap(({ policy, what, differs }) => [`${policy} ${done[what]}`, ...differs.map((each) => `  ${each}`)]);
  if (!applied && changes.some(({ what }) => what !== 'same')) lines.push('Nothing was changed. Add --apply to carry it out.');
  return lines.join('\n') || 'the file names no policy';
}
