/** Words into a command with its arguments and options, or into the help that was asked for. Runs nothing. */
import { Command, CommanderError, Option } from 'commander';
import type { CommandDefinition, Given, OptionDefinition } from './command.ts';
import { connection } from './definitions/options.ts';
import { definitions } from './definitions.ts';
import { usage } from './failures.ts';
import { commandHelp, nounHelp, optionsOf, overviewHelp } from './help.ts';

export type Parsed = ({ readonly kind: 'run'; readonly command: CommandDefinition } & Given) | { readonly kind: 'help' | 'version'; readonly text: string };

export async function parseWords(words: readonly string[], version: string): Promise<Parsed> {
  let parsed: Parsed | undefined;
  const root = quiet(new Command('tidemark')).helpCommand(false).option('-V, --version');
  root.helpInformation = () => overviewHelp(version);
  const groups = new Map<string, Command>();
  for (const definition of definitions) {
    const [noun, verb] = definition.name.split(' ') as [string, string?];
    const parent = verb === undefined ? root : groupOf(root, groups, noun);
    const command = quiet(new Command(verb ?? noun));
    command.helpInformation = () => commandHelp(definition);
    for (const argument of definition.takes.split(' ').filter((word) => word !== '')) command.argument(argument.replace(/([>\]])\.\.\.$/, '...$1'));
    for (const option of optionsOf(definition)) command.addOption(optionOf(option));
    // Scripts may give the connection to every command, also to those that need none.
    if (!definition.client) for (const option of connection) command.addOption(optionOf(option).hideHelp());
    command.action(() => {
      const args = command.processedArgs.flat().filter((arg): arg is string => typeof arg === 'string');
      parsed = { kind: 'run', command: definition, args, options: command.opts() };
    });
    parent.addCommand(command);
  }
  if (words.length === 1 && (words[0] === '--version' || words[0] === '-V')) return { kind: 'version', text: version };
  if (words.length === 0 || words[0] === 'help') return { kind: 'help', text: helpFor(words.slice(1), version) };
  if (words.length === 1 && groups.has(words[0]!)) return { kind: 'help', text: nounHelp(words[0]!) };
  let help = '';
  for (const command of [root, ...root.commands, ...[...groups.values()].flatMap((group) => group.commands)]) {
    command.configureOutput({ writeOut: (text) => (help += text), writeErr: () => {} });
  }
  try {
    await root.parseAsync(words, { from: 'user' });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.code === 'commander.helpDisplayed' || error.code === 'commander.help') return { kind: 'help', text: help };
    throw usageOf(error.message, words, groups);
  }
  if (parsed === undefined) throw usage({ why: `"${words.join(' ')}" is not a command`, command: 'tidemark' });
  return parsed;
}

function helpFor(words: readonly string[], version: string): string {
  const command = definitions.find((definition) => definition.name === words.join(' '));
  if (command !== undefined) return commandHelp(command);
  const isNoun = words.length === 1 && definitions.some((definition) => definition.name.startsWith(`${words[0]} `));
  return isNoun ? nounHelp(words[0]!) : overviewHelp(version);
}

function groupOf(root: Command, groups: Map<string, Command>, noun: string): Command {
  const known = groups.get(noun);
  if (known !== undefined) return known;
  const group = quiet(new Command(noun)).helpCommand(false);
  group.helpInformation = () => nounHelp(noun);
  groups.set(noun, group);
  root.addCommand(group);
  return group;
}

function quiet(command: Command): Command {
  return command.exitOverride().helpOption('-h, --help').showSuggestionAfterError(true);
}

function optionOf(definition: OptionDefinition): Option {
  const option = new Option(definition.flags, definition.says);
  if (definition.choices !== undefined) option.choices([...definition.choices]);
  if (definition.many === true) option.argParser((value: string, before: string[] | undefined) => [...(before ?? []), value]);
  return definition.required === true ? option.makeOptionMandatory(true) : option;
}

function usageOf(message: string, words: readonly string[], groups: ReadonlyMap<string, Command>): Error {
  const known = definitions.find((definition) => `${words.join(' ')} `.startsWith(`${definition.name} `));
  const noun = words[0] !== undefined && groups.has(words[0]) ? ` ${words[0]}` : '';
  const why = message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ');
  return usage({ why, command: known === undefined ? `tidemark${noun}` : `tidemark ${known.name}` });
}
