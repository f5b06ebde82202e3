import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFailure } from '../base/failure.ts';
import { definitions } from './definitions.ts';
import { usage } from './failures.ts';
import { parseWords } from './parse.ts';

async function run(...words: string[]) {
  const parsed = await parseWords(words, '1.2.3');
  assert.equal(parsed.kind, 'run');
  return parsed.kind === 'run' ? parsed : assert.fail();
}

async function help(...words: string[]): Promise<string> {
  const parsed = await parseWords(words, '1.2.3');
  return parsed.kind === 'run' ? assert.fail('it would run') : parsed.text;
}

test('a command gets its arguments and options, repeated ones as a list', async () => {
  const { command, args, options } = await run('restore', 'set', 'rs0', '--at', 'latest', '--to-dir', '/a:1', '--to-dir', '/b:2', '--apply');
  assert.equal(command.name, 'restore set');
  assert.deepEqual(args, ['rs0']);
  assert.deepEqual(options, { at: 'latest', toDir: ['/a:1', '/b:2'], apply: true });
});

test('several restore points are arguments of one command', async () => {
  assert.deepEqual((await run('point', 'delete', 'a', 'b', 'c')).args, ['a', 'b', 'c']);
});

test('an option with a value that may be left out says which it was', async () => {
  assert.equal((await run('repository', 'check', '--read-data')).options['readData'], true);
  assert.equal((await run('repository', 'check', '--read-data', '5')).options['readData'], '5');
  assert.deepEqual((await run('repository', 'check', 'main')).args, ['main']);
});

test('every command takes the options that scripts give to all', async () => {
  for (const definition of definitions) {
    const args = definition.takes.split(' ').filter((word) => word.startsWith('<')).map(() => 'x');
    const required = definition.options.filter((option) => option.required === true).flatMap((option) => [option.flags.split(' ')[0]!, option.choices?.[0] ?? 'x']);
    const parsed = await run(...definition.name.split(' '), ...args, ...required, '--json', '--server', 'https://x', '--token-file', '/t', '--ca-file', '/c');
    assert.equal(parsed.command, definition);
  }
});

test('every command has its code, examples that parse, and help that says what house.md asks for', async () => {
  for (const definition of definitions) {
    assert.equal(typeof (await definition.load()), 'function', definition.name);
    const text = await help(...definition.name.split(' '), '--help');
    for (const part of [definition.summary, 'Examples\n  tidemark ', 'Exit status\n  0 ', '--json']) assert.ok(text.includes(part), `${definition.name} --help has ${part}`);
    assert.ok(text.split('\n').every((line) => line.length <= 135), `${definition.name} --help is too wide`);
    for (const example of definition.examples) {
      const words = example.split(' > ')[0]!.match(/'[^']*'|"[^"]*"|\S+/g)!.slice(1).map((word) => word.replace(/^(['"])(.*)\1$/, '$2'));
      assert.equal((await run(...words)).command, definition, example);
    }
  }
});

test('help is found in every way people look for it', async () => {
  const all = await help('--help');
  assert.equal(await help(), all);
  assert.equal(await help('help'), all);
  for (const { name } of definitions) assert.ok(all.includes(`\n  ${name}`), name);
  assert.equal(await help('help', 'point', 'delete'), await help('point', 'delete', '--help'));
  assert.equal(await help('point'), await help('point', '--help'));
  assert.match(await help('--version'), /1\.2\.3/);
});

const wrong: { words: string[]; says: RegExp; see: RegExp }[] = [
  { words: ['pint'], says: /unknown command 'pint' \(Did you mean point\?\)/, see: /"tidemark --help"/ },
  { words: ['point', 'delet'], says: /Did you mean delete/, see: /"tidemark point --help"/ },
  { words: ['backup', 'run'], says: /missing required argument 'set'/, see: /"tidemark backup run --help"/ },
  { words: ['backup', 'run', 'rs0', '--fullread'], says: /unknown option '--fullread' \(Did you mean --full-read\?\)/, see: /backup run/ },
  { words: ['backup', 'run', 'rs0', '--method', 'magic'], says: /Allowed choices are clone, window, lock/, see: /backup run/ },
  { words: ['restore', 'set', 'rs0', '--to-dir', '/a:1'], says: /'--at <moment>' not specified/, see: /restore set/ },
  { words: ['window', 'a', 'b'], says: /too many arguments/, see: /window/ },
];
for (const { words, says, see } of wrong) {
  test(`"${words.join(' ')}" is refused as usage, with where to look`, async () => {
    await assert.rejects(parseWords(words, '1'), (error: unknown) => {
      assert.ok(isFailure(error, usage));
      assert.match(error.message, says);
      assert.match(error.hint, see);
      return true;
    });
  });
}
