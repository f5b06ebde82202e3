/** What /proc tells of a process: the sockets it listens on, its open files, its mounts. Linux only. */
import { readFileSync, readdirSync, readlinkSync } from 'node:fs';
import { holding, parseListeners, parseMounts, type MountedAt } from '../look/proc-text.ts';

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
  const listeners = ['tcp', 'tcp6'].flatMap((name) => parseListeners(readText(`/proc/${pid}/net/${name}`) ?? ''));
  return listeners.filter((listener) => listener.port === port).map(({ inode }) => inode);
}

/** Whether the process has one of its own sockets listening on the port. */
export function listensOn(pid: number, port: number): boolean {
  const inodes = new Set(listeningInodes(pid, port).map((inode) => `socket:[${inode}]`));
  return inodes.size > 0 && openFiles(pid).some((target) => inodes.has(target));
}

/** The mount that holds a path, in the mount namespace of a process. */
export function mountOf(pid: number | 'self', path: string): MountedAt | undefined {
  return holding(parseMounts(readText(`/proc/${pid}/mountinfo`) ?? ''), path);
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
