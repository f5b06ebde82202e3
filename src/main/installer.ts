/**
 * Front door of the installer service on a Windows host: it works in the directory that its script lies in, and needs no argument.
 * There it was put by a first contact, with `contact.json`; what it has to say goes to `installer.log` beside it.
 */
import { openSync, writeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openInstaller } from '../agent/installer.ts';
import { installPackage } from '../agent/windows-packages.ts';
import { runProgram } from '../base/child-process.ts';
import { systemClock } from '../base/clock.ts';
import { describe } from '../base/failure.ts';
import { openLog } from '../base/log.ts';
import { keepFromOthers } from '../base/windows-rights.ts';
import { installerName } from '../contract/first-contact.ts';
import type { WindowsService } from '../base/windows-service.ts';

const directory = dirname(fileURLToPath(import.meta.url));
const logFile = openSync(join(directory, 'installer.log'), 'ax', 0o600);
const log = openLog((line) => writeSync(logFile, line)).with({ part: 'installer' });
const systemRoot = process.env['SystemRoot'] ?? 'C:\\Windows';
const programData = process.env['ProgramData'] ?? 'C:\\ProgramData';
const rule = ['name=Tidemark installer', 'dir=in'];

/** Windows lets nobody in by itself. What netsh says is written down: an operator may have opened the port in another way. */
async function netsh(...words: string[]): Promise<void> {
  const said = await runProgram(join(systemRoot, 'System32', 'netsh.exe'), ['advfirewall', 'firewall', ...words], { deadlineMs: 30_000, env: process.env }).catch((error: unknown) => ({ code: -1, stdout: describe(error) }));
  if (said.code !== 0) log.warn('the firewall of Windows was not changed', { words: words.join(' '), says: said.stdout.trim().slice(-200) });
}

try {
  const stopped = Promise.withResolvers<string>();
  const stop = (): void => stopped.resolve('it was told to');
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, stop);
  const service: WindowsService | undefined = process.platform === 'win32' ? await (await import('../base/windows-service.ts')).openWindowsService(installerName, stop) : undefined;
  try {
    const home = join(programData, 'Tidemark');
    const installer = await openInstaller({ directory, systemRoot, keepFromOthers: async (folder) => await keepFromOthers(folder, systemRoot), platform: 'windows-x64', home, install: async (file, manifest) => await installPackage(file, manifest, join(systemRoot, 'System32')), clock: systemClock, log });
    await netsh('add', 'rule', ...rule, 'action=allow', 'protocol=TCP', `localport=${installer.port}`);
    service?.running();
    log.info('listening', { port: installer.port });
    const why = await Promise.race([installer.ended, stopped.promise]);
    log.info('ends', { why });
    await installer.close();
    await netsh('delete', 'rule', ...rule);
    service?.ended(0);
  } catch (error) {
    log.error('the installer service could not work', { why: describe(error) });
    service?.ended(1);
    process.exit(1);
  }
  process.exit(0);
} catch (error) {
  log.error('the installer was not started as a service', { why: describe(error) });
  process.exit(1);
}
