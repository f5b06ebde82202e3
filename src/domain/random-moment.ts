import { compareTimes, earliest, type ClusterTime } from '../base/cluster-time.ts';
import { stretchOf, type WindowFacts } from './restore-choice.ts';

/**
 * The moment that lies at a share, from 0 up to 1, of all the seconds that can be had back, with gaps left out: every second is as likely
 * as any other when the share is random. Null where nothing can be had back.
 */
export function momentAtShare(window: WindowFacts, share: number): ClusterTime | null {
  const stretches = window.points.flatMap((point) => (point.proved === false ? [] : (stretchOf(window, point) ?? []))).sort((a, b) => compareTimes(a.from, b.from));
  const open: { from: number; to: ClusterTime }[] = [];
  for (const { from, to } of stretches) {
    const last = open.at(-1);
    if (last === undefined || from.t > last.to.t) open.push({ from: from.t, to });
    else if (compareTimes(to, last.to) > 0) last.to = to;
  }
  const seconds = open.reduce((sum, { from, to }) => sum + to.t - from + 1, 0);
  let left = Math.floor(share * seconds);
  for (const { from, to } of open) {
    if (left <= to.t - from) return earliest({ t: from + left, i: lastOfSecond }, to);
    left -= to.t - from + 1;
  }
  return null;
}

const lastOfSecond = 0xffffffff;
