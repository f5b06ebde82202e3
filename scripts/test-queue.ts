/**
 * Test files that have machines, networks, ports and directories of their own: two at a time, and a third one while the
 * processors are idle, for most of these files wait for most of their time.
 */
import { cpus } from 'node:os';
import { setTimeout as wait } from 'node:timers/promises';
import { addTo, runFiles, type Say, type Tally } from './test-report.ts';

const always = 2;
const atMost = 3;
const lookEveryMs = 5_000;
/** Of all processors, over one look. */
const idleShare = 0.35;

export async function runQueue(root: string, files: readonly string[], say: Say): Promise<Tally> {
  const total: Tally = { passed: 0, failed: 0, skipped: 0 };
  const waiting = [...files];
  const running = new Set<Promise<void>>();
  const start = (): void => {
    const run = runFiles(root, [waiting.shift()!], 1, say).then((tally) => {
      addTo(total, tally);
      running.delete(run);
    });
    running.add(run);
  };
  const idle = watchIdleness();
  while (waiting.length > 0 || running.size > 0) {
    if (waiting.length > 0 && (running.size < always || (running.size < atMost && idle.share() > idleShare))) {
      start();
      idle.again();
      continue;
    }
    const looks = new AbortController();
    await Promise.race([...running, wait(lookEveryMs, undefined, { signal: looks.signal }).catch(() => {})]);
    looks.abort();
  }
  return total;
}

/** How idle the processors were over the last whole look; not at all before the first one. */
function watchIdleness(): { share(): number; again(): void } {
  const times = (): { idle: number; all: number; atMs: number } => {
    const each = cpus().map((cpu) => cpu.times);
    const sum = (of: (time: (typeof each)[number]) => number): number => each.reduce((before, time) => before + of(time), 0);
    return { idle: sum(({ idle }) => idle), all: sum(({ user, nice, sys, idle, irq }) => user + nice + sys + idle + irq), atMs: performance.now() };
  };
  let from = times();
  return {
    share() {
      const now = times();
      if (now.atMs - from.atMs < lookEveryMs - 50) return 0;
      const share = now.all === from.all ? 0 : (now.idle - from.idle) / (now.all - from.all);
      from = now;
      return share;
    },
    again: () => void (from = times()),
  };
}
