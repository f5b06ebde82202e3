/**
 * What a command is: its words, its help and where its code is. Definitions are data, so that `--help`, completion and
 * docs/reference/cli.md are made from them without loading what the command needs to run.
 */
import type { Clock } from '../base/clock.ts';
import type { Client } from './client.ts';
import type { ExitCode } from './exit-codes.ts';
import type { Surroundings, Terminal } from './surroundings.ts';

export type OptionDefinition = {
  /** `--at <moment>`, `--apply`, `-x, --long <value>`; `--no-x` switches off what is on. */
  readonly flags: string;
  readonly says: string;
  readonly choices?: readonly string[];
  /** May be given several times; the values come as a list. */
  readonly many?: true;
  readonly required?: true;
};

export type CommandDefinition = {
  /** `point delete` */
  readonly name: string;
  /** `<restore-point>...`, `[set]` */
  readonly takes: string;
  readonly summary: string;
  /** What an operator has to know besides, in paragraphs. */
  readonly text?: string;
  readonly options: readonly OptionDefinition[];
  /** Talks to a server: has --server, --token-file and --ca-file. */
  readonly client: boolean;
  /** Starts a session and waits for it: has --detach. */
  readonly long?: true;
  readonly examples: readonly string[];
  /** Only what this command adds to the meaning of a code. */
  readonly exits?: Readonly<Partial<Record<ExitCode, string>>>;
  readonly see?: readonly string[];
  readonly load: () => Promise<Run>;
};

export type Run = (invocation: Invocation) => Promise<ExitCode>;

/** What the words on the command line came to. */
export type Given = { readonly args: readonly string[]; readonly options: Readonly<Record<string, unknown>> };

export type Invocation = Given & {
  readonly command: CommandDefinition;
  readonly json: boolean;
  readonly terminal: Terminal;
  readonly clock: Clock;
  readonly surroundings: Surroundings;
  client(): Promise<Client>;
  /** The answer, once: the document with --json, else the text. */
  answer(document: unknown, text: () => string): void;
  /** A line for the operator, on stderr. */
  say(line: string): void;
};

export function textOf(given: Given, name: string): string | undefined {
  const value = given.options[name];
  return typeof value === 'string' ? value : undefined;
}

export function isGiven(given: Given, name: string): boolean {
  return given.options[name] === true;
}

export function listOf(given: Given, name: string): string[] {
  const value = given.options[name];
  return Array.isArray(value) ? (value as string[]) : [];
}
