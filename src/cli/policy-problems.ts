/** What is wrong with the documents of a policy file: a line for each, with its place, the policy, the field, the value and what the field takes. */
import * as z from 'zod';
import { LineCounter, parseAllDocuments, type Document } from 'yaml';
import { policyDocument, type PolicyDocument } from '../contract/policies.ts';

type Path = readonly (string | number)[];
/** What is used of a JSON schema. */
type Node = { $ref?: string; const?: unknown; enum?: unknown[]; type?: string; minimum?: number; maximum?: number; minLength?: number; maxLength?: number; minItems?: number; maxItems?: number; properties?: Record<string, Node>; additionalProperties?: Node | boolean; items?: Node; anyOf?: Node[]; oneOf?: Node[] };

export type ReadPolicies = {
  readonly documents: readonly PolicyDocument[];
  readonly problems: readonly string[];
  /** The line of a field of a policy, such as `hooks[0].on`, or of what would have it. */
  readonly lineOf: (policy: string, field: string) => number;
};

export function readPolicies(file: string, text: string): ReadPolicies {
  const lines = new LineCounter();
  const documents: PolicyDocument[] = [];
  const problems: string[] = [];
  const places = new Map<string, Document>();
  for (const [at, parsed] of parseAllDocuments(text, { lineCounter: lines }).entries()) {
    const [error] = parsed.errors;
    const value: unknown = error === undefined ? parsed.toJS() : undefined;
    if (error !== undefined) problems.push(`${file}: ${error.message.split('\n')[0]!.replace(/:$/, '')}`);
    if (value === undefined || value === null) continue;
    const read = policyDocument.safeParse(value, { reportInput: true });
    const found = [...straysIn(value), ...(read.success ? [] : read.error.issues.flatMap((issue) => problemOf(issue, value)))];
    if (read.success && documents.some(({ name }) => name === read.data.name)) found.push({ path: ['name'], says: `is ${read.data.name} twice in the file: it takes a name of its own` });
    const name = isRecord(value) && typeof value['name'] === 'string' ? value['name'] : String(at + 1);
    const placed = found.map((problem) => ({ ...problem, line: lineOf(parsed, problem.path, lines) })).sort((a, b) => a.line - b.line);
    problems.push(...placed.map(({ path, says, line }) => `${file}:${line}: policy ${name}: ${showPath(path)} ${says}`));
    if (!read.success || found.length > 0) continue;
    documents.push(read.data);
    places.set(read.data.name, parsed);
  }
  return { documents, problems, lineOf: (policy, field) => lineOf(places.get(policy)!, pathOf(field), lines) };
}

type Problem = { readonly path: Path; readonly says: string };

function problemOf(issue: z.core.$ZodIssue, document: unknown): Problem[] {
  const path = issue.path as Path;
  if (issue.code === 'unrecognized_keys') return [];
  const value = path.reduce<unknown>((at, key) => (typeof at === 'object' && at !== null ? (at as Record<string | number, unknown>)[key] : undefined), document);
  const hasOwnWords = issue.code === 'custom' || (issue.code === 'invalid_format' && !issue.message.startsWith('Invalid'));
  const rule = hasOwnWords ? issue.message : `it takes ${ruleAt(path, document)}`;
  return [{ path, says: value === undefined ? `is missing: ${rule}` : isRecord(value) && issue.code === 'custom' ? `does not fit: ${rule}` : `is ${shown(value)}: ${rule}` }];
}

let whole: { readonly root: Node; readonly named: Readonly<Record<string, Node>> } | undefined;

function schema(): NonNullable<typeof whole> {
  if (whole !== undefined) return whole;
  const { $defs = {}, ...root } = z.toJSONSchema(policyDocument, { io: 'input', unrepresentable: 'any' }) as Node & { $defs?: Record<string, Node> };
  whole = { root, named: $defs };
  return whole;
}

/** The kinds of value that a field may have, given the `kind` that its document says. */
function choicesOf(node: Node, value: unknown): Node[] {
  const meant = node.$ref === undefined ? node : schema().named[node.$ref.replace('#/$defs/', '')]!;
  const several = meant.oneOf ?? meant.anyOf;
  if (several === undefined) return [meant];
  const all = several.flatMap((one) => choicesOf(one, value));
  const chosen = isRecord(value) ? all.filter(({ properties }) => properties?.['kind']?.const !== undefined && properties['kind'].const === value['kind']) : [];
  return chosen.length > 0 ? chosen : all;
}

function inside({ items, properties = {}, additionalProperties }: Node, key: string | number): Node[] {
  const found = typeof key === 'number' ? items : Object.hasOwn(properties, key) ? properties[key] : additionalProperties;
  return typeof found === 'object' ? [found] : [];
}

