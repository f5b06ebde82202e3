/** What /proc tells of a process: the sockets it listens on, its open files, its mounts. Linux only. */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';

export function processIds(): number[] {
  return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number);
}

export function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

export function readLink(path: string): string | undefined {
  try {
    return readlinkSync(path);
  } catch {
    return undefined;
  }
}

/** Targets of the process's open descriptors: paths, `socket:[inode]` and others. Empty without the right to look. */
export function openFiles(pid: number): string[] {
  try {
    return readdirSync(`/proc/${pid}/fd`).flatMap((fd) => readLink(`/proc/${pid}/fd/${fd}`) ?? []);
  } catch {
    return [];
  }
}

/** Inodes of the sockets that listen on a port in the network namespace of the process. */
export function listeningInodes(pid: number, port: number): string[] {
  const hexPort = port.toString(16).toUpperCase().padStart(4, '0');
  return ['tcp', 'tcp6'].flatMap((name) => parseListening(readText(`/proc/${pid}/net/${name}`) ?? '', hexPort));
}

/** Lines of /proc/net/tcp: `sl local_address rem_address st ... inode`; state 0A is LISTEN. */
export function parseListening(table: string, hexPort: string): string[] {
  return table.split('\n').slice(1).flatMap((line) => {
    const fields = line.trim().split(/\s+/);
    return fields[3] === '0A' && fields[1]?.endsWith(`:${hexPort}`) === true && fields[9] !== undefined ? [fields[9]] : [];
  });
}

/** Whether the process has one of its own sockets listening on the port. */
export function listensOn(pid: number, port: number): boolean {
  const inodes = new Set(listeningInodes(pid, port).map((inode) => `socket:[${inode}]`));
  return inodes.size > 0 && openFiles(pid).some((target) => inodes.has(target));
}

export type MountedAt = { readonly mountPoint: string; readonly fileSystem: string; readonly device: string; readonly source: string; readonly readOnly: boolean };

/** The mount that holds a path, in the mount namespace of a process. */
export function mountOf(pid: number | 'self', path: string): MountedAt | undefined {
  return holding(parseMounts(readText(`/proc/${pid}/mountinfo`) ?? ''), path);
}

/** A later mount on the same place hides an earlier one. */
export function holding(mounts: readonly MountedAt[], path: string): MountedAt | undefined {
  let best: MountedAt | undefined;
  for (const mount of mounts) {
    const under = mount.mountPoint === '/' || path === mount.mountPoint || path.startsWith(`${mount.mountPoint}/`);
    if (under && (best === undefined || mount.mountPoint.length >= best.mountPoint.length)) best = mount;
  }
  return best;
}

/** Lines of mountinfo: `id parent major:minor root mountpoint options [optional]* - type source superoptions`. */
export function parseMounts(text: string): MountedAt[] {
  return text.split('\n').flatMap((line) => {
    const [left, right] = line.split(' - ');
    const before = left?.split(' ') ?? [];
    const after = right?.split(' ') ?? [];
    if (before.length < 6 || after.length < 2) return [];
    return [{ mountPoint: unescape(before[4]!), fileSystem: after[0]!, device: before[2]!, source: unescape(after[1]!), readOnly: before[5]!.split(',').includes('ro') }];
  });
}

/** Spaces and the like are written as octal. */
function unescape(text: string): string {
  return text.replace(/\\([0-7]{3})/g, (_, octal: string) => String.fromCharCode(Number.parseInt(octal, 8)));
}

/** Effective user and group. */
export function ownerOf(pid: number): { uid: number; gid: number } {
  const status = readText(`/proc/${pid}/status`) ?? '';
  const field = (name: string): number => Number(new RegExp(`^${name}:\\s+\\d+\\s+(\\d+)`, 'm').exec(status)?.[1] ?? -1);
  return { uid: field('Uid'), gid: field('Gid') };
}

/** The pid that the process has in its own namespace: what mongod itself reports. */
export function innermostPid(pid: number): number {
  const line = /^NSpid:\s+(.*)$/m.exec(readText(`/proc/${pid}/status`) ?? '')?.[1];
  return Number(line?.trim().split(/\s+/).at(-1) ?? pid);
}
