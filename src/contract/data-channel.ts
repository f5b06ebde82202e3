/** What crosses a data channel between two hosts, version 1 (docs/design/data-channel.md): the head of each message. */
import { createHash } from 'node:crypto';
import * as z from 'zod';
import { dataTicket } from './values.ts';

export const dataProtocol = 1;

/** The name by which both ends agree, in the TLS handshake, on what they speak. */
export const dataAlpn = `tidemark-data/${dataProtocol}`;

/** The name a client asks for, so that a port of many sessions knows which one is meant. It tells nothing of the ticket. */
export function dataSessionName(ticket: string): string {
  return `${createHash('sha256').update(`tidemark data session ${ticket}`).digest('hex').slice(0, 32)}.tidemark`;
}

const name = z.string().min(1).max(512);
const size = z.int().min(0);

/** Every request below this number has been answered, so its answer need not be kept. */
const answered = { answered: size };

export const dataAsks = {
  /** The first message of a channel; `client` tells two processes of one task apart. */
  hello: z.object({ protocol: z.int(), ticket: dataTicket, channel: z.int().min(0).max(63), client: z.string().regex(/^[0-9a-f]{32}$/) }),
  list: z.object({ prefix: name }),
  stat: z.object({ name }),
  read: z.object({ name, range: z.object({ from: size, bytes: size.max(64 << 20) }).optional() }),
  /** The body is the object. */
  put: z.object({ name, how: z.enum(['new', 'replace']), ...answered }),
  /** Begins an object that has a number until it is committed or aborted. */
  create: z.object({ name, object: size, ...answered }),
  append: z.object({ object: size, offset: size }),
  commit: z.object({ object: size, ...answered }),
  abort: z.object({ object: size, ...answered }),
  'take-back': z.object({ name, ...answered }),
  /** Keeps these from being deleted for the repository's days, if it is immutable. */
  retain: z.object({ names: z.array(name).max(500), ...answered }),
  free: z.object({}),
} as const;

export type DataAsk = keyof typeof dataAsks;
export type DataHead<K extends DataAsk> = z.infer<(typeof dataAsks)[K]>;

const storedObject = z.object({ name: z.string(), bytes: z.number(), modifiedMs: z.number() });

/** What `done` carries; the bytes of a `read` are its body, and `part` messages come before it where they are many. */
export const dataAnswers = {
  hello: z.object({}),
  list: z.object({ objects: z.array(storedObject) }),
  stat: z.object({ object: storedObject.nullable() }),
  read: z.object({}),
  put: z.object({ outcome: z.enum(['stored', 'exists']) }),
  create: z.object({}),
  append: z.object({}),
  commit: z.object({}),
  abort: z.object({}),
  'take-back': z.object({}),
  retain: z.object({}),
  /** `retains`: the repository is immutable, and `retain` is understood. */
  free: z.object({ bytes: z.number().nullable(), retains: z.boolean().default(false) }),
} as const satisfies Record<DataAsk, z.ZodType>;

export type DataAnswer<K extends DataAsk> = z.infer<(typeof dataAnswers)[K]>;
