/**
 * One-time tokens of first installations, in memory only: a restart forgets them and the server makes new ones.
 *
 *   made ──redeemed──▶ ticket for the archive's bytes, 15 minutes ──▶ over
 *    └─ an hour later: over
 *
 * Of a token and a ticket only the hash is kept. A wrong one costs its address one of 20 attempts a minute.
 */
import { createHash, randomBytes } from 'node:crypto';
import type { Clock } from '../base/clock.ts';
import { installTokenRefused } from './failures.ts';
import type { StoredPackage } from './package-store.ts';

export type Installation = { readonly host: string; /** What the host needs to enrol, as the server wrote it. */ readonly kit: string; readonly package: StoredPackage };

export type InstallTokens = {
  make(installation: Installation): { token: string; expiresMs: number };
  redeem(token: string, address: string): Installation & { ticket: string };
  /** The archive that a ticket is for. */
  archive(ticket: string, address: string): StoredPackage;
};

const tokenMs = 3_600_000;
const ticketMs = 900_000;
const attempts = 20;
const minuteMs = 60_000;

export function openInstallTokens(clock: Clock): InstallTokens {
  const tokens = new Map<string, { readonly installation: Installation; readonly expiresMs: number; isUsed: boolean }>();
  const tickets = new Map<string, { readonly stored: StoredPackage; readonly expiresMs: number }>();
  const wrong = new Map<string, number[]>();
  const hash = (secret: string): string => createHash('sha256').update(secret).digest('hex');
  const secret = (): string => randomBytes(32).toString('base64url');

  const recent = (address: string): number[] => (wrong.get(address) ?? []).filter((atMs) => clock.now() - atMs < minuteMs);
  const refuse = (address: string, why: string): Error => {
    wrong.set(address, [...recent(address), clock.now()]);
    return installTokenRefused({ why });
  };
  const admitAttempt = (address: string): void => {
    for (const [known, entry] of tokens) if (entry.expiresMs + tokenMs < clock.now()) tokens.delete(known);
    for (const [known, entry] of tickets) if (entry.expiresMs < clock.now()) tickets.delete(known);
    for (const known of wrong.keys()) if (recent(known).length === 0) wrong.delete(known);
    if (recent(address).length >= attempts) throw installTokenRefused({ why: 'too many wrong ones came from this address' });
  };

  return {
    make(installation) {
      const token = secret();
      const expiresMs = clock.now() + tokenMs;
      tokens.set(hash(token), { installation, expiresMs, isUsed: false });
      return { token, expiresMs };
    },
    redeem(token, address) {
      admitAttempt(address);
      const entry = tokens.get(hash(token));
      if (entry === undefined) throw refuse(address, 'it is not known here');
      if (entry.isUsed) throw refuse(address, 'it was used already');
      if (clock.now() >= entry.expiresMs) throw refuse(address, 'it is over');
      entry.isUsed = true;
      const ticket = secret();
      tickets.set(hash(ticket), { stored: entry.installation.package, expiresMs: clock.now() + ticketMs });
      return { ...entry.installation, ticket };
    },
    archive(ticket, address) {
      admitAttempt(address);
      const entry = tickets.get(hash(ticket));
      if (entry === undefined || clock.now() >= entry.expiresMs) throw refuse(address, 'the ticket for its package is not known or over');
      return entry.stored;
    },
  };
}
