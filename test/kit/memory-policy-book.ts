/** What the scheduler keeps, in memory: the same answers as the catalog's, a thousand times as fast. */
import type { Counting, OpenedRun, PartRow, PolicyBook, PolicyRow, RunRow } from '../../src/catalog/policies.ts';

export type MemoryPolicyBook = PolicyBook & {
  readonly policies: Map<string, PolicyRow>;
  put(row: PolicyRow): void;
  /** Called before and after each change: throws as a process does that is killed there. */
  strike: (when: 'before' | 'after') => void;
  /** Told of every change that was made. */
  seen: { counted(counting: Counting, accounted: number): void; opened(opened: OpenedRun): void; ended(run: RunRow, parts: readonly PartRow[]): void };
};

export function memoryPolicyBook(): MemoryPolicyBook {
  const policies = new Map<string, PolicyRow>();
  const followersOf = new Map<string, Set<string>>();
  const open = new Map<string, { run: RunRow; parts: PartRow[]; /** What was handed out since the last change. */ shown?: OpenedRun }>();
  const show = (one: { run: RunRow; parts: PartRow[]; shown?: OpenedRun }): OpenedRun => (one.shown ??= { run: { ...one.run }, parts: one.parts.map((part) => ({ ...part })) });
  const changed = (id: string) => {
    const one = open.get(id);
    if (one !== undefined) one.shown = undefined;
    return one;
  };
  const byPolicy = new Map<string, string>();
  const heap = nextHeap();
  let lastNowMs = -Infinity;

  const put = (row: PolicyRow): void => {
    const before = policies.get(row.id)?.follows;
    if (before != null) followersOf.get(before)?.delete(row.id);
    if (row.follows !== null) followersOf.set(row.follows, (followersOf.get(row.follows) ?? new Set()).add(row.id));
    policies.set(row.id, row);
    if (row.is_enabled === 1 && row.next_ms !== null) heap.add(row.next_ms, row.id);
  };
  const isFresh = (at: number, id: string): boolean => policies.get(id)?.next_ms === at && policies.get(id)?.is_enabled === 1;
  const count = ({ policy, wasMs, fromMs, nextMs }: Counting): boolean => {
    const row = policies.get(policy);
    if (row?.counts_from_ms !== wasMs) return false;
    put({ ...row, counts_from_ms: fromMs, next_ms: nextMs });
    return true;
  };
  const insert = ({ run, parts }: OpenedRun): boolean => {
    if (byPolicy.has(run.policy)) return false;
    open.set(run.id, { run: { ...run }, parts: parts.map((part) => ({ ...part })) });
    byPolicy.set(run.policy, run.id);
    book.seen.opened({ run, parts });
    return true;
  };
  const change = async <T>(act: () => T): Promise<T> => {
    book.strike('before');
    const value = act();
    book.strike('after');
    return await Promise.resolve(value);
  };

  const book: MemoryPolicyBook = {
    policies,
    put,
    strike: () => {},
    seen: { counted: () => {}, opened: () => {}, ended: () => {} },
    async due(nowMs) {
      const found: PolicyRow[] = [];
      if (nowMs < lastNowMs) for (const row of policies.values()) if (row.is_enabled === 1 && row.counts_from_ms > nowMs) found.push(row);
      lastNowMs = nowMs;
      for (let first = heap.first(); first !== undefined && first.at <= nowMs; first = heap.first()) {
        heap.take();
        if (isFresh(first.at, first.id)) found.push(policies.get(first.id)!);
      }
      // What is not counted on is due the next time, too.
      for (const row of found) if (row.next_ms !== null) heap.add(row.next_ms, row.id);
      return await Promise.resolve([...new Map(found.map((row) => [row.id, row])).values()]);
    },
    async nextMs() {
      for (let first = heap.first(); first !== undefined && !isFresh(first.at, first.id); first = heap.first()) heap.take();
      return await Promise.resolve(heap.first()?.at ?? null);
    },
    policy: async (id) => await Promise.resolve(policies.get(id)),
    followers: async (id) => await Promise.resolve([...(followersOf.get(id) ?? [])].map((each) => policies.get(each)!).filter(({ is_enabled }) => is_enabled === 1)),
    count: async (counting) =>
      await change(() => {
        const isCounted = count(counting);
        if (isCounted) book.seen.counted(counting, 0);
        return isCounted;
      }),
    openRunOf: async (policy) => await Promise.resolve(byPolicy.has(policy) ? { ...open.get(byPolicy.get(policy)!)!.run } : undefined),
    openRun: async (opened, counting) =>
      await change(() => {
        if (byPolicy.has(opened.run.policy) || (counting !== null && !count(counting))) return false;
        if (counting !== null) book.seen.counted(counting, 1 + opened.run.missed);
        return insert(opened);
      }),
    skip: async (run, moments, counting) =>
      await change(() => {
        if (!count(counting)) return false;
        const found = changed(run);
        if (found !== undefined) found.run.skipped += moments;
        book.seen.counted(counting, moments);
        return true;
      }),
    openRuns: async () => await Promise.resolve([...open.values()].map(show)),
    changeRun: async (id, to) => await change(() => void (open.has(id) && Object.assign(changed(id)!.run, to))),
    movePart: async (was, to) =>
      await change(() => {
        const part = open.get(was.run)?.parts.find(({ set_id }) => set_id === was.set_id);
        if (part?.state !== was.state || part.attempt !== was.attempt) return false;
        changed(was.run);
        Object.assign(part, to);
        return true;
      }),
    endRun: async (id, end, counting, following) =>
      await change(() => {
        const found = open.get(id);
        if (found === undefined) return false;
        open.delete(id);
        byPolicy.delete(found.run.policy);
        if (counting !== null && count(counting)) book.seen.counted(counting, 0);
        book.seen.ended({ ...found.run, ...end }, found.parts);
        for (const next of following) if (!insert(next)) changed(byPolicy.get(next.run.policy)!)!.run.skipped++;
        return true;
      }),
  };
  return book;
}

type Next = { readonly at: number; readonly id: string };

/** The earliest first. What was put in twice or is out of date is the caller's to see. */
function nextHeap() {
  const all: Next[] = [];
  const swap = (a: number, b: number): void => void ([all[a], all[b]] = [all[b]!, all[a]!]);
  return {
    first: (): Next | undefined => all[0],
    add(at: number, id: string): void {
      all.push({ at, id });
      for (let here = all.length - 1; here > 0 && all[(here - 1) >> 1]!.at > all[here]!.at; here = (here - 1) >> 1) swap(here, (here - 1) >> 1);
    },
    take(): void {
      const last = all.pop()!;
      if (all.length === 0) return;
      all[0] = last;
      for (let here = 0; ; ) {
        const [left, right] = [2 * here + 1, 2 * here + 2];
        const least = [here, left, right].filter((at) => at < all.length).reduce((a, b) => (all[b]!.at < all[a]!.at ? b : a));
        if (least === here) return;
        swap(here, least);
        here = least;
      }
    },
  };
}
