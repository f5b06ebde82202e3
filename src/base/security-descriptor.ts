/**
 * Who owns a file on Windows and who may do what with it, as the bytes that its calls take and give (MS-DTYP 2.4.6, self-relative):
 *
 *   descriptor   revision 1, 0, control (2) · where owner, group, system's list and list of rights are (4 each)
 *   list         revision 2, 0, length (2), entries (2), 0 (2) · entries
 *   entry        kind (0: allowed), inheritance, length (2) · mask (4) · account
 *   account      1, parts, authority (6, big-endian) · parts (4 each)
 *
 * Nothing of it calls Windows, so it is tested everywhere.
 */

export type Security = {
  /** `S-1-5-18`, or null where it has none. */
  readonly owner: string | null;
  /** What stands above adds nothing. */
  readonly isProtected: boolean;
  /** Accounts that are allowed anything; null: no list, which is everybody. */
  readonly allowed: readonly Allowed[] | null;
};

/** `mask`: what the account may do with the file itself; 0 where it counts for what is made in a folder only. */
export type Allowed = { readonly account: string; readonly mask: number };

export const localSystem = 'S-1-5-18';
export const administrators = 'S-1-5-32-544';

const DACL_PRESENT = 0x0004;
const DACL_PROTECTED = 0x1000;
const SELF_RELATIVE = 0x8000;
/** Entries that give something: with and without conditions, by object or not. */
const allowing: ReadonlySet<number> = new Set([0x00, 0x05, 0x09, 0x0b]);
const FILE_ALL_ACCESS = 0x001f01ff;
const TO_FILES_AND_FOLDERS = 3;
const ONLY_INHERITED = 0x08;
/** To write, to append, to write what is beside the bytes (0x10, 0x100), to delete or rename, to change rights or owner; and what stands for all of it. */
const changing = 0x02 | 0x04 | 0x10 | 0x100 | 0x10000 | 0x40000 | 0x80000 | 0x10000000 | 0x40000000;
/** In the rights of a file: to read it, to write to it. */
export const [READ, WRITE] = [0x01, 0x02];

export const mayChange = ({ mask }: Allowed): boolean => (mask & changing) !== 0;

export function readSid(bytes: Buffer, at: number): string {
  const parts = bytes.readUInt8(at + 1);
  if (bytes.readUInt8(at) !== 1 || parts > 15) throw new RangeError('this is not an account of Windows');
  return ['S-1', String(bytes.readUIntBE(at + 2, 6)), ...Array.from({ length: parts }, (_, n) => String(bytes.readUInt32LE(at + 8 + 4 * n)))].join('-');
}

function sidBytes(sid: string): Buffer {
  const [authority, ...parts] = sid.split('-').slice(2).map(Number);
  const bytes = Buffer.alloc(8 + 4 * parts.length);
  bytes.writeUInt8(1, 0);
  bytes.writeUInt8(parts.length, 1);
  bytes.writeUIntBE(authority!, 2, 6);
  parts.forEach((part, n) => bytes.writeUInt32LE(part, 8 + 4 * n));
  return bytes;
}

/** Throws a RangeError on bytes that are none; every length in them is held against the bytes that are there. */
export function readSecurity(bytes: Buffer): Security {
  const control = bytes.readUInt16LE(2);
  const [owner, list] = [bytes.readUInt32LE(4), bytes.readUInt32LE(16)];
  return {
    owner: owner === 0 ? null : readSid(bytes, owner),
    isProtected: (control & DACL_PROTECTED) !== 0,
    allowed: (control & DACL_PRESENT) === 0 || list === 0 ? null : allowedIn(bytes, list),
  };
}

function allowedIn(bytes: Buffer, list: number): Allowed[] {
  const allowed = new Map<string, number>();
  let at = list + 8;
  for (let n = bytes.readUInt16LE(list + 4); n > 0; n--) {
    const [kind, inheritance, length] = [bytes.readUInt8(at), bytes.readUInt8(at + 1), bytes.readUInt16LE(at + 2)];
    if (length < 8) throw new RangeError('an entry of a list of rights is too short');
    // Of entries for an object the account lies behind its names: whom they are for is not needed to know that they are not ours.
    if (allowing.has(kind)) {
      const account = kind === 0x00 || kind === 0x09 ? readSid(bytes, at + 8) : 'an object';
      const mask = (inheritance & ONLY_INHERITED) === 0 ? bytes.readUInt32LE(at + 4) : 0;
      allowed.set(account, ((allowed.get(account) ?? 0) | mask) >>> 0);
    }
    at += length;
  }
  return [...allowed].map(([account, mask]) => ({ account, mask }));
}

/** Everything for these accounts, for what is in the folder too, and nothing for anybody else. */
export function rightsFor(sids: readonly string[]): Buffer {
  const entries = sids.map((sid) => {
    const account = sidBytes(sid);
    const head = Buffer.alloc(8);
    head.writeUInt8(TO_FILES_AND_FOLDERS, 1);
    head.writeUInt16LE(8 + account.length, 2);
    head.writeUInt32LE(FILE_ALL_ACCESS, 4);
    return Buffer.concat([head, account]);
  });
  const body = Buffer.concat(entries);
  const head = Buffer.alloc(28);
  head.writeUInt8(1, 0);
  head.writeUInt16LE(SELF_RELATIVE | DACL_PRESENT | DACL_PROTECTED, 2);
  head.writeUInt32LE(20, 16);
  head.writeUInt8(2, 20);
  head.writeUInt16LE(8 + body.length, 22);
  head.writeUInt16LE(entries.length, 24);
  return Buffer.concat([head, body]);
}
