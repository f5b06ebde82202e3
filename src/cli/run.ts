/** The command line: words in, an exit code out. Everything it knows of its surroundings is handed to it. */
import { describe, isFailure, toWire } from '../base/failure.ts';
import type { Client } from './client.ts';
import type { Invocation } from './command.ts';
import { exitCodeOf, exitCodes, type ExitCode } from './exit-codes.ts';
import { showFailure } from './failure-text.ts';
import { parseWords, type Parsed } from './parse.ts';
import type { Surroundings } from './surroundings.ts';

export async function runCommandLine(words: readonly string[], surroundings: Surroundings): Promise<ExitCode> {
  const { terminal } = surroundings;
  // A word after `--` is an argument, whatever it looks like.
  const json = words.slice(0, words.includes('--') ? words.indexOf('--') : undefined).includes('--json');
  let answered = false;
  const answer: Invocation['answer'] = (document, text) => {
    answered = true;
    const shown = json ? JSON.stringify(document, null, 2) : text();
    if (shown !== '') terminal.stdout(`${shown}\n`);
  };
  try {
    const parsed = await parseWords(words, surroundings.version);
    if (parsed.kind !== 'run') {
      terminal.stdout(parsed.text.endsWith('\n') ? parsed.text : `${parsed.text}\n`);
      return exitCodes.done;
    }
    return await (await parsed.command.load())(invocationOf(parsed, json, surroundings, answer));
  } catch (error) {
    const failure = toWire(error);
    terminal.stderr(`${showFailure({ ...failure, message: isFailure(error) ? failure.message : describe(error) })}\n`);
    if (json && !answered) answer({ failure }, () => '');
    return exitCodeOf(failure);
  }
}

function invocationOf(parsed: Extract<Parsed, { kind: 'run' }>, json: boolean, surroundings: Surroundings, answer: Invocation['answer']): Invocation {
  let client: Promise<Client> | undefined;
  const connect = async (): Promise<Client> => (await import('./connection.ts')).connect(parsed, surroundings);
  return {
    command: parsed.command,
    args: parsed.args,
    options: parsed.options,
    json,
    terminal: surroundings.terminal,
    clock: surroundings.clock,
    surroundings,
    answer,
    client: () => (client ??= connect()),
    say: (line) => surroundings.terminal.stderr(`${line}\n`),
  };
}
