/** How a command becomes root's, and what sudo and su say when it does not. */
import type { HostCredential } from '../contract/credentials.ts';
import { wordsOf } from './words.ts';

export type Way = { readonly kind: 'plain' } | { readonly kind: 'sudo'; readonly password: string | undefined } | { readonly kind: 'su'; readonly password: string };

/** The ways a credential allows, in the order in which they are tried. */
export function waysOf({ signIn, elevation }: HostCredential): Way[] {
  if (elevation.kind === 'none') return [];
  if (elevation.kind === 'su') return [{ kind: 'su', password: elevation.rootPassword }];
  const password = elevation.password ?? (signIn.kind === 'password' ? signIn.password : undefined);
  return [{ kind: 'sudo', password }, ...(elevation.rootPassword === undefined ? [] : [{ kind: 'su', password: elevation.rootPassword } as const])];
}

/**
 * What the login shell of the user is told to run. It is one line, without a quote inside the quotes, a newline or an
 * exclamation mark, so that it means the same to every shell there is; the script travels in base64.
 *
 * sudo is given a prompt nobody else prints, and asks on stderr. su has one of its own. Neither needs a terminal: both
 * read the password from stdin, a line and no byte more, and leave the rest of stdin to the script.
 */
export function commandLine(way: Way, script: string, ask: string): string {
  const run = `eval \\"\\$(echo ${Buffer.from(script).toString('base64')} | base64 -d)\\"`;
  const setting = 'LC_ALL=C; export LC_ALL; PATH=/usr/bin:/bin:/usr/sbin:/sbin:$PATH; export PATH;';
  const become = { plain: `/bin/sh -c "${run}"`, sudo: `sudo -S -p ${ask} -- /bin/sh -c "${run}"`, su: `su root -s /bin/sh -c "${run}"` }[way.kind];
  return `exec /bin/sh -c '${setting} exec ${become}'`;
}

export type Talk = {
  /** What came on stderr before the script began. */
  readonly text: string;
  /** How often it asked for a password, and whether it got one. */
  readonly asked: number;
  readonly isAnswered: boolean;
};

/** How often a password is asked for in what was printed so far. */
export function timesAsked(way: Way, text: string, ask: string): number {
  if (way.kind === 'plain') return 0;
  if (way.kind === 'sudo') return text.split(ask).length - 1;
  return /password[^\n:]*: ?$/i.test(text) ? 1 : 0;
}

const known: readonly (readonly [RegExp, string])[] = [
  [/expired/i, 'the password or the account has expired'],
  [/is not in the sudoers file/i, 'the user is not in the sudoers file'],
  [/is not allowed to (execute|run)/i, 'the sudo rules do not allow the user to run everything'],
  [/you must have a tty|must be run from a terminal|a terminal is required|no tty present/i, 'it is set to work on terminals only (requiretty)'],
  [/a password is required/i, 'it asks for a password and the credential has none'],
  [/sorry, try again|incorrect password|authentication failure/i, 'the password was not accepted'],
  [/(sudo|su): (command )?not found/i, 'it is not installed'],
  [/permission denied/i, 'the user may not run it'],
];

/** Why the script did not begin. */
export function whyNotRoot(talk: Talk, ask: string, secrets: readonly string[]): string {
  const text = talk.text.replaceAll(ask, ' ');
  const found = known.find(([pattern]) => pattern.test(text))?.[1];
  if (found !== undefined) return found;
  if (talk.asked > 0 && !talk.isAnswered) return 'it asks for a password and the credential has none';
  if (talk.asked > 1) return 'the password was not accepted';
  const said = wordsOf(text, secrets);
  return said === '' ? 'it said nothing' : `it said: ${said}`;
}
