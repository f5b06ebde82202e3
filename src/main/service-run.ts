/**
 * How a front door runs: by hand or under systemd, where its output is somebody else's and it ends by exiting; or as a
 * service of Windows, which has no output, is started and stopped by the service control manager, and says STOPPED last.
 */
import { closeSync, mkdirSync, openSync, renameSync, statSync, writeSync } from 'node:fs';
import { dirname } from 'node:path';
import type { Log } from '../base/log.ts';
import { keepFromOthers } from '../base/windows-rights.ts';
import type { WindowsService } from '../base/windows-service.ts';

export type ServiceRun = {
  write(line: string): void;
  /** The open log, for the programs that this one starts; undefined where they share its output. */
  readonly output: number | undefined;
  /** On Windows: the folders are the system's and administrators' alone from here on, and the manager knows of this process. */
  begin(folders: readonly string[], log: Log): Promise<void>;
  ready(): void;
  exit(code: number): void;
};

const logBytes = 16 << 20;

export function openServiceRun(options: { service: string | undefined; logFile: string | undefined; onStop: () => void }): ServiceRun {
  const output = options.logFile === undefined ? undefined : openLogFile(options.logFile);
  let service: WindowsService | undefined;
  return {
    output,
    write: (line) => void (output === undefined ? process.stderr.write(line) : writeSync(output, line)),
    async begin(folders, log) {
      if (options.service === undefined) return;
      const { openWindowsService, restartWhenItEnds } = await import('../base/windows-service.ts');
      service = await openWindowsService(options.service, options.onStop);
      // What lies in C:\ProgramData can be read by everybody who signs in, and keys of ours lie there.
      for (const folder of folders) {
        mkdirSync(folder, { recursive: true });
        await keepFromOthers(folder, 'C:\\Windows');
      }
      if (!restartWhenItEnds(options.service)) log.warn('Windows does not let this service say that it is to be started again when it ends');
    },
    ready: () => service?.running(),
    exit(code) {
      if (output !== undefined) closeSync(output);
      if (service === undefined) process.exit(code);
      service.ended(code);
    },
  };
}

/** The file of the start before is kept beside it once it is large. */
function openLogFile(path: string): number {
  mkdirSync(dirname(path), { recursive: true });
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > logBytes) renameSync(path, `${path}.old`);
  return openSync(path, 'a');
}
