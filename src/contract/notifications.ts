/** Who is told what, and where. Secrets in a channel cross only TLS links, and are sealed at rest. */
import * as z from 'zod';
import * as v from './values.ts';

const host = z.string().min(1).max(253);
const port = (usual: number) => z.int().min(1).max(65535).default(usual);
/** One address as it stands in an envelope: no line end, no second address. */
const mailAddress = z.string().max(254).regex(/^[^\s<>,;"@]+@[^\s<>,;"@]+$/);
const caPem = z.string().min(1).optional();

export const mailChannel = z.object({
  kind: z.literal('mail'),
  host,
  port: port(587),
  /** `starttls` is required, not offered: without it nothing is sent. */
  security: z.enum(['starttls', 'tls', 'none']).default('starttls'),
  signIn: z.object({ user: z.string().min(1), password: z.string().min(1) }).optional(),
  caPem,
  from: mailAddress,
  to: z.array(mailAddress).min(1).max(50),
});

export const webhookChannel = z.object({
  kind: z.literal('webhook'),
  url: z.url({ protocol: /^https?$/ }).max(2_000),
  /** Shared with the receiver: each message is signed with it. */
  secret: z.string().min(16).max(500),
  caPem,
});

export const syslogChannel = z.object({ kind: z.literal('syslog'), host, port: port(514), transport: z.enum(['udp', 'tcp', 'tls']).default('udp'), caPem });

const snmpSecret = z.string().min(8).max(100);
export const snmpChannel = z.object({
  kind: z.literal('snmp'),
  host,
  port: port(162),
  /** Acknowledged by the receiver; a trap is not. */
  inform: z.boolean().default(false),
  version: z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('v2c'), community: z.string().min(1).max(100) }),
    z.object({ kind: z.literal('v3'), user: z.string().min(1).max(32), auth: z.enum(['sha', 'sha256', 'sha512']).default('sha'), authPassword: snmpSecret, privPassword: snmpSecret }),
  ]),
});

export const channel = z.discriminatedUnion('kind', [mailChannel, webhookChannel, syslogChannel, snmpChannel]);
export type Channel = z.infer<typeof channel>;
export type ChannelOf<K extends Channel['kind']> = Extract<Channel, { kind: K }>;

export const newsKinds = ['success', 'warning', 'failed', 'stopped', 'alarm', 'unprotected', 'protected'] as const;

export const notificationRule = z
  .object({
    on: z.array(z.enum(newsKinds)).max(newsKinds.length).default(['warning', 'failed', 'alarm', 'unprotected']),
    /** Objects by kind and name; none: everything. */
    about: z.array(z.string().regex(/^(set|group|repository|host|policy):.{1,200}$/)).max(200).default([]),
    lastRetryOnly: z.boolean().default(true),
    perHour: z.int().min(1).max(10_000).optional(),
    dailyAt: v.timeOfDay.optional(),
    subject: z.string().min(1).max(200).default('[tidemark] {title}'),
  })
  .meta({ id: 'NotificationRule' });
export type NotificationRule = z.infer<typeof notificationRule>;

export const severities = ['info', 'notice', 'warning', 'error', 'critical'] as const;
export type Severity = (typeof severities)[number];

/** What a receiver is told: the body of a webhook, and what the other channels make theirs of. */
export const told = z
  .object({
    id: z.string(),
    kind: z.enum(['session', 'alarm', 'unprotected', 'protected', 'summary', 'digest', 'test']),
    atMs: z.number(),
    severity: z.enum(severities),
    /** One line. */
    title: z.string(),
    lines: z.array(z.string()),
    /** The address of the server that tells. */
    server: z.string(),
    object: z.object({ kind: z.string(), name: z.string() }).nullable(),
    session: z.object({ id: z.string(), kind: z.string(), state: z.string(), failure: z.string().nullable() }).nullable(),
    /** News that a digest tells of. */
    count: z.int(),
    /** The report of a session or a day, for those who read JSON. */
    report: z.unknown().optional(),
  })
  .meta({ id: 'Told' });
export type Told = z.infer<typeof told>;
