/** What several name servers say to one question, and which of their answers is taken on. */
import { isIP } from 'node:net';

/** What a name server said: addresses, names or texts, none of them when there is no such record; or why it said nothing. */
export type NameAnswer =
  | { readonly kind: 'found'; readonly values: readonly string[]; /** How long a copy of it is kept; null: not known. */ readonly ttlSeconds: number | null }
  | { readonly kind: 'silent'; readonly why: string };

/** Of each name server that was asked; one that is dead is not among them. */
export type Heard = { readonly server: string; readonly answer: NameAnswer };

export type Settled = {
  /** Undefined when no name server could be asked. */
  readonly answer: NameAnswer | undefined;
  /** Who says what, where they do not agree. */
  readonly difference: string | undefined;
};

/** `isRight`: whether an answer agrees with what is known to be true. Order and case make no difference. */
export function settle(heard: readonly Heard[], isRight: (values: readonly string[]) => boolean): Settled {
  const found = heard.flatMap(({ answer }) => (answer.kind === 'found' ? [answer] : []));
  const kinds = new Set(heard.map(({ answer }) => (answer.kind === 'found' ? keyOf(answer.values) : 'silent')));
  const answer = found.find(({ values }) => values.length > 0 && isRight(values)) ?? found.find(({ values }) => values.length > 0) ?? found[0] ?? heard[0]?.answer;
  return { answer, difference: kinds.size > 1 ? heard.map(({ server, answer: said }) => `${server} says ${show(said)}`).join('; ') : undefined };
}

function show(answer: NameAnswer): string {
  if (answer.kind === 'silent') return `nothing: ${answer.why}`;
  if (answer.values.length === 0) return 'that there is none';
  return `${answer.values.join(', ')}${answer.ttlSeconds === null ? '' : ` (kept for ${answer.ttlSeconds} s)`}`;
}

function keyOf(values: readonly string[]): string {
  return JSON.stringify(values.map(plain).sort());
}

/** Names without their last dot, IPv6 addresses in their short form, all in small letters. */
export function plain(text: string): string {
  const small = text.toLowerCase().replace(/\.$/, '');
  return isIP(small) === 6 && !small.includes('%') ? new URL(`http://[${small}]`).hostname.slice(1, -1) : small;
}

export function isSame(a: string, b: string): boolean {
  return plain(a) === plain(b);
}
