/**
 * The order link: frames, version 1. docs/design/order-link.md has the reasons.
 *
 * One WebSocket (no compression) inside TLS 1.3 with certificates on both ends. Each message is one frame, JSON text.
 * Who dialled does not matter: each side says in its greeting whether it gives orders or takes them.
 *
 *   both      hello    contracts it speaks, version, role, and what its machine runs (those of before do not say it). Nothing else is sent or accepted before the peer's hello.
 *   caller    call     id, order, input, credit: how many events may be sent
 *             credit   id, more
 *             cancel   id: the call ends soon with done or failed
 *   answerer  event    id, value: one credit each, in order
 *             done     id, output: after all its events
 *             failed   id, failure: after all its events
 *
 * An id belongs to one call of one link. A frame for an id that has ended is dropped: cancel and done may cross.
 */
import * as z from 'zod';
import { hostPlatform, wireFailure } from '../values.ts';

export const frame = z.discriminatedUnion('kind', [
  z.object({ kind: z.literal('hello'), least: z.int(), most: z.int(), version: z.string(), role: z.enum(['caller', 'answerer']), platform: hostPlatform.optional() }),
  z.object({ kind: z.literal('call'), id: z.int(), order: z.string(), input: z.unknown(), credit: z.int().min(1) }),
  z.object({ kind: z.literal('credit'), id: z.int(), more: z.int().min(1) }),
  z.object({ kind: z.literal('cancel'), id: z.int() }),
  z.object({ kind: z.literal('event'), id: z.int(), value: z.unknown() }),
  z.object({ kind: z.literal('done'), id: z.int(), output: z.unknown() }),
  z.object({ kind: z.literal('failed'), id: z.int(), failure: wireFailure }),
]);

export type Frame = z.infer<typeof frame>;
export type Hello = Extract<Frame, { kind: 'hello' }>;
export type Role = Hello['role'];

export const linkPath = '/orders';

/** A frame is at most this long; a longer one ends the link. */
export const frameBytes = 64 << 20;
