import { textOf, type Given, type Invocation } from './command.ts';
import { usage } from './failures.ts';

/** An option that is a number within bounds; undefined when it was not given. */
export function numberOf(invocation: Invocation, name: string, bounds: { from: number; to: number }): number | undefined {
  const text = textOf(invocation, name);
  if (text === undefined) return undefined;
  const value = Number(text);
  if (text.trim() !== '' && value >= bounds.from && value <= bounds.to) return value;
  throw usageOf(invocation, `${flagOf(name)} takes a number from ${bounds.from} to ${bounds.to}, not "${text}"`);
}

const secondsOf: Readonly<Record<string, number>> = { s: 1, m: 60, h: 3600, d: 86_400 };

/** `90s`, `30m`, `8h`, `2d`. */
export function durationOf(invocation: Invocation, name: string): number | undefined {
  const text = textOf(invocation, name);
  if (text === undefined) return undefined;
  const match = /^(\d{1,6})([smhd])$/.exec(text);
  if (match === null) throw usageOf(invocation, `${flagOf(name)} takes a duration such as 30m, 8h or 2d, not "${text}"`);
  return Number(match[1]) * secondsOf[match[2]!]!;
}

export const timeOfDay = /^([01]\d|2[0-3]):[0-5]\d$/;

/** `--days` and `--at` of what a repository has done to it by itself; undefined where not given. */
export function nightlyOf(invocation: Invocation, mostDays: number): { days: number | undefined; at: string | undefined } {
  const [days, at] = [numberOf(invocation, 'days', { from: 0, to: mostDays }), textOf(invocation, 'at')];
  if (days !== undefined && !Number.isInteger(days)) throw usageOf(invocation, '--days takes a whole number');
  if (at !== undefined && !timeOfDay.test(at)) throw usageOf(invocation, `--at takes HH:MM, not "${at}"`);
  return { days, at };
}

export type Hours = { readonly from: string; readonly to: string };

/** `08:00-18:00`; undefined where it is not that. */
export function hoursFrom(text: string): Hours | undefined {
  const [from = '', to = '', ...more] = text.split('-');
  return timeOfDay.test(from) && timeOfDay.test(to) && more.length === 0 ? { from, to } : undefined;
}

export function usageOf(invocation: Pick<Invocation, 'command'>, why: string): Error {
  return usage({ why, command: `tidemark ${invocation.command.name}` });
}

/** --plan is what happens anyway; both together mean that somebody is not sure. */
export function isApplied(invocation: Given & Pick<Invocation, 'command'>): boolean {
  if (invocation.options['plan'] === true && invocation.options['apply'] === true) throw usageOf(invocation, '--plan and --apply exclude each other');
  return invocation.options['apply'] === true;
}

function flagOf(name: string): string {
  return `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
