/**
 * Inserts documents whose BSON bytes must arrive as they are.
 *
 * Decoding into JavaScript objects would reorder integer-like field names and merge duplicate ones. The driver sends
 * an insert's documents as an OP_MSG "document sequence": a run of BSON documents behind the command. Its class for
 * that takes bytes, but is not part of the public API, so it is taken from the exact version that package.json pins and
 * raw-insert.test.ts proves that the bytes arrive (driver 7.9: lib/cmap/commands.js).
 */
import type { Db, Document } from 'mongodb';
import { DocumentSequence } from 'mongodb/lib/cmap/commands.js';

/** One insert command with `bytes`, which are whole BSON documents one after another, 48 MB at most. */
export async function insertRaw(db: Db, collection: string, bytes: Uint8Array, options: Document = {}): Promise<Document> {
  const documents = new DocumentSequence('documents');
  documents.push({}, bytes);
  return await db.command({ insert: collection, documents, ordered: true, ...options });
}
