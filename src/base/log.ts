import { systemClock, type Clock } from './clock.ts';

export type LogFields = Record<string, string | number | boolean | null | undefined>;

/** One JSON object for each line. `with` adds fields, such as a session id, to every line that follows. */
export type Log = {
  info(message: string, fields?: LogFields): void;
  warn(message: string, fields?: LogFields): void;
  error(message: string, fields?: LogFields): void;
  with(fields: LogFields): Log;
};

export function openLog(write: (line: string) => void, fields: LogFields = {}, clock: Clock = systemClock): Log {
  const line = (level: string) => (message: string, more?: LogFields) =>
    write(JSON.stringify({ at: new Date(clock.now()).toISOString(), level, ...fields, ...more, message }) + '\n');
  return {
    info: line('info'),
    warn: line('warn'),
    error: line('error'),
    with: (more) => openLog(write, { ...fields, ...more }, clock),
  };
}

export const silentLog: Log = openLog(() => {});
