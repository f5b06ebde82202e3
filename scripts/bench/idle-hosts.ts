/**
 * Hosts that are there and do nothing, many in one process: each enrols with its kit, and then answers the server's orders over
 * a link of its own with a certificate of its own. Gets its job over IPC and answers when every host takes orders.
 */
import { join } from 'node:path';
import { joinServer } from '../../src/agent/join.ts';
import type { HostKit } from '../../src/contract/routes/hosts.ts';
import { openFakeTransport } from '../../test/kit/fake-transport.ts';

export type IdleHosts = { readonly kits: readonly HostKit[]; readonly directory: string };

/** The server takes so many enrolments at once without others waiting long. */
const AT_ONCE = 4;

process.once('message', (job: IdleHosts) => void open(job).then(() => process.send?.('ready')));
process.on('disconnect', () => process.exit(0));

async function open({ kits, directory }: IdleHosts): Promise<void> {
  const queue = kits.values();
  const lane = async (): Promise<void> => {
    for (const kit of queue) {
      const identityFile = join(directory, `${kit.host}.json`);
      await joinServer(kit, 'transport', identityFile, 'bench');
      const dial = kit.dials === 'host' ? { host: kit.server.address, port: kit.server.controlPort } : undefined;
      await openFakeTransport({ identityFile, port: kit.listen.port, dial });
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
}
