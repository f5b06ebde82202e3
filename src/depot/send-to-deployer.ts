import { open } from 'node:fs/promises';
import type * as z from 'zod';
import type { sendQuestion, sent } from '../contract/depot.ts';
import { dialOrders } from '../contract/link/dial.ts';
import { admitHost, type LinkIdentity } from '../contract/link/trust.ts';
import { sendPackage } from '../contract/send-package.ts';
import { packageUnknown } from './failures.ts';
import type { StoredPackage } from './package-store.ts';

/** Dials the deployer of one host and brings it what it lacks of a package. Installing is the server's order alone. */
export async function sendToDeployer({ manifest, signed, file }: StoredPackage, to: z.infer<typeof sendQuestion>, as: { identity: LinkIdentity; version: string }): Promise<z.infer<typeof sent>> {
  const deployer = await dialOrders({ host: to.address, port: to.port, admit: admitHost('deployer', to.host), ...as });
  try {
    await using archive = await open(file);
    await sendPackage(deployer, signed, async (from, length) => {
      const { buffer, bytesRead } = await archive.read(Buffer.alloc(length), 0, length, from);
      if (bytesRead === 0) throw packageUnknown({ what: `whole ${manifest.name} ${manifest.version}: its archive is shorter than its manifest says` });
      return buffer.subarray(0, bytesRead);
    });
  } finally {
    deployer.close();
  }
  return { bytes: manifest.bytes };
}