function ruleAt(path: Path, document: unknown): string {
  let [nodes, value] = [choicesOf(schema().root, document), document];
  for (const key of path) {
    value = typeof value === 'object' && value !== null ? (value as Record<string | number, unknown>)[key] : undefined;
    const below = nodes.flatMap((node) => inside(node, key));
    nodes = below.flatMap((node) => choicesOf(node, value));
  }
  const rules = new Set(nodes.map(ruleOf));
  const values = nodes.flatMap((node) => (node.const === undefined ? [] : [String(node.const)]));
  return values.length === nodes.length && values.length > 1 ? `one of ${values.join(', ')}` : [...rules].join(', or ');
}

function ruleOf(node: Node): string {
  if (node.const !== undefined) return String(node.const);
  if (node.enum !== undefined) return `one of ${node.enum.join(', ')}`;
  switch (node.type) {
    case 'integer':
    case 'number':
      return `a ${node.type === 'integer' ? 'whole ' : ''}number${between(node.minimum, node.maximum)}`;
    case 'string':
      return node.maxLength !== undefined ? `text of at most ${node.maxLength} characters` : node.minLength !== undefined ? 'text that is not empty' : 'text';
    case 'boolean':
      return 'true or false';
    case 'array':
      return `a list${node.minItems === undefined ? '' : ` of at least ${node.minItems}`}${node.maxItems === undefined ? '' : ` of at most ${node.maxItems}`}, each ${node.items === undefined ? 'of any kind' : choicesOf(node.items, undefined).map(ruleOf).join(', or ')}`;
    case 'object':
      return node.properties === undefined ? 'fields' : `fields: ${Object.keys(node.properties).join(', ')}`;
    case 'null':
      return 'null';
    case undefined:
    default:
      return 'any value';
  }
}

function between(from: number | undefined, to: number | undefined): string {
  const [least, most] = [from !== undefined && from > Number.MIN_SAFE_INTEGER, to !== undefined && to < Number.MAX_SAFE_INTEGER];
  return least && most ? ` from ${from} to ${to}` : least ? ` of at least ${from}` : most ? ` of at most ${to}` : '';
}

/** What is spelled wrong would else be left out without a word. */
function straysIn(value: unknown, nodes: readonly Node[] = [schema().root], path: Path = []): Problem[] {
  const choices = nodes.flatMap((node) => choicesOf(node, value));
  if (Array.isArray(value)) return value.flatMap((one, at) => straysIn(one, choices.flatMap((node) => inside(node, at)), [...path, at]));
  const known = choices.filter(({ properties }) => properties !== undefined);
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([key, one]) => {
    const below = choices.flatMap((node) => inside(node, key));
    if (below.length > 0) return straysIn(one, below, [...path, key]);
    if (known.length === 0) return [];
    const names = [...new Set(known.flatMap(({ properties }) => Object.keys(properties!)))];
    const near = names.find((name) => isNear(key, name));
    return [{ path: [...path, key], says: `is not known${near === undefined ? `: there are ${names.join(', ')}` : `: did you mean "${near}"?`}` }];
  });
}

/** One letter more, less or another, or two that changed places. */
function isNear(given: string, name: string): boolean {
  const [a, b] = [given.toLowerCase(), name.toLowerCase()];
  let from = 0;
  while (from < a.length && a[from] === b[from]) from++;
  let end = 0;
  while (end < Math.min(a.length, b.length) - from && a.at(-1 - end) === b.at(-1 - end)) end++;
  const [left, right] = [a.slice(from, a.length - end), b.slice(from, b.length - end)];
  return (left.length <= 1 && right.length <= 1) || (left.length === 2 && left[0] === right[1] && left[1] === right[0]);
}

/** Of the field, or of what would have it. */
function lineOf(parsed: Document, path: Path, lines: LineCounter): number {
  for (let length = path.length; length >= 0; length--) {
    const node = (length === 0 ? parsed.contents : parsed.getIn(path.slice(0, length), true)) as { range?: [number, number, number] | null } | undefined | null;
    if (node?.range != null) return lines.linePos(node.range[0]).line;
  }
  return 1;
}

/** The reverse of `showPath`, as far as there are fields: names of sets may have dots. */
function pathOf(field: string): Path {
  const [, outer = '', inner] = /^(overrides|schedule)\.(.*)$/.exec(field) ?? [];
  if (inner !== undefined) return [outer, inner];
  return [...field.matchAll(/[^.[\]]+/g)].map(([key]) => (/^\d+$/.test(key) ? Number(key) : key));
}

const showPath = (path: Path): string => (path.length === 0 ? 'the document' : path.map((key, at) => (typeof key === 'number' ? `[${key}]` : at === 0 ? key : `.${key}`)).join(''));

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 59)}…` : text;
}

const isRecord = (value: unknown): value is Record<string, unknown> => typeof value === 'object' && value !== null && !Array.isArray(value);
