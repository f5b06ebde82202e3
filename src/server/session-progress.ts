import type * as z from 'zod';
import type { TaskEvent } from '../contract/tasks.ts';
import type { sessionProgress } from '../contract/sessions.ts';

export type SessionProgress = z.infer<typeof sessionProgress>;
type TaskProgress = Extract<TaskEvent, { kind: 'progress' }>;

const overMs = 10_000;

/** Reckons rate and time left from the progress of the last seconds. */
export function openProgress(): { add(event: TaskProgress): SessionProgress } {
  const samples: { atMs: number; processed: number }[] = [];
  return {
    add(event) {
      const { processed, read, transferred, stored, expected, bottleneck, atMs } = event;
      // A new task of the same session counts from the beginning again.
      if (processed < (samples.at(-1)?.processed ?? 0)) samples.length = 0;
      samples.push({ atMs, processed });
      while (samples.length > 2 && samples[0]!.atMs < atMs - overMs) samples.shift();
      const first = samples[0]!;
      const bytesPerSecond = atMs - first.atMs < 500 ? null : ((processed - first.processed) * 1000) / (atMs - first.atMs);
      const isGoing = bytesPerSecond !== null && bytesPerSecond > 0;
      const secondsLeft = expected === null || !isGoing ? null : Math.max(0, expected - processed) / bytesPerSecond;
      return { processed, read, transferred, stored, expected, bytesPerSecond, secondsLeft, bottleneck };
    },
  };
}

export type SharedProgress = { of(name: string): { add(event: TaskProgress): SessionProgress } };

/** Of tasks that run side by side: what they have done together. */
export function openSharedProgress(): SharedProgress {
  const together = openProgress();
  const last = new Map<string, TaskProgress>();
  return {
    of: (name) => ({
      add(event) {
        last.set(name, event);
        const all = [...last.values()];
        const sum = (field: 'processed' | 'read' | 'transferred' | 'stored'): number => all.reduce((total, one) => total + one[field], 0);
        const expected = all.some((one) => one.expected === null) ? null : all.reduce((total, one) => total + (one.expected ?? 0), 0);
        return together.add({ ...event, processed: sum('processed'), read: sum('read'), transferred: sum('transferred'), stored: sum('stored'), expected });
      },
    }),
  };
}
