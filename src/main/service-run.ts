/**
 * How a front door runs: by hand or under systemd, where its output is somebody else's and it ends by exiting; or as a
 * service of Windows, which has no output, is started and stopped by the service control manager, and says STOPPED last.
 *
 * A service of Windows believes its folder (base/own-folder.ts) before it reads or writes anything there, its log included. Why
 * it does not is written beside its programs, where only administrators write; by another account that is where its output goes, which is nowhere.
 */
import { closeSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Log } from '../base/log.ts';
import { claimFolder } from '../base/own-folder.ts';
import type { WindowsService } from '../base/windows-service.ts';

export type ServiceRun = {
  write(line: string): void;
  /** The open log, for the programs that this one starts; undefined where they share its output. */
  readonly output: number | undefined;
  /** On Windows: the manager knows of this process. Throws when its folder is not believed. */
  begin(log: Log): Promise<void>;
  ready(): void;
  exit(code: number): void;
};

const logBytes = 16 << 20;
const besidePrograms = join(dirname(fileURLToPath(import.meta.url)), '../../refused.log');

export function openServiceRun(options: { service: string | undefined; logFile: string | undefined; /** Where its settings, keys and log are. */ home: string | undefined; onStop: () => void; refusedLog?: string }): ServiceRun {
  const { service: name, home, refusedLog = besidePrograms } = options;
  const refusal = name === undefined || home === undefined ? undefined : whyNotOurs(home);
  const output = refusal !== undefined ? ifAllowed(() => openSync(refusedLog, 'w')) : options.logFile === undefined ? undefined : openLogFile(options.logFile);
  if (name !== undefined && refusal === undefined) ifAllowed(() => rmSync(refusedLog, { force: true }));
  let service: WindowsService | undefined;
  return {
    output,
    write: (line) => void (output === undefined ? process.stderr.write(line) : writeSync(output, line)),
    async begin(log) {
      if (name === undefined) return;
      const { openWindowsService, restartWhenItEnds } = await import('../base/windows-service.ts');
      service = await openWindowsService(name, options.onStop);
      if (refusal !== undefined) throw refusal;
      if (!restartWhenItEnds(name)) log.warn('Windows does not let this service say that it is to be started again when it ends');
    },
    ready: () => service?.running(),
    exit(code) {
      if (output !== undefined) closeSync(output);
      if (service === undefined) process.exit(code);
      service.ended(code);
    },
  };
}

function whyNotOurs(home: string): Error | undefined {
  try {
    claimFolder(home);
    return undefined;
  } catch (error) {
    return error as Error;
  }
}

/** An account that may not write beside the programs starts, or fails, all the same. */
function ifAllowed<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}

/** The file of the start before is kept beside it once it is large. */
function openLogFile(path: string): number {
  mkdirSync(dirname(path), { recursive: true });
  if ((statSync(path, { throwIfNoEntry: false })?.size ?? 0) > logBytes) renameSync(path, `${path}.old`);
  return openSync(path, 'a');
}
