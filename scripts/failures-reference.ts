/** The reference page of failures, made from the tables of all rooms. */
import { globSync } from 'node:fs';
import { join } from 'node:path';
import { declaredFailures, type FailureMaker } from '../src/base/failure.ts';

const root = join(import.meta.dirname, '..');

/** Loads every table: a table is a file whose name ends in `failures.ts`. */
export async function loadFailures(): Promise<readonly FailureMaker<never>[]> {
  for (const file of globSync('src/**/*failures.ts', { cwd: root }).sort()) await import(join(root, file));
  return declaredFailures();
}

const meaning = { never: 'not as it is', later: 'later', now: 'at once' } as const;

export async function failuresReference(): Promise<string> {
  const rooms = Map.groupBy(await loadFailures(), ({ code }) => code.slice(0, code.indexOf('.')));
  const sections = [...rooms].map(([room, failures]) => {
    const rows = failures.map(({ code, example }) => `| \`${code}\` | ${cell(sentence(example.says))} | ${cell(typeof example.hint === 'string' ? example.hint : sentence(example.hint))} | ${meaning[example.retry]} |`);
    return `## ${room}\n\n| Code | Says | Hint | Worth trying again |\n|---|---|---|---|\n${rows.join('\n')}\n`;
  });
  return `# Failures

Made from the rooms' failure tables by \`npm run reference\`; a test fails when this page is not what they say.

A failure is the world not cooperating. It has a code that never changes its meaning, a sentence with the values of the moment
(\`<in brackets>\` here), a hint, and a word on whether trying again helps. It is the same in a session, in an answer of the REST API,
on the command line and on the link between services. A code is looked for here; a sentence may be worded better in the next version.

${sections.join('\n')}`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|').replaceAll('\n', ' ');
}

/** The sentence with the names of its details in place of values. */
function sentence(says: (details: never) => string): string {
  const shown = attempt(says, Number.NaN) ?? attempt(says, 0) ?? 'depends on the details';
  return shown
    .replace(/<(\w+)\.t>,<\1\.i>/g, '<$1>')
    .replaceAll('1970-01-01T00:00:00.000Z', '<time>')
    .replaceAll('NaN', '<n>');
}

function attempt(says: (details: never) => string, asNumber: number): string | undefined {
  try {
    return says(standIn('', asNumber) as never);
  } catch {
    return undefined;
  }
}

/** Methods that make text of a value. */
const texts = new Set(['toString', 'toFixed', 'toLocaleString', 'join', 'toJSON']);

/** Methods that lead from a value to a part of it: its name stays. */
const methods = new Set(['split', 'slice', 'map', 'filter', 'trim', 'at', 'replace']);

/** Stands for any value: shows as its own name in text, as `asNumber` in arithmetic, and has every property and method. */
function standIn(name: string, asNumber: number): unknown {
  const value = (): void => {};
  return new Proxy(value, {
    get: (_target, property) => {
      if (property === Symbol.toPrimitive) return (hint: string) => (hint === 'number' ? asNumber : `<${name}>`);
      if (property === Symbol.iterator) return function* () {};
      if (texts.has(String(property))) return () => `<${name}>`;
      const isStep = methods.has(String(property));
      return standIn(name === '' ? String(property) : isStep ? name : `${name}.${String(property)}`, asNumber);
    },
    apply: () => standIn(name, asNumber),
  });
}
