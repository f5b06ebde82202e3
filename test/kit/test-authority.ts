/** An authority for a test, in a directory that goes with it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import type { LinkIdentity, Part } from '../../src/contract/link/trust.ts';
import { openAuthority } from '../../src/server/authority.ts';

export type TestAuthority = AsyncDisposable & {
  readonly directory: string;
  issue(part: Part, name: string, hosts?: readonly string[]): Promise<LinkIdentity>;
};

export async function openTestAuthority(): Promise<TestAuthority> {
  const directory = await mkdtemp(join(tmpdir(), 'tm-authority-'));
  const authority = await openAuthority(directory, systemClock, async () => {});
  return {
    directory,
    async issue(part, name, hosts = ['127.0.0.1']) {
      const { keyPem, certificatePem, caPem } = await authority.issue({ part, name, hosts });
      return { keyPem, certificatePem, caPem };
    },
    [Symbol.asyncDispose]: async () => await rm(directory, { recursive: true, force: true }),
  };
}
