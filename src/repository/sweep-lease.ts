/** One sweep or tending of an archive at a time, also against one that is only slow. The leases of the dead are broken on the way. */
import type { Clock } from '../base/clock.ts';
import type { ArchiveParts } from './archive-parts.ts';
import { sweepRunning } from './failures.ts';
import { breakLease, isHeld, listLeases, takeLease, type Lease, type LeaseState } from './lease.ts';

export async function withSweepLease<T>(parts: ArchiveParts, clock: Clock, work: (lease: Lease, leases: () => Promise<LeaseState[]>) => Promise<T>): Promise<T> {
  const leaseParts = { storage: parts.storage, names: parts.names, objectKey: parts.keys.object, clock };
  const leases = async (): Promise<LeaseState[]> => await listLeases(leaseParts);
  const lease = await takeLease(leaseParts, 'sweep');
  try {
    for (const other of await leases()) {
      if (other.name === lease.name) continue;
      if (!(await isHeld(other, clock))) await breakLease(parts.storage, other);
      else if (other.kind === 'sweep') throw sweepRunning({ setId: parts.setId });
    }
    return await work(lease, leases);
  } finally {
    await lease.release();
  }
}
