import { readdirSync, readlinkSync } from 'node:fs';
import { access, constants, stat } from 'node:fs/promises';
import { runProgram } from '../base/child-process.ts';
import { whyNotExecuted } from './binary-trust.ts';
import { binaryMissing } from './failures.ts';

/**
 * A mongod that can open files written by `version`: the same major and minor, the very same version if there is one.
 * Looks at the hints first (where the copy's own mongod ran), then at running mongods and the usual places.
 */
export async function findBinary(version: string, hints: readonly string[]): Promise<string> {
  const wanted = version.split('.').slice(0, 2).join('.');
  const tried = [...new Set([...hints, ...runningBinaries(), ...USUAL, ...unpacked()])];
  let near: string | undefined;
  const refused: string[] = [];
  for (const path of tried) {
    if (!(await isExecutable(path))) continue;
    const why = await whyNotExecuted(path);
    if (why !== undefined) refused.push(`${path} is not executed by root: ${why}`);
    const found = await versionOfBinary(path);
    if (found === version) return path;
    if (found !== undefined && near === undefined && found.split('.').slice(0, 2).join('.') === wanted) near = path;
  }
  if (near === undefined) throw binaryMissing({ version: wanted, tried, refused });
  return near;
}

async function isExecutable(path: string): Promise<boolean> {
  return await access(path, constants.X_OK).then(() => true, () => false);
}

/** `6.0.5`, or undefined when it is not a mongod that runs here, or not one that root may execute. */
export async function versionOfBinary(path: string): Promise<string | undefined> {
  if (!(await isExecutable(path)) || (await whyNotExecuted(path)) !== undefined) return undefined;
  try {
    const { dev, ino, size, mtimeMs } = await stat(path);
    const file = [path, dev, ino, size, mtimeMs].join(' ');
    const version = asked.get(file) ?? (await askVersion(path));
    if (version !== undefined) asked.set(file, version);
    return version;
  } catch {
    return undefined;
  }
}

/** Starting a mongod only to ask takes a fifth of a second, and every replay asks twice. */
const asked = new Map<string, string>();

async function askVersion(path: string): Promise<string | undefined> {
  const { code, stdout } = await runProgram(path, ['--version'], { deadlineMs: 30_000 });
  return code === 0 ? /db version v(\S+)/.exec(stdout)?.[1] : undefined;
}

const USUAL = ['/usr/bin/mongod', '/usr/local/bin/mongod', '/bin/mongod', '/opt/mongodb/bin/mongod'];

function unpacked(): string[] {
  try {
    return readdirSync('/opt').map((name) => `/opt/${name}/bin/mongod`);
  } catch {
    return [];
  }
}

function runningBinaries(): string[] {
  return readdirSync('/proc').flatMap((name) => {
    if (!/^\d+$/.test(name)) return [];
    try {
      const path = readlinkSync(`/proc/${name}/exe`);
      return path.endsWith('/mongod') ? [path] : [];
    } catch {
      return [];
    }
  });
}
