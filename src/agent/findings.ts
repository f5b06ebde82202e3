/** What this host has and lacks for Tidemark's work, each with its consequence in words. */
import { access, constants, readFile, readdir, readlink, statfs } from 'node:fs/promises';
import { versionOfBinary } from '../mongo/binary.ts';
import { whyNotExecuted } from '../mongo/binary-trust.ts';

export type Finding = { readonly what: string; readonly ok: boolean; readonly says: string };

export async function findings(workDirectory: string): Promise<Finding[]> {
  if (process.platform === 'win32') return [{ what: 'rights', ok: true, says: 'a service of Windows: it keeps repositories and is a gateway to shares; sets are backed up by hosts with Linux' }, await space(workDirectory)];
  return [await fuse(), await userNamespaces(), ...(await mongods()), await space(workDirectory), await rights(), await clock()];
}

async function fuse(): Promise<Finding> {
  const usable = await access('/dev/fuse', constants.R_OK | constants.W_OK).then(() => true, () => false);
  const says = usable ? '/dev/fuse can be opened: points are mounted' : '/dev/fuse cannot be opened: points are laid down as files instead, slower, same results';
  return { what: 'mount', ok: usable, says };
}

async function userNamespaces(): Promise<Finding> {
  const count = Number(await readFile('/proc/sys/user/max_user_namespaces', 'utf8').catch(() => '0'));
  const says = count > 0 ? `${count} user namespaces are allowed` : 'user namespaces are not allowed: without root, points are laid down as files';
  return { what: 'user namespaces', ok: count > 0, says };
}

/** Every running mongod that this process may look at. */
async function mongods(): Promise<Finding[]> {
  const found: Finding[] = [];
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    const binary = await readlink(`/proc/${pid}/exe`).catch(() => '');
    if (!binary.endsWith('/mongod')) continue;
    const why = await whyNotExecuted(binary);
    if (why !== undefined) {
      found.push({ what: 'mongod', ok: false, says: `pid ${pid} runs from ${binary}, which is not executed by root: ${why}. Restores need a mongod that only root can write, such as /usr/bin/mongod` });
      continue;
    }
    const version = (await versionOfBinary(binary)) ?? 'of unknown version';
    found.push({ what: 'mongod', ok: true, says: `mongod ${version} runs as pid ${pid} from ${binary}` });
  }
  return found.length > 0 ? found : [{ what: 'mongod', ok: false, says: 'no mongod runs here: sets on other hosts need a transport service there' }];
}

async function space(directory: string): Promise<Finding> {
  const { bavail, bsize } = await statfs(directory);
  const gigabytes = (bavail * bsize) / 1e9;
  return { what: 'space', ok: gigabytes > 1, says: `${gigabytes.toFixed(1)} GB free in ${directory}` };
}

async function rights(): Promise<Finding> {
  const status = await readFile('/proc/self/status', 'utf8');
  const root = /^Uid:\s+0\s/m.test(status);
  return { what: 'rights', ok: root, says: root ? 'runs as root: every data directory can be read' : 'does not run as root: it reads only data directories that its user may read' };
}

async function clock(): Promise<Finding> {
  const source = await readFile('/sys/devices/system/clocksource/clocksource0/current_clocksource', 'utf8').catch(() => 'unknown');
  return { what: 'clock', ok: true, says: `source ${source.trim()}` };
}
