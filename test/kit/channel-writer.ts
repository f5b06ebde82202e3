/** A process that works over a data channel until it is killed: takes a lease, signs a chain, publishes one object and goes on with another. Its job comes over the pipe. */
import { openChannelStorage } from '../../src/mover/channel-storage.ts';
import type { LinkIdentity } from '../../src/contract/link/trust.ts';
import type { ChannelLocation } from '../../src/contract/values.ts';

export type WriterJob = { location: ChannelLocation; identity: LinkIdentity; root: string };

async function work({ location, identity, root }: WriterJob): Promise<void> {
  const storage = await openChannelStorage(location, async () => identity);
  await storage.put(`${root}/leases/writer-1`, Buffer.from('here'), 'replace');
  await storage.put(`${root}/oplog/c1/writer`, Buffer.from('here'), 'replace');
  await storage.put(`${root}/points/p1`, Buffer.from('stays'), 'new');
  const writer = await storage.create(`${root}/packs/aa/half`);
  await writer.append(Buffer.alloc(100_000, 1));
  process.send!('working');
  for (;;) await writer.append(Buffer.alloc(100_000, 1));
}

process.once('message', (job: WriterJob) => void work(job));
