/**
 * Faults that befall a session, one at a time, and what it may say of each. Whatever is inflicted is taken back when the
 * session has ended, so that each trial begins with a platform that lacks nothing.
 */
import { readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { requireProgram } from '../../src/base/child-process.ts';
import type { Platform } from '../../test/kit/platform.ts';
import type { ReplicaSet, SetMember } from '../../test/kit/replica-set.ts';
import type { Random } from '../bench/random.ts';
import { cutPort } from './cut-port.ts';

export type Bed = { readonly platform: Platform; readonly set: ReplicaSet; readonly random: Random; /** Of the repository, on a file system of its own. */ readonly place: string; /** That file system. */ readonly volume: string };

export type Fault = {
  readonly name: string;
  /** Takes it back; undefined: there was nothing to strike. */
  inflict(bed: Bed): Promise<(() => Promise<void>) | undefined>;
  /** What a failure has to say, in its code, message or hint; null: no session may fail of it. */
  readonly says: RegExp | null;
  /** It stays in the repository until the trial is judged, and a session that reads it has to fail. */
  readonly damages?: true;
};

export const FAULTS: readonly Fault[] = [
  { name: 'nothing', says: null, inflict: async () => await Promise.resolve(async () => await Promise.resolve()) },
  { name: 'the mover is killed', says: /mover|task/i, inflict: async ({ platform }) => await killed(platform, 'mover') },
  { name: 'the transport is killed', says: /transport|mover|task/i, inflict: async ({ platform }) => await killed(platform, 'transport') },
  { name: 'the server is killed', says: /server|transport|mover|task/i, inflict: async ({ platform }) => await killed(platform, 'server') },
  { name: 'the mount is killed', says: /mount|mongod/i, inflict: async ({ platform }) => await killed(platform, 'mount') },
  { name: 'the guardian of a lock is killed', says: /guardian|lock|mover|task/i, inflict: async ({ platform }) => await killed(platform, 'guardian') },
  { name: 'a secondary is killed', says: /member|mongod|connection|copy|127\.0\.0\.1/i, inflict: async ({ set, random }) => await memberKilled(set, random.pick(await set.secondaries())) },
  { name: 'the primary is killed', says: /member|mongod|connection|copy|127\.0\.0\.1/i, inflict: async ({ set }) => await memberKilled(set, await set.primary()) },
  {
    name: 'the primary steps down',
    says: null,
    inflict: async ({ set }) => {
      await set.stepDown();
      return async () => await set.settled();
    },
  },
  { name: 'a member stands still for four seconds', says: null, inflict: async ({ set, random }) => await stopped([random.pick(set.members).pid], 4_000) },
  { name: 'the mover stands still for four seconds', says: null, inflict: async ({ platform }) => await stopped(platform.pids('mover'), 4_000) },
  // Longer than a link may be silent.
  { name: 'the transport stands still for half a minute', says: null, inflict: async ({ platform }) => await stopped(platform.pids('transport'), 32_000) },
  { name: 'the server stands still for half a minute', says: null, inflict: async ({ platform }) => await stopped(platform.pids('server'), 32_000) },
  { name: 'the cable to the transport is cut for forty seconds', says: null, inflict: async ({ platform }) => await cutPort(platform.transportPort, 40_000) },
  { name: 'the cable to a member is cut for four seconds', says: null, inflict: async ({ set, random }) => await cutPort(random.pick(set.members).port, 4_000) },
  { name: 'the repository is full', says: /space|room|full|free/i, inflict: async ({ volume }) => await filled(volume) },
  { name: 'a pack is damaged', says: /damage|differ|pack|frame|chunk/i, damages: true, inflict: async ({ place, random }) => await flipped(packOf(place, random), random) },
  { name: 'a pack is lost', says: /missing|gone|not there|pack|chunk/i, damages: true, inflict: async ({ place, random }) => await lost(packOf(place, random)) },
];

async function killed(platform: Platform, part: string): Promise<(() => Promise<void>) | undefined> {
  const pids = platform.pids(part);
  for (const pid of pids) signal(pid, 'SIGKILL');
  return await Promise.resolve(pids.length === 0 ? undefined : async () => await Promise.resolve());
}

async function memberKilled(set: ReplicaSet, member: SetMember): Promise<() => Promise<void>> {
  await member.kill9();
  return async () => {
    await member.restart();
    await set.settled();
  };
}

async function stopped(pids: readonly number[], ms: number): Promise<(() => Promise<void>) | undefined> {
  if (pids.length === 0) return undefined;
  for (const pid of pids) signal(pid, 'SIGSTOP');
  const over = new Promise<void>((resolve) => {
    setTimeout(() => {
      for (const pid of pids) signal(pid, 'SIGCONT');
      resolve();
    }, ms);
  });
  return await Promise.resolve(async () => await over);
}

/** Up to its last block, with a file of somebody else's. */
async function filled(volume: string): Promise<() => Promise<void>> {
  const filler = join(volume, 'filler');
  await requireProgram('dd', ['if=/dev/zero', `of=${filler}`, 'bs=64k', 'status=none'], { deadlineMs: 60_000 }).catch(() => undefined);
  return async () => await Promise.resolve(rmSync(filler, { force: true }));
}

function packOf(place: string, random: Random): string | undefined {
  const packs = readdirSync(place, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile() && /\/packs(\/|$)/.test(entry.parentPath));
  if (packs.length === 0) return undefined;
  const pack = random.pick(packs);
  return join(pack.parentPath, pack.name);
}

async function flipped(path: string | undefined, random: Random): Promise<(() => Promise<void>) | undefined> {
  if (path === undefined) return undefined;
  const at = random.int(statSync(path).size);
  const turn = async (): Promise<void> => {
    await using file = await open(path, 'r+');
    const byte = Buffer.alloc(1);
    await file.read(byte, 0, 1, at);
    byte[0]! ^= 0xff;
    await file.write(byte, 0, 1, at);
  };
  await turn();
  return turn;
}

async function lost(path: string | undefined): Promise<(() => Promise<void>) | undefined> {
  if (path === undefined) return undefined;
  renameSync(path, `${path}.away`);
  return await Promise.resolve(async () => await Promise.resolve(renameSync(`${path}.away`, path)));
}

function signal(pid: number, name: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
  try {
    process.kill(pid, name);
  } catch {
    // It has just ended by itself.
  }
}
