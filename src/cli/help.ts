import type { CommandDefinition, OptionDefinition } from './command.ts';
import { connection, detach, json } from './definitions/options.ts';
import { definitions, nouns } from './definitions.ts';
import { exitCodes, type ExitCode } from './exit-codes.ts';

const meanings: Readonly<Record<ExitCode, string>> = {
  [exitCodes.done]: 'done',
  [exitCodes.failed]: 'failed',
  [exitCodes.usage]: 'usage',
  [exitCodes.part]: 'finished in part, with warnings',
  [exitCodes.notAllowed]: 'not allowed',
  [exitCodes.busy]: 'busy',
};

/** A command's own options, then those that many share. */
export function optionsOf(command: CommandDefinition): OptionDefinition[] {
  return [...command.options, ...(command.long === true ? [detach] : []), json, ...(command.client ? connection : [])];
}

/** `tidemark point delete <restore-point>... [--apply] [--json]`; options that are shared by all are not in it. */
export function synopsis(command: CommandDefinition): string {
  const options = [...command.options, ...(command.long === true ? [detach] : []), json];
  const words = options.map((option) => {
    const flags = option.flags.replace(/^-\w, /, '');
    const one = option.required === true ? flags : `[${flags}]`;
    return option.many === true ? `${one}...` : one;
  });
  return wrap(['tidemark', ...command.name.split(' '), command.takes, ...words].filter((word) => word !== ''), '  ', '      ');
}

/** Broken after words, into lines of at most `columns`. */
function wrapped(text: string, columns: number): string[] {
  const lines: string[] = [''];
  for (const word of text.split(' ')) {
    const line = lines.at(-1)!;
    if (line !== '' && line.length + 1 + word.length > columns) lines.push(word);
    else lines[lines.length - 1] = line === '' ? word : `${line} ${word}`;
  }
  return lines;
}

export function commandHelp(command: CommandDefinition): string {
  const options = optionsOf(command);
  const width = Math.min(30, Math.max(...options.map((option) => option.flags.length)));
  const optionLine = (option: OptionDefinition): string => {
    const indent = `\n${' '.repeat(width + 4)}`;
    const choices = option.choices === undefined ? [] : wrapped(`[${option.choices.join(', ')}]`, 120 - width);
    const isLong = choices.length > 1 || width + option.says.length + (choices[0]?.length ?? 0) > 125;
    const says = choices.length === 0 ? option.says : `${option.says}${isLong ? indent : ' '}${choices.join(indent)}`;
    return option.flags.length > width ? `  ${option.flags}\n  ${' '.repeat(width)}  ${says}` : `  ${option.flags.padEnd(width)}  ${says}`;
  };
  const parts = [
    command.summary,
    synopsis(command),
    ...(command.text === undefined ? [] : [command.text]),
    options.map(optionLine).join('\n'),
    `Examples\n${command.examples.map((line) => `  ${line}`).join('\n')}`,
    `Exit status\n${exitStatus(command)}`,
    ...(command.see === undefined ? [] : [`See also: ${command.see.join(', ')}`]),
  ];
  return `${parts.join('\n\n')}\n`;
}

export function meaningOf(command: CommandDefinition, code: ExitCode): string {
  return command.exits?.[code] ?? meanings[code];
}

function exitStatus(command: CommandDefinition): string {
  const codes = Object.values(exitCodes).filter((code) => code !== exitCodes.part || command.long === true || command.exits?.[code] !== undefined);
  return wrap(codes.map((code) => `${code} ${meaningOf(command, code)}`), '  ', '  ', '   ');
}

export function overviewHelp(version: string): string {
  const width = Math.max(...definitions.map((command) => `${command.name} ${command.takes}`.trim().length));
  const lines = definitions.map((command) => `  ${`${command.name} ${command.takes}`.trim().padEnd(width)}  ${command.summary}`);
  return `Tidemark ${version}: backup and point-in-time recovery for MongoDB replica sets

  tidemark <noun> <verb> [object] [options]

${lines.join('\n')}

Every command has --help with examples and exit codes, and --json for one document on stdout.
Destructive and large commands print their plan and change nothing without --apply.
`;
}

export function nounHelp(noun: string): string {
  const own = definitions.filter((command) => command.name.startsWith(`${noun} `));
  const width = Math.max(...own.map((command) => `${command.name} ${command.takes}`.trim().length));
  const lines = own.map((command) => `  tidemark ${`${command.name} ${command.takes}`.trim().padEnd(width)}  ${command.summary}`);
  const about = nouns[noun] ?? noun;
  return `${about.charAt(0).toUpperCase()}${about.slice(1)}\n\n${lines.join('\n')}\n\nEach has --help with examples and exit codes.\n`;
}

function wrap(words: readonly string[], first: string, next: string, between = ' '): string {
  const columns = 110;
  const lines: string[] = [];
  let line = first;
  for (const word of words) {
    const joined = line === first || line === next ? line + word : line + between + word;
    if (joined.length > columns && line.trim() !== '') {
      lines.push(line);
      line = next + word;
    } else line = joined;
  }
  return [...lines, line].join('\n');
}
