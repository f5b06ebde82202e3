/** Which news a notification hears, when it is tried again, and how many messages an hour may have. */

export type RuleNews = {
  /** A session's state, or the kind of news. */
  readonly what: string;
  /** Of every object it concerns: `set:shop`, `group:all`. */
  readonly names: readonly string[];
  readonly willTryAgain: boolean;
};
export type Rule = { readonly on: readonly string[]; readonly about: readonly string[]; readonly lastRetryOnly: boolean };

/** `muted`: it fits, and the last try of it will be told in its place. */
export function judge(rule: Rule, { what, names, willTryAgain }: RuleNews): 'told' | 'muted' | 'not-its' {
  if (!rule.on.includes(what)) return 'not-its';
  if (rule.about.length > 0 && !rule.about.some((object) => names.includes(object))) return 'not-its';
  return what === 'failed' && willTryAgain && rule.lastRetryOnly ? 'muted' : 'told';
}

export const triedForMs = 24 * 3_600_000;
const firstWaitMs = 10_000;
/** Between two tries. */
export const longestWaitMs = 15 * 60_000;

/** The next try of news that happened at `atMs`, after so many that failed; null: there is none. */
export function nextTry(atMs: number, tries: number, nowMs: number): number | null {
  if (nowMs - atMs >= triedForMs) return null;
  return Math.min(nowMs + Math.min(longestWaitMs, firstWaitMs * 2 ** Math.min(20, tries - 1)), atMs + triedForMs);
}

const hourMs = 3_600_000;

/** Messages of one notification in the last hour. Lost when the server starts again: then an hour may have twice as many. */
export function openHour(perHour: number): { hasRoom(nowMs: number): boolean; count(nowMs: number): void } {
  let sent: number[] = [];
  const fresh = (nowMs: number): number[] => (sent = sent.filter((ms) => ms > nowMs - hourMs && ms <= nowMs));
  return {
    hasRoom: (nowMs) => fresh(nowMs).length < perHour,
    count: (nowMs) => void sent.push(nowMs),
  };
}

/** `{title}` and its like; what is not a field stays as it was written. */
export function fillSubject(template: string, fields: Readonly<Record<string, string>>): string {
  return template.replaceAll(/\{([a-z]+)\}/g, (all, name: string) => (Object.hasOwn(fields, name) ? fields[name]! : all));
}
