/** What befalls the platform, the set and the server that keeps the archive: kills without warning, and elections. */
import type { Platform } from '../../test/kit/platform.ts';
import type { ReplicaSet } from '../../test/kit/replica-set.ts';
import type { Random } from '../bench/random.ts';
import type { Place } from './place.ts';

export const BLOWS = ['mover', 'transport', 'server', 'primary', 'secondary', 'step-down'] as const;
export type Blow = (typeof BLOWS)[number] | 'storage';

/** Strikes once; answers whether there was anything to strike. The set is whole again when it resolves. */
export async function strike(blow: Blow, { platform, set, place }: { platform: Platform; set: ReplicaSet; place: Place }, random: Random): Promise<boolean> {
  switch (blow) {
    case 'mover':
    case 'transport':
    case 'server':
      return killOne(platform.pids(blow), random);
    case 'primary':
      return await killMember(set, await set.primary(), random);
    case 'secondary': {
      const secondaries = await set.secondaries();
      return secondaries.length === 0 ? false : await killMember(set, random.pick(secondaries), random);
    }
    case 'storage':
      if (place.strike === undefined) return false;
      await place.strike();
      return true;
    case 'step-down':
      await set.stepDown();
      return true;
    default:
      throw new Error(`unknown blow ${String(blow satisfies never)}`);
  }
}

function killOne(pids: readonly number[], random: Random): boolean {
  if (pids.length === 0) return false;
  try {
    process.kill(random.pick(pids), 'SIGKILL');
    return true;
  } catch {
    return false;
  }
}

async function killMember(set: ReplicaSet, member: ReplicaSet['members'][number], random: Random): Promise<boolean> {
  await member.kill9();
  await new Promise((resolve) => setTimeout(resolve, 300 + random.int(2_000)));
  await member.restart();
  await set.settled();
  return true;
}
