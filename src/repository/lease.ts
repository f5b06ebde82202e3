/**
 * Leases: who works in an archive now.
 *
 *   held      an object leases/<kind>-<id>, written again every minute, that says until when it counts; after a renewal that failed, ten seconds later
 *   given up  deleted by its holder
 *   broken    found out of date, or from a clock that was far ahead, by a sweep, which writes leases/broken-<kind>-<id> and deletes the lease
 *
 * Times only decide when a silent holder is presumed dead; one that ran on the same machine is known to be, at once. Safety does not rest on clocks: a holder makes sure that its
 * lease was not broken after it has published (`confirm`), and a sweep breaks leases before it looks at restore points.
 * So either the sweep sees the point, or the holder sees that its lease is broken and withdraws the point. The mark is an
 * object of its own because a late renewal would bring a deleted lease back.
 *
 * A lease counts from the moment a list has it: whatever its holder lists from then on is at least as new (fresh-list.ts).
 */
import { isFailure } from '../base/failure.ts';
import { sortableId } from '../base/ids.ts';
import type { Clock } from '../base/clock.ts';
import { isOfPlace } from './damage.ts';
import { leaseLost, objectMissing } from './failures.ts';
import { awaitListed } from './fresh-list.ts';
import { isDead, thisHolder, type Holder } from './lease-holder.ts';
import { lastPart, type ObjectNames } from './object-names.ts';
import { openObject, sealObject } from './sealed-object.ts';
import type { Storage } from './storage/storage.ts';

/** Half of it may pass without a renewal: a network that is away for five minutes costs no point. */
export const leaseMs = 16 * 60_000;
const renewMs = 60_000;
/** A renewal that failed is tried again sooner: of a disk that was full, or a network that was away, nobody knows for how long. */
const retryMs = 10_000;

export type LeaseKind = 'writer' | 'sweep';
export type LeaseState = { readonly name: string; readonly kind: LeaseKind; readonly startedMs: number; readonly untilMs: number; readonly holder?: Holder };

export type Lease = {
  readonly name: string;
  /** Fails with `repository.lease-lost` when it was broken, or could not be renewed for too long. */
  confirm(): Promise<void>;
  release(): Promise<void>;
};

type Parts = { readonly storage: Storage; readonly names: ObjectNames; readonly objectKey: Uint8Array; readonly clock: Clock };

export async function takeLease({ storage, names, objectKey, clock }: Parts, kind: LeaseKind): Promise<Lease> {
  const name = names.lease(kind, sortableId(clock));
  const startedMs = clock.now();
  const holder = await thisHolder();
  const write = async (): Promise<void> => {
    const state = { startedMs, untilMs: clock.now() + leaseMs, holder };
    await storage.put(name, sealObject(objectKey, name, state), 'replace');
  };
  await write();
  await awaitListed(storage, [name], { clock }).catch(async (error: unknown) => {
    await storage.delete(name).catch(() => {});
    throw error;
  });
  let renewedAt = clock.monotonicMs();
  const ended = new AbortController();
  let renewing = Promise.resolve();
  const renew = async (): Promise<void> => {
    for (let waitMs = renewMs; ; ) {
      await clock.wait(waitMs, ended.signal);
      try {
        if ((await storage.stat(brokenName(name))) !== undefined) return;
        await write();
        renewedAt = clock.monotonicMs();
        waitMs = renewMs;
      } catch {
        // Whether it lasted too long is for whoever confirms.
        waitMs = retryMs;
      }
    }
  };
  renewing = renew().catch(() => {});
  return {
    name,
    async confirm() {
      const silentMs = clock.monotonicMs() - renewedAt;
      if (silentMs > leaseMs / 2 || (await storage.stat(brokenName(name))) !== undefined) throw leaseLost({ what: `the ${kind}` });
    },
    async release() {
      ended.abort(new Error('released'));
      await renewing;
      await storage.delete(name);
    },
  };
}

const brokenMark = 'broken-';
const brokenKeptMs = 30 * 86_400_000;

function brokenName(lease: string): string {
  const part = lastPart(lease);
  return lease.slice(0, lease.length - part.length) + brokenMark + part;
}

/** Its holder can no longer publish. */
export async function breakLease(storage: Storage, lease: LeaseState): Promise<void> {
  await storage.put(brokenName(lease.name), new Uint8Array(0), 'replace');
  await storage.delete(lease.name);
}

const mostAheadMs = 60 * 60_000;

/** So far that a clock was wrong. */
export function isAhead(atMs: number, clock: Clock): boolean {
  return atMs - clock.now() > mostAheadMs;
}

/** Whether the holder may be working: its time has not run out, and it is not known to be dead. */
export async function mayBeAtWork(lease: LeaseState, clock: Clock): Promise<boolean> {
  return clock.now() <= lease.untilMs && !(await isDead(lease.holder));
}

/** Whether the lease counts. One from the future does not: should somebody be working all the same, he sees that it was broken. */
export async function isHeld(lease: LeaseState, clock: Clock): Promise<boolean> {
  return !isAhead(lease.untilMs - leaseMs, clock) && (await mayBeAtWork(lease, clock));
}

/** All leases there are, the out-of-date ones too. One that cannot be read, or is from the future, counts from its last writing. */
export async function listLeases({ storage, names, objectKey, clock }: Parts): Promise<LeaseState[]> {
  const found: LeaseState[] = [];
  for await (const { name, modifiedMs } of storage.list(names.leases)) {
    if (lastPart(name).startsWith(brokenMark)) {
      if (clock.now() - modifiedMs > brokenKeptMs) await storage.delete(name);
      continue;
    }
    const kind: LeaseKind = lastPart(name).startsWith('sweep-') ? 'sweep' : 'writer';
    try {
      const state = openObject(objectKey, name, await storage.read(name)) as { startedMs: number; untilMs: number; holder?: Holder };
      found.push({ name, kind, ...state, ...(isAhead(state.untilMs - leaseMs, clock) && { untilMs: modifiedMs + leaseMs }) });
    } catch (error) {
      if (isFailure(error, objectMissing)) continue;
      if (!isFailure(error) || isOfPlace(error)) throw error;
      found.push({ name, kind, startedMs: modifiedMs, untilMs: modifiedMs + leaseMs });
    }
  }
  return found;
}
