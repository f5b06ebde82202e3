/** A distribution server for a server in a test, on its machine, with packages that are nothing but a name. */
import { createHash } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { silentLog } from '../../src/base/log.ts';
import { awaitIdentity } from '../../src/contract/link/identity-file.ts';
import { packageFile, type PackageManifest, type PackageName } from '../../src/contract/packages.ts';
import { openDepot } from '../../src/depot/depot.ts';
import { openSigningKey } from '../../src/depot/signing-key.ts';
import type { DistributionAddress } from '../../src/server/distribution.ts';
import { freePort } from './free-port.ts';

export type TestDepot = AsyncDisposable & {
  /** The deployer for Windows, in this version. */
  addForWindows(version: string, bytes: Buffer): void;
  /** Both packages for hosts, in this version. */
  add(version: string): void;
};

/** Where it will be, for a server that starts before it. */
export async function placeDepot(): Promise<DistributionAddress> {
  return { host: '127.0.0.1', apiPort: await freePort(), installerPort: await freePort(), isLocal: true };
}

/** With the identity that the server has made for it in its data directory. */
export async function openTestDepot(data: string, { host, apiPort, installerPort }: DistributionAddress): Promise<TestDepot> {
  const directory = join(data, 'depot');
  mkdirSync(join(directory, 'packages'), { recursive: true });
  const key = await openSigningKey(join(directory, 'signing.key'));
  const depot = await openDepot({ directory, identity: await awaitIdentity(join(directory, 'identity.json'), 10_000), api: { host, port: apiPort }, installer: { host, port: installerPort }, version: 'test', log: silentLog });
  const put = (name: PackageName, version: string, platform: PackageManifest['platform'] = 'linux-x64', bytes: Buffer = Buffer.from(`${name} ${version}`)): void => {
    const manifest: PackageManifest = { name, version, platform, sha256: createHash('sha256').update(bytes).digest('hex'), bytes: bytes.length, builtAt: 'now' };
    const signed = key.sign(manifest);
    const stem = join(directory, 'packages', packageFile(manifest));
    writeFileSync(`${stem}${platform === 'windows-x64' ? '.msi' : '.tar.gz'}`, bytes);
    writeFileSync(`${stem}.json.sig`, signed.signature);
    writeFileSync(`${stem}.json`, signed.manifest);
  };
  return {
    addForWindows: (version, bytes) => put('tidemark-deployer', version, 'windows-x64', bytes),
    add: (version) => (['tidemark-deployer', 'tidemark-transport'] as const).forEach((name) => put(name, version)),
    [Symbol.asyncDispose]: async () => await depot.close(),
  };
}
