/**
 * A process that takes a copy, to be killed. Its argument is JSON; it prints a line when a pass begins ('pre', 'final') and
 * holds in the final pass until it is killed or its copy is given up.
 */
import { openLog } from '../../src/base/log.ts';
import { openClient, type MongoAddress } from '../../src/mongo/connect.ts';
import { takeCopy, type CopyMethod } from '../../src/mongo/copy/ladder.ts';

export type CopyingOptions = {
  address: MongoAddress;
  host: { host: string; port: number };
  dbPath: string;
  workDirectory: string;
  method: CopyMethod;
  lockMs?: number;
  guardianProgram: string[];
};

if (import.meta.main) {
  const { host, dbPath, ...options } = JSON.parse(process.argv[2]!) as CopyingOptions;
  await using client = await openClient(options.address, { member: host });
  const log = openLog((line) => process.stderr.write(line));
  const copy = takeCopy({ ...options, client, local: { dbPath }, keepClone: true, log, signal: new AbortController().signal }, async (_, pass, signal) => {
    process.stdout.write(`${pass}\n`);
    const held = setInterval(() => {}, 1_000);
    if (pass === 'final') await new Promise((resolve) => signal.addEventListener('abort', resolve));
    clearInterval(held);
  });
  await copy.catch((error: unknown) => process.stdout.write(`failed ${(error as Error).message}\n`));
}
