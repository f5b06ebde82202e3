/** Commands that the product or its pages tell people to run exist, with the options they are told to give. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { definitions } from '../src/cli/definitions.ts';
import { connection } from '../src/cli/definitions/options.ts';
import { optionsOf } from '../src/cli/help.ts';

const root = join(import.meta.dirname, '..');
const nouns = new Set(definitions.map((command) => command.name.split(' ')[0]!));

/** What is wrong with `tidemark …` as somebody wrote it; undefined when nothing is. */
function problemOf(text: string): string | undefined {
  const words = text.replace(/[|>#].*$/, '').trim().split(/\s+/).slice(1);
  if (words.length === 0 || words[0]!.startsWith('-')) return undefined;
  const command = definitions.find(({ name }) => name === words.slice(0, name.split(' ').length).join(' '));
  if (command === undefined) return nouns.has(words[0]!) && words.length === 1 ? undefined : `there is no "tidemark ${words.slice(0, 2).join(' ')}"`;
  const flags = new Set([...optionsOf(command), ...connection].map((option) => /--[\w-]+/.exec(option.flags)![0]));
  const unknown = words.filter((word) => /^--[a-z]/.test(word)).map((word) => /^--[\w-]+/.exec(word)![0]).find((flag) => !flags.has(flag) && flag !== '--help');
  if (unknown !== undefined) return `"tidemark ${command.name}" has no ${unknown}`;
  const repository = command.takes === '[repository]' ? words[command.name.split(' ').length] : undefined;
  const isThere = repository === undefined || repository.startsWith('-') || /^(default|[A-Z]+)$/.test(repository);
  return isThere ? undefined : `nobody has made a repository "${repository}"; the one that is there is "default"`;
}

function problemsIn(files: readonly string[], find: (text: string) => string[]): string[] {
  assert.ok(files.length > 0, 'the files were found');
  return files.flatMap((file) => {
    const texts = find(readFileSync(join(root, file), 'utf8'));
    return texts.map(problemOf).filter((problem) => problem !== undefined).map((problem) => `${file}: ${problem}`);
  });
}

test('hints and messages name commands that exist', () => {
  const sources = globSync('src/**/*.ts', { cwd: root }).filter((file) => !file.endsWith('.test.ts'));
  const quoted = (text: string): string[] => [...text.matchAll(/"(tidemark [a-z][^"\n]*)"/g)].map((match) => match[1]!.replace(/\$\{[^}]*\}/g, 'X'));
  assert.deepEqual(problemsIn(sources, quoted), []);
});

test('pages name commands that exist', () => {
  const pages = globSync(['*.md', 'docs/guide/*.md', 'docs/reference/failures.md', 'changelog/**/*.md'], { cwd: root });
  const inCode = (text: string): string[] => {
    const blocks = [...text.matchAll(/```[a-z]*\n([\s\S]*?)```/g)].flatMap((match) => match[1]!.replace(/\\\n/g, ' ').split('\n'));
    const spans = [...text.replace(/```[\s\S]*?```/g, '').matchAll(/`([^`\n]+)`/g)].map((match) => match[1]!);
    return [...blocks, ...spans].map((line) => line.trim().replace(/^\$ |^npx /, '')).filter((line) => line.startsWith('tidemark '));
  };
  assert.deepEqual(problemsIn(pages, inCode), []);
});

test('the gate sees a command and an option that do not exist', () => {
  assert.equal(problemOf('tidemark point erase X'), 'there is no "tidemark point erase"');
  assert.equal(problemOf('tidemark window rs0 --since 5'), '"tidemark window" has no --since');
  assert.match(problemOf('tidemark repository check local --read-data 5')!, /there is "default"$/);
  assert.equal(problemOf('tidemark backup run rs0 --full-read --json # again'), undefined);
});
