/**
 * A process of a test that opens a share from a machine of the test's network: the place comes in on standard input, what came of
 * it goes out as one line of JSON.
 */
import { readFileSync } from 'node:fs';
import { isFailure } from '../../src/base/failure.ts';
import type { SmbLocation } from '../../src/repository/storage/location.ts';
import { openShare } from '../../src/repository/storage/smb.ts';

export type OpenerOrder = { readonly location: SmbLocation; readonly secret: string };
export type OpenerAnswer = { readonly outcome: 'stored'; readonly read: string } | { readonly outcome: 'failed'; readonly code: string; readonly message: string };

const { location, secret } = JSON.parse(readFileSync(0, 'utf8')) as OpenerOrder;
console.log(JSON.stringify(await tried()));
process.exit(0);

async function tried(): Promise<OpenerAnswer> {
  try {
    const storage = await openShare(location, secret, { create: true, retryMs: 1_000 });
    await storage.put('words', Buffer.from(`by ${location.server}`), 'replace');
    const read = Buffer.from(await storage.read('words')).toString();
    await storage.close!();
    return { outcome: 'stored', read };
  } catch (error) {
    return isFailure(error) ? { outcome: 'failed', code: error.code, message: error.message } : { outcome: 'failed', code: 'none', message: String(error) };
  }
}
