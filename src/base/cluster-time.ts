/** A moment in a replica set's history: seconds since 1970, then the order within that second. */
export type ClusterTime = { readonly t: number; readonly i: number };

/** A cluster time with the election term of the primary that wrote it. */
export type Optime = ClusterTime & { readonly term: number };

/** Without the term of an optime. */
export function timeOf({ t, i }: ClusterTime): ClusterTime {
  return { t, i };
}

export function compareTimes(a: ClusterTime, b: ClusterTime): number {
  return a.t !== b.t ? a.t - b.t : a.i - b.i;
}

export function sameTime(a: ClusterTime, b: ClusterTime): boolean {
  return a.t === b.t && a.i === b.i;
}

export function earliest(a: ClusterTime, b: ClusterTime): ClusterTime {
  return compareTimes(a, b) <= 0 ? a : b;
}

export function latest(a: ClusterTime, b: ClusterTime): ClusterTime {
  return compareTimes(a, b) >= 0 ? a : b;
}

/** `1795464567,96`: what operators type and read. */
export function showTime(time: ClusterTime): string {
  return `${time.t},${time.i}`;
}

/** A second is asked for as its last ordinal, which no entry has: that second, which may be typed as well. */
export function sayTime(time: ClusterTime): string {
  return time.i === 0xffffffff ? isoSecond(time) : showTime(time);
}

/** The same with the time of the day: `1795464567,96 (2026-11-23T20:09:27Z)`. */
export function sayTimeInFull(time: ClusterTime): string {
  return time.i === 0xffffffff ? isoSecond(time) : `${showTime(time)} (${isoSecond(time)})`;
}

const isoSecond = ({ t }: ClusterTime): string => new Date(t * 1000).toISOString().replace('.000Z', 'Z');

export function parseTime(text: string): ClusterTime | undefined {
  const match = /^(\d{1,10}),(\d{1,10})$/.exec(text);
  if (match === null) return undefined;
  const time = { t: Number(match[1]), i: Number(match[2]) };
  return time.t <= 0xffffffff && time.i <= 0xffffffff ? time : undefined;
}

/** Sixteen hex digits that sort as the times do: for names in storage. */
export function timeKey(time: ClusterTime): string {
  return time.t.toString(16).padStart(8, '0') + time.i.toString(16).padStart(8, '0');
}

export function timeFromKey(key: string): ClusterTime {
  return { t: Number.parseInt(key.slice(0, 8), 16), i: Number.parseInt(key.slice(8, 16), 16) };
}
