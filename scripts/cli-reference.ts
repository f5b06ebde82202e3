import type { CommandDefinition } from '../src/cli/command.ts';
import { definitions, nouns } from '../src/cli/definitions.ts';
import { connection, detach, json } from '../src/cli/definitions/options.ts';
import { exitCodes } from '../src/cli/exit-codes.ts';
import { meaningOf, synopsis } from '../src/cli/help.ts';

/** docs/reference/cli.md, made from the definitions that `--help` is made from. */
export function cliReference(): string {
  const contents = definitions.map((command) => `- [tidemark ${command.name}](#${anchorOf(command)}): ${command.summary}`);
  const shared = [json, detach, ...connection].map((option) => `| \`${option.flags}\` | ${cell(option.says)} |`);
  return `# The command line

Made from the command definitions by \`npm run reference\`; a test fails when this page is not what they say.

Noun, verb, object, options. Nouns: ${Object.entries(nouns).map(([noun, about]) => `\`${noun}\` (${about})`).join(', ')}.

## For every command

| Option | |
|---|---|
${shared.join('\n')}
| \`-h, --help\` | help with examples and exit codes |

\`--detach\` is there where a command starts long work. Such work shows a progress bar on a terminal and one line for each step
otherwise, always on stderr. Ctrl-C asks the session to stop and waits for its end; a second Ctrl-C leaves it running.

With \`--json\` a command that fails prints \`{"failure": {"code", "message", "hint", "retry", "details"}}\`; one whose session
failed prints the session's document with that \`failure\` in it. The exit code is the same with and without it:

| Exit code | Meaning |
|---|---|
| 0 | done |
| 1 | failed; also a session that was stopped or left running |
| 2 | usage: the words could not be understood |
| 3 | finished in part, with warnings |
| 4 | not allowed |
| 5 | busy |

Times are printed with their zone and, where there is one, with the cluster time beside: \`2026-11-23T21:09:27+01:00 (1795464567,96)\`.
Both forms can be given to \`--at\`: \`latest\`, the id of a restore point, ISO 8601 with a zone or \`Z\` (a time without a zone is
refused), \`1795464567,96\` for the state just after that operation, \`before:1795464567,96\` for the state just before it.

## Commands

${contents.join('\n')}

${definitions.map(section).join('\n')}`;
}

function anchorOf(command: CommandDefinition): string {
  return `tidemark-${command.name.replaceAll(' ', '-')}`;
}

function section(command: CommandDefinition): string {
  const options = command.options.map((option) => {
    const notes = [...(option.required === true ? ['required'] : []), ...(option.many === true ? ['may be given several times'] : []), ...(option.choices === undefined ? [] : [option.choices.join(', ')])];
    return `| \`${option.flags}\` | ${cell(option.says)}${notes.length === 0 ? '' : ` (${notes.join('; ')})`} |`;
  });
  const codes = Object.values(exitCodes).filter((code) => command.exits?.[code] !== undefined);
  const parts = [
    `### tidemark ${command.name}\n\n${command.summary}`,
    `\`\`\`\n${synopsis(command).replace(/^ {2}/gm, '')}\n\`\`\``,
    ...(command.text === undefined ? [] : [command.text]),
    ...(options.length === 0 ? [] : [`| Option | |\n|---|---|\n${options.join('\n')}`]),
    `\`\`\`sh\n${command.examples.join('\n')}\n\`\`\``,
    ...(codes.length === 0 ? [] : [`Exit codes: ${codes.map((code) => `${code} ${meaningOf(command, code)}`).join('; ')}.`]),
  ];
  return `${parts.join('\n\n')}\n`;
}

function cell(text: string): string {
  return text.replaceAll('|', '\\|');
}
