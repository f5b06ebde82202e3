/** What crosses port 10002: how a host gets its certificate, and later ones (docs/design/hosts.md). One JSON message each way. */
import * as z from 'zod';
import { hostPlatform } from './values.ts';

/** The services that get their certificate here. */
export const enrolledPart = z.enum(['transport', 'deployer', 'depot']);
export type EnrolledPart = z.infer<typeof enrolledPart>;

const publicKeyPem = z.string().max(2_000).regex(/^-----BEGIN PUBLIC KEY-----/);

export const enrolment = {
  /** The host shows a one-time token and no certificate; `part` is the service that asks. */
  '/enrol': z.object({ token: z.string().min(16).max(200), part: enrolledPart.default('transport'), publicKeyPem, version: z.string().max(60), contract: z.int(), /** Services of before do not say it. */ platform: hostPlatform.optional() }),
  /** The host shows its certificate, which is still in force. */
  '/renew': z.object({ publicKeyPem }),
} as const;

/** `host` is the host's id, as its certificates name it. */
export const enrolled = z.object({ host: z.string(), certificatePem: z.string(), caPem: z.string() });
export type Enrolled = z.infer<typeof enrolled>;

/** Longer questions are cut off unread. */
export const enrolmentBytes = 16 << 10;
