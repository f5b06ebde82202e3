/** Rights of a folder on Windows. In Wine icacls does nothing and says that it was done. */
import { join } from 'node:path';
import { requireProgram } from './child-process.ts';

/** The folder is the system's and administrators' from here on: what it has inherited of others is taken away. */
export async function keepFromOthers(folder: string, systemRoot: string): Promise<void> {
  const [system, administrators] = ['*S-1-5-18:(OI)(CI)F', '*S-1-5-32-544:(OI)(CI)F'];
  await requireProgram(join(systemRoot, 'System32', 'icacls.exe'), [folder, '/inheritance:r', '/grant:r', system, administrators], { deadlineMs: 60_000 });
}
