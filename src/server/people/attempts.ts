/** Sign-ins that came to nothing, by name and by address: each is counted before it is made, and given back when it succeeds. */
import { createHmac } from 'node:crypto';
import type { Catalog } from '../../catalog/catalog.ts';
import type { AttemptLimits } from '../../catalog/people.ts';
import type { Clock } from '../../base/clock.ts';
import type { Sealer } from '../sealing.ts';
import { tooManySignIns } from './failures.ts';

/** Of one name. */
const nameLimits: AttemptLimits = { allowed: 5, windowMs: 900_000, lockMs: 900_000 };

export type NameAttempts = {
  /** Counts one; answers until when the name is locked, or null. */
  begin(name: string): Promise<number | null>;
  giveBack(name: string): Promise<void>;
  forget(name: string): Promise<void>;
  lockedUntil(name: string): Promise<number | null>;
};

/** What attempts at an account of the directory are counted by. A typed name is trimmed, so none begins with a blank. */
export const attemptsAt = (directoryKey: string): string => ` ${directoryKey}`;

/** Kept by a keyed hash: what somebody typed as a name may be a password. */
export function openNameAttempts({ catalog, clock, sealer }: { catalog: Catalog; clock: Clock; sealer: Sealer }): NameAttempts {
  const key = sealer.keyFor('attempts');
  const kept = (name: string): string => createHmac('sha256', key).update(name).digest('hex');
  return {
    begin: async (name) => await catalog.attempts.begin(kept(name), nameLimits, clock.now()),
    giveBack: async (name) => await catalog.attempts.giveBack(kept(name)),
    forget: async (name) => await catalog.attempts.forget(kept(name)),
    async lockedUntil(name) {
      const untilMs = (await catalog.attempts.find(kept(name)))?.locked_until_ms ?? null;
      return untilMs !== null && untilMs > clock.now() ? untilMs : null;
    },
  };
}

const addressAllowed = 10;
const addressWindowMs = 900_000;

export type AddressAttempts = {
  /** Fails when the address has none left. The answered function gives this one back. */
  begin(from: string): () => void;
};

export function openAddressAttempts(clock: Clock, onRefused: (from: string) => void): AddressAttempts {
  const known = new Map<string, { count: number; endsMs: number; isTold: boolean }>();
  return {
    begin(address) {
      const from = networkOf(address);
      const nowMs = clock.monotonicMs();
      for (const [one, { endsMs }] of known) if (endsMs <= nowMs) known.delete(one);
      const row = known.get(from) ?? { count: 0, endsMs: nowMs + addressWindowMs, isTold: false };
      known.set(from, row);
      if (row.count >= addressAllowed) {
        // Once for each window: whoever floods must not fill the log as well.
        if (!row.isTold) onRefused(from);
        row.isTold = true;
        throw tooManySignIns({ seconds: Math.ceil((row.endsMs - nowMs) / 1000) });
      }
      row.count++;
      return () => void row.count--;
    },
  };
}

/** Whoever has one IPv6 address has the rest of its /64, too. */
export function networkOf(address: string): string {
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(address);
  if (mapped !== null) return mapped[1]!;
  if (!address.includes(':')) return address;
  const [before = '', after] = address.split('%', 1)[0]!.split('::');
  const head = before === '' ? [] : before.split(':');
  const tail = after === undefined || after === '' ? [] : after.split(':');
  const zeros = after === undefined ? [] : Array.from({ length: Math.max(0, 8 - head.length - tail.length) }, () => '0');
  return `${[...head, ...zeros, ...tail].slice(0, 4).join(':')}::/64`;
}
