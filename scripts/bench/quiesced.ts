import { existsSync, readdirSync, rmSync, unlinkSync } from 'node:fs';
import { join } from 'node:path';
import { requireProgram } from '../../src/base/child-process.ts';
import type { SetMember } from '../../test/kit/replica-set.ts';

/**
 * The member's files as they stand under a lock, at a path that is always the same: what a peer can back up and restore
 * from. Cloned, so it takes as long as the lock of a snapshot would; files that Tidemark leaves out are left out here too.
 */
export async function copyQuiesced(member: SetMember, to: string): Promise<void> {
  if (existsSync(to)) rmSync(to, { recursive: true });
  await using client = await member.client();
  const admin = client.db('admin');
  await admin.command({ fsync: 1 });
  await admin.command({ fsync: 1, lock: true });
  try {
    await requireProgram('cp', ['-a', '--reflink=auto', member.dbPath, to], { deadlineMs: 300_000 });
  } finally {
    await admin.command({ fsyncUnlock: 1 });
  }
  const leftOut = /^(mongod\.lock|WiredTiger\.lock|_tmp|diagnostic\.data|WiredTigerPreplog.*)$/;
  for (const directory of [to, join(to, 'journal')]) {
    for (const name of readdirSync(directory).filter((each) => leftOut.test(each) && each !== 'WiredTiger.lock')) {
      const path = join(directory, name);
      if (name === '_tmp' || name === 'diagnostic.data') rmSync(path, { recursive: true });
      else unlinkSync(path);
    }
  }
}
