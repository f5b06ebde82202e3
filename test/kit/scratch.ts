import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';

/** Where a test writes that does not ask how fast a disk syncs: memory, where there is any. */
export const scratch = existsSync('/dev/shm') ? '/dev/shm' : tmpdir();
