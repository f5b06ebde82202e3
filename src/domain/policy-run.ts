/**
 * A run of a policy and its parts, one for each set. docs/design/policies.md has the moves; the decisions are here.
 *
 *   waiting ──begin──▶ running ──▶ success | warning | failed | stopped | cut
 *      ▲                  │ failed, with tries left
 *      └──────────────────┘ not before a while has passed
 */
export type PartState = 'waiting' | 'running' | 'success' | 'warning' | 'failed' | 'stopped' | 'cut';
export type RunState = 'open' | 'success' | 'warning' | 'failed' | 'stopped' | 'skipped';

export type Retry = { readonly times: number; readonly minutes: number };
export type PartStanding = { readonly state: PartState; /** The try that runs, or comes next; the first is 0. */ readonly attempt: number; /** It waits until then. */ readonly notBeforeMs: number };

/** How the session of a part ended. */
export type SessionEnded = 'success' | 'warning' | 'failed' | 'stopped';

export function isOver(state: PartState): boolean {
  return state !== 'waiting' && state !== 'running';
}

/** Where the end of a session leads a part that was running. `isClosed`: the run's window, which had it stopped. */
export function settlePart(part: PartStanding, ended: SessionEnded, retry: Retry, nowMs: number, isClosed: boolean): PartStanding {
  if (ended === 'success' || ended === 'warning') return { ...part, state: ended };
  if (isClosed) return { ...part, state: 'cut' };
  if (ended === 'stopped' || part.attempt >= retry.times) return { ...part, state: ended };
  return { state: 'waiting', attempt: part.attempt + 1, notBeforeMs: nowMs + retry.minutes * 60_000 };
}

/** What a run comes to; `open` while a part is not over. */
export function runStateOf(parts: readonly Pick<PartStanding, 'state'>[]): RunState {
  if (parts.some(({ state }) => !isOver(state))) return 'open';
  if (parts.length === 0) return 'warning';
  if (parts.every(({ state }) => state === 'success')) return 'success';
  if (parts.every(({ state }) => state === 'stopped')) return 'stopped';
  return parts.some(({ state }) => state === 'success' || state === 'warning') ? 'warning' : 'failed';
}

export type Place = { readonly host: string; readonly repository: string };
/** Copies at once. */
export const usualCopies = { host: 1, repository: 4, server: 100 } as const;
/** Hosts and repositories that are not named have the usual number. */
export type Limits = { readonly server: number; readonly hosts: ReadonlyMap<string, number>; readonly repositories: ReadonlyMap<string, number> };
export const usualLimits: Limits = { server: usualCopies.server, hosts: new Map(), repositories: new Map() };

export type Candidate = { readonly policy: string; readonly isHigh: boolean; readonly dueMs: number; readonly set: string; readonly place: Place };

/** Which of the waiting parts begin now, in order: fair among policies, within the limits that what runs already counts towards. */
export function chooseParts<C extends Candidate>(waiting: readonly C[], running: readonly (Place & { readonly policy: string | null; readonly set: string })[], limits: Limits): C[] {
  const [hosts, repositories, policies] = [new Map<string, number>(), new Map<string, number>(), new Map<string, number>()];
  const count = (counts: Map<string, number>, key: string): void => void counts.set(key, (counts.get(key) ?? 0) + 1);
  const take = ({ host, repository }: Place, policy: string | null): void => {
    count(hosts, host);
    count(repositories, repository);
    if (policy !== null) count(policies, policy);
  };
  for (const one of running) take(one, one.policy);
  const isFull = ({ host, repository }: Place): boolean => (hosts.get(host) ?? 0) >= (limits.hosts.get(host) ?? usualCopies.host) || (repositories.get(repository) ?? 0) >= (limits.repositories.get(repository) ?? usualCopies.repository);
  const busy = new Set(running.map(({ set }) => set));
  const chosen: C[] = [];
  const left = new Set(waiting);
  while (running.length + chosen.length < limits.server) {
    let best: C | undefined;
    for (const one of left) {
      if (busy.has(one.set) || isFull(one.place)) left.delete(one);
      else if (best === undefined || isBefore(one, best, policies)) best = one;
    }
    if (best === undefined) break;
    left.delete(best);
    busy.add(best.set);
    take(best.place, best.policy);
    chosen.push(best);
  }
  return chosen;
}

function isBefore(a: Candidate, b: Candidate, running: ReadonlyMap<string, number>): boolean {
  if (a.isHigh !== b.isHigh) return a.isHigh;
  const [ofA, ofB] = [running.get(a.policy) ?? 0, running.get(b.policy) ?? 0];
  if (ofA !== ofB) return ofA < ofB;
  return a.dueMs !== b.dueMs ? a.dueMs < b.dueMs : a.policy !== b.policy ? a.policy < b.policy : a.set < b.set;
}
