/** Who holds a lease, well enough to tell on the same machine that the holder is dead. */
import { readFile, readlink } from 'node:fs/promises';

export type Holder = { readonly boot: string; readonly pidSpace: string; readonly pid: number; readonly started: string };

async function readStart(pid: number): Promise<string | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => undefined);
  // Field 22, counted from behind the name, which may contain spaces and brackets.
  return text?.slice(text.lastIndexOf(')') + 2).split(' ')[19];
}

async function here(): Promise<{ boot: string; pidSpace: string } | undefined> {
  try {
    return { boot: (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim(), pidSpace: await readlink('/proc/self/ns/pid') };
  } catch {
    return undefined;
  }
}

export async function thisHolder(): Promise<Holder | undefined> {
  const place = await here();
  const started = await readStart(process.pid);
  return place === undefined || started === undefined ? undefined : { ...place, pid: process.pid, started };
}

/** True only when the holder ran on this machine, in this process space, since this boot, and runs no more. */
export async function isDead(holder: Holder | undefined): Promise<boolean> {
  const place = await here();
  if (holder === undefined || place === undefined) return false;
  if (holder.boot !== place.boot || holder.pidSpace !== place.pidSpace) return false;
  return (await readStart(holder.pid)) !== holder.started;
}
