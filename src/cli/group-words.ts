/** The words of `group add` and `group edit` as the contract has them. */
import type { DeploymentWish, GroupOptions, RescanSchedule } from '../contract/groups.ts';
import { listOf, textOf, type Invocation } from './command.ts';
import { hoursFrom, timeOfDay, usageOf, type Hours } from './numbers.ts';

type Words = Pick<Invocation, 'command' | 'args' | 'options'>;

const allDays = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const;

/** Only what was given. */
export function settingsOf(words: Words): Partial<GroupOptions> {
  const schedule = scheduleOf(words);
  const [credential, timeZone] = [textOf(words, 'credential'), textOf(words, 'timeZone')];
  const [install, update, newMembers] = [textOf(words, 'installServices'), textOf(words, 'updateServices'), textOf(words, 'newMembers')];
  return {
    ...(schedule !== undefined && { schedule }),
    ...(timeZone !== undefined && { timeZone }),
    ...(credential !== undefined && { hostCredential: credential === 'kit' ? null : credential }),
    ...(install !== undefined && { installServices: install === 'on' }),
    ...(update !== undefined && { updateServices: update === 'on' }),
    ...(newMembers !== undefined && { newMembers: newMembers as GroupOptions['newMembers'] }),
  };
}

function scheduleOf(words: Words): RescanSchedule | undefined {
  const when = textOf(words, 'schedule');
  const [days, hours] = [daysOf(words), hoursOf(words)];
  if (when === undefined) {
    if (days !== undefined || hours !== undefined) throw usageOf(words, '--days and --hours need --schedule');
    return undefined;
  }
  const every = /^every (\d{1,4})([mh])$/.exec(when);
  if (days !== undefined && !timeOfDay.test(when)) throw usageOf(words, '--days goes with a time of the day');
  if (hours !== undefined && every === null) throw usageOf(words, '--hours goes with "every"');
  if (when === 'off') return { kind: 'off' };
  if (timeOfDay.test(when)) return { kind: 'daily', at: when, days: days ?? [...allDays] };
  const minutes = Number(every?.[1] ?? 0) * (every?.[2] === 'h' ? 60 : 1);
  if (minutes < 1 || minutes > 1440) throw usageOf(words, `--schedule takes off, a time such as 21:00, or "every 30m" or "every 4h" up to a day, not "${when}"`);
  return { kind: 'every', minutes, hours: hours ?? null };
}

function daysOf(words: Words): (typeof allDays)[number][] | undefined {
  const given = textOf(words, 'days')?.split(',').map((day) => day.trim().toLowerCase());
  const wrong = given?.find((day) => !allDays.some((known) => known === day));
  if (wrong !== undefined) throw usageOf(words, `--days takes ${allDays.join(',')}, not "${wrong}"`);
  return given === undefined ? undefined : allDays.filter((day) => given.includes(day));
}

function hoursOf(words: Words): Hours | undefined {
  const text = textOf(words, 'hours');
  if (text === undefined) return undefined;
  const hours = hoursFrom(text);
  if (hours === undefined) throw usageOf(words, `--hours takes HH:MM-HH:MM, not "${text}"`);
  return hours;
}

/** `db1`, `db1:27101`, `[fd00::1]:27101` or `fd00::1`. */
export function deploymentsOf(words: Words, option: 'set' | 'addSet'): DeploymentWish[] {
  const credential = textOf(words, 'databaseCredential') ?? null;
  const given = listOf(words, option);
  if (given.length === 0 && credential !== null) throw usageOf(words, '--database-credential goes with the sets that are added');
  return given.map((text) => {
    const match = /^\[([0-9A-Fa-f:.%]+)\](?::(\d{1,5}))?$/.exec(text) ?? /^([^:[\]\s]+)(?::(\d{1,5}))?$/.exec(text) ?? /^([0-9A-Fa-f]*:[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*)$/.exec(text);
    const port = Number(match?.[2] ?? 27_017);
    if (match === null || port < 1 || port > 65_535) throw usageOf(words, `"${text}" is not HOST or HOST:PORT`);
    return { host: match[1]!, port, credential };
  });
}
