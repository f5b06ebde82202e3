/** Who listens on a TCP port of this machine, from /proc: `/proc/net/tcp` names a socket, `/proc/PID/fd` its holder. */
import { readdir, readFile, readlink } from 'node:fs/promises';
import { basename } from 'node:path';

export type PortOwner = { readonly pid: number; readonly name: string };

const listening = '0A';

/** `pid 812 (nginx)`; without the right to look into other users' processes `a process of uid 33`. */
export async function sayPortOwner(port: number): Promise<string> {
  const owner = await findPortOwner(port);
  if (owner !== undefined) return `pid ${owner.pid} (${owner.name})`;
  const uid = (await listeners(port)).at(0)?.uid;
  return uid === undefined ? 'another process' : `a process of uid ${uid}`;
}

export async function findPortOwner(port: number): Promise<PortOwner | undefined> {
  const sockets = new Set((await listeners(port)).map(({ socket }) => socket));
  if (sockets.size === 0) return undefined;
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    for (const fd of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const target = await readlink(`/proc/${pid}/fd/${fd}`).catch(() => '');
      if (!sockets.has(target)) continue;
      return { pid: Number(pid), name: await nameOf(pid) };
    }
  }
  return undefined;
}

async function listeners(port: number): Promise<Listener[]> {
  const tables = await Promise.all(['/proc/net/tcp', '/proc/net/tcp6'].map((path) => readFile(path, 'utf8').catch(() => '')));
  return tables.flatMap((table) => listenersIn(table, port));
}

/** The program's name; for Node, whose threads all bear one name, with the file it runs. */
async function nameOf(pid: string): Promise<string> {
  const comm = (await readFile(`/proc/${pid}/comm`, 'utf8').catch(() => 'unknown')).trim();
  if (!comm.endsWith('MainThread')) return comm;
  const words = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).split('\0');
  const file = words.slice(1).find((word) => word !== '' && !word.startsWith('-'));
  return file === undefined ? 'node' : `node ${basename(file)}`;
}

export type Listener = { /** `socket:[inode]`, as a descriptor in /proc names it. */ readonly socket: string; readonly uid: number };

/** Every listener on the port in one of the kernel's tables. */
export function listenersIn(table: string, port: number): Listener[] {
  const hexPort = port.toString(16).toUpperCase().padStart(4, '0');
  const rows = table.split('\n').slice(1).map((line) => line.trim().split(/\s+/));
  const found = rows.filter((row) => row[1]?.endsWith(`:${hexPort}`) === true && row[3] === listening);
  return found.map((row) => ({ socket: `socket:[${row[9]}]`, uid: Number(row[7]) }));
}
