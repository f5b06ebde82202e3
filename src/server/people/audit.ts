/**
 * The audit: who asked for what, from where, on what, and what came of it, as a chain that only the master key can make.
 *
 *   hash = HMAC-SHA-256(key, JSON of [number, at, who, from, what, on, outcome, reason, hash of the row before])
 *
 * Order: the row is committed, then the head (number and hash of the newest row) is replaced in a file beside the
 * catalog, then the answer leaves. A catalog whose last rows were cut off does not reach its head; what is written after
 * that follows the head, so that the next request does not close the gap.
 */
import { createHmac } from 'node:crypto';
import { join } from 'node:path';
import { chainStart, emptyHead, type AuditEntry, type AuditHead, type AuditRecord } from '../../catalog/audit.ts';
import type { Catalog } from '../../catalog/catalog.ts';
import type { Clock } from '../../base/clock.ts';
import { describe } from '../../base/failure.ts';
import type { Log } from '../../base/log.ts';
import type { AuditRow } from '../../contract/people.ts';
import type { Sealer } from '../sealing.ts';
import { readSecret, writeSecret } from '../secret-file.ts';

export type AuditFault = { readonly number: number; readonly what: string };
export type AuditVerdict = { readonly isWhole: boolean; readonly rows: number; readonly head: string; readonly faults: AuditFault[] };

export type Audit = {
  /** Fails when the row was not kept. */
  record(entry: Omit<AuditEntry, 'at_ms'>): Promise<void>;
  list(filter: { who?: string; before?: number; limit: number }): Promise<AuditRow[]>;
  verify(): Promise<AuditVerdict>;
};

const longest = 500;
const rowsAtOnce = 1_000;
const mostFaults = 100;

export function openAudit(options: { catalog: Catalog; clock: Clock; log: Log; sealer: Sealer; directory: string }): Audit {
  const { catalog, clock, log } = options;
  const key = options.sealer.keyFor('audit');
  const headFile = join(options.directory, 'audit.head');
  let last: Promise<void> = Promise.resolve();
  /** As read from the file at the first row; from then on this one holds. */
  let head: AuditHead | undefined;
  let isHeadKept = true;

  const hashOf = (row: Omit<AuditRecord, 'hash'>, before: string): string =>
    createHmac('sha256', key).update(JSON.stringify([row.number, row.at_ms, row.who, row.from_address, row.what, row.object, row.outcome, row.reason, before])).digest('hex');

  /** One after the other, so that an older head never takes a newer one's place. */
  async function inTurn(work: () => Promise<void>): Promise<void> {
    const mine = last.then(work);
    last = mine.catch(() => {});
    await mine;
  }

  async function keepHead(): Promise<void> {
    await writeSecret(headFile, `${JSON.stringify(head)}\n`);
    isHeadKept = true;
  }

  return {
    async record(entry) {
      const cut = (text: string): string => text.slice(0, longest);
      const kept = { ...entry, at_ms: clock.now(), who: cut(entry.who), object: cut(entry.object), reason: entry.reason === null ? null : cut(entry.reason) };
      await inTurn(async () => {
        head ??= (await readHead(headFile)) ?? emptyHead;
        // One that could not be written is written first: the file is never more than one row behind.
        if (!isHeadKept) await keepHead();
        head = await catalog.audit.append(kept, head, hashOf);
        isHeadKept = false;
        await keepHead();
      }).catch((error: unknown) => {
        log.error('a row of the audit was not kept', { what: entry.what, why: describe(error) });
        throw error;
      });
    },

    list: async (filter) => (await catalog.audit.list(filter)).map(({ number, at_ms, who, from_address, what, object, outcome, reason, hash }) => ({ number, atMs: at_ms, who, from: from_address, what, on: object, outcome, reason, hash })),

    async verify() {
      // A row that is being written meanwhile is in the catalog before its head is in the file.
      await last;
      const kept = await readHead(headFile);
      const faults: AuditFault[] = [];
      let [before, expected, rows] = [chainStart, 1, 0];
      let isHeadSeen = kept === undefined;
      for (let some = await catalog.audit.after(0, rowsAtOnce); some.length > 0; some = await catalog.audit.after(some.at(-1)!.number, rowsAtOnce)) {
        for (const { hash, ...row } of some) {
          if (row.number !== expected) faults.push({ number: row.number, what: `rows ${expected} to ${row.number - 1} are missing` });
          if (hashOf(row, before) !== hash) faults.push({ number: row.number, what: 'it, or its place in the chain, was changed' });
          if (row.number === kept?.number) {
            isHeadSeen = true;
            if (hash !== kept.hash) faults.push({ number: row.number, what: 'it is not the row that the head was made of' });
          }
          [before, expected] = [hash, row.number + 1];
          rows++;
        }
      }
      if (!isHeadSeen) faults.push({ number: kept!.number, what: `rows ${expected} to ${kept!.number} are missing at the end` });
      if (kept === undefined && rows > 1) faults.push({ number: expected - 1, what: 'the head (audit.head in the data directory) is missing: rows may have been cut off' });
      return { isWhole: faults.length === 0, rows, head: before, faults: faults.slice(0, mostFaults) };
    },
  };
}

async function readHead(path: string): Promise<AuditHead | undefined> {
  const text = (await readSecret(path))?.toString('utf8');
  try {
    return text === undefined ? undefined : (JSON.parse(text) as AuditHead);
  } catch {
    return undefined;
  }
}
