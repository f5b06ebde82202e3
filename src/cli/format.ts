/** Numbers and times in words. Sizes are decimal (1 GB = 10^9 bytes), as disks and networks count. */
import { sayTime, showTime, type ClusterTime } from '../base/cluster-time.ts';

export function showBytes(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let value = bytes;
  let unit = 0;
  while (Math.abs(value) >= 999.5 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return `${unit === 0 || value >= 99.95 ? Math.round(value) : value.toFixed(1)} ${units[unit]}`;
}

export function showSeconds(seconds: number): string {
  if (seconds < 10) return `${seconds.toFixed(1)} s`;
  if (seconds < 100) return `${Math.round(seconds)} s`;
  const minutes = Math.round(seconds / 60);
  if (minutes < 100) return `${minutes} min`;
  const hours = seconds / 3600;
  return hours < 72 ? `${hours.toFixed(1)} h` : `${Math.round(hours / 24)} days`;
}

export function showCount(count: number): string {
  return String(Math.round(count)).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** `1 point`, `3 points`. */
export function plural(count: number, one: string, many = `${one}s`): string {
  return `${showCount(count)} ${count === 1 ? one : many}`;
}

/** Local time with its zone, in a form that `--at` takes: `2026-11-23T23:44:14+01:00`. */
export function showMoment(ms: number, timeZone: string): string {
  const zoned = Temporal.Instant.fromEpochMilliseconds(Math.trunc(ms)).toZonedDateTimeISO(timeZone);
  return zoned.toString({ timeZoneName: 'never', smallestUnit: 'second' }).replace(/\+00:00$/, 'Z');
}

/** Both ways of saying a moment, side by side: `2026-11-23T23:44:14+01:00 (1795473854,3)`. */
export function showClusterTime(time: ClusterTime | null, timeZone: string): string {
  if (time === null) return '–';
  const said = sayTime(time);
  return said === showTime(time) ? `${showMoment(time.t * 1000, timeZone)} (${said})` : showMoment(time.t * 1000, timeZone);
}
