/**
 * What holds a storing or a laying down up. Each stage is told how long its work took, and how much of it can be at work at once;
 * the one that is busy for the greatest part of what it could be is the bottleneck.
 */
import { systemClock, type Clock } from '../base/clock.ts';

export type Stage = 'read' | 'work' | 'write';

export type Stages = {
  spend(stage: Stage, ms: number): void;
  timed<T>(stage: Stage, work: () => Promise<T>): Promise<T>;
  /** Of the last seconds; null where none was busy for long. */
  slowest(): Stage | null;
};

const windowMs = 2_000;
/** Whoever is busy for less waits for something else, such as a mongod. */
const leastShare = 0.25;

/** `atOnce`: for each stage how many can be at work. */
export function openStages(atOnce: Readonly<Record<Stage, number>>, clock: Clock = systemClock): Stages {
  const spent: Record<Stage, number> = { read: 0, work: 0, write: 0 };
  const names = Object.keys(spent) as Stage[];
  let sinceMs = clock.monotonicMs();
  let slowest: Stage | null = null;
  const spend = (stage: Stage, ms: number): void => void (spent[stage] += ms);
  return {
    spend,
    async timed(stage, work) {
      const startedMs = clock.monotonicMs();
      try {
        return await work();
      } finally {
        spend(stage, clock.monotonicMs() - startedMs);
      }
    },
    slowest() {
      const passedMs = clock.monotonicMs() - sinceMs;
      if (passedMs < windowMs) return slowest;
      const share = (stage: Stage): number => spent[stage] / atOnce[stage] / passedMs;
      const busiest = names.reduce((most, stage) => (share(stage) > share(most) ? stage : most));
      slowest = share(busiest) >= leastShare ? busiest : null;
      for (const stage of names) spent[stage] = 0;
      sinceMs += passedMs;
      return slowest;
    },
  };
}
