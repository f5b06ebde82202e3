import * as z from 'zod';
import { channel, notificationRule } from '../notifications.ts';
import { report } from '../reports.ts';
import type { Route } from '../route.ts';

export const notification = z
  .object({
    id: z.string(),
    name: z.string(),
    kind: z.enum(['mail', 'webhook', 'syslog', 'snmp']),
    receiver: z.string(),
    how: z.string(),
    rule: notificationRule,
    perHour: z.int(),
    /** Of this server, which a receiver of SNMPv3 traps has to know. */
    engineId: z.string().nullable(),
    addedAtMs: z.number(),
    nextSummaryAtMs: z.number().nullable(),
    waiting: z.int(),
    told: z.int(),
    givenUp: z.int(),
    /** Why the last try failed; null: it did not. */
    says: z.string().nullable(),
  })
  .meta({ id: 'Notification' });
export type Notification = z.infer<typeof notification>;

const one = z.object({ notification: z.string().min(1) });
const isHtml = z.stringbool().default(false).meta({ description: 'answer the page that mails carry, too' });
const reported = z.object({ report, html: z.string().nullable() });

export const notificationRoutes = {
  'notification.add': {
    method: 'POST',
    path: '/api/v1/notifications',
    permission: 'notifications.write',
    summary: 'Tell what happens to a receiver, from now on. The secrets of the channel are sealed, and no route answers them.',
    body: z.object({ name: z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/), channel, rule: notificationRule.prefault({}) }),
    status: 201,
    answer: notification,
    failures: ['server.notification-exists', 'server.notification-unfit'],
  },
  'notification.list': {
    method: 'GET',
    path: '/api/v1/notifications',
    permission: 'notifications.read',
    summary: 'Every notification: where to, which news, and how the telling stands.',
    status: 200,
    answer: z.object({ notifications: z.array(notification) }),
    failures: [],
  },
  'notification.test': {
    method: 'POST',
    path: '/api/v1/notifications/:notification/test',
    permission: 'notifications.write',
    summary: 'Send a message now, and answer what the receiver said.',
    params: one,
    status: 200,
    answer: z.object({ notification: z.string(), event: z.string(), says: z.string(), ms: z.number() }),
    failures: ['server.notification-unknown', 'tell.not-reached', 'tell.not-trusted', 'tell.sign-in-refused', 'tell.not-now', 'tell.refused', 'tell.not-safe'],
  },
  'notification.remove': {
    method: 'DELETE',
    path: '/api/v1/notifications/:notification',
    permission: 'notifications.write',
    summary: 'Tell it nothing more. What still waits is not told.',
    params: one,
    status: 200,
    answer: notification,
    failures: ['server.notification-unknown'],
  },
  'report.daily': {
    method: 'GET',
    path: '/api/v1/reports/daily',
    permission: 'sets.read',
    summary: 'How every set stands against its promise, and what happened in the last hours.',
    query: z.object({ hours: z.coerce.number().int().min(1).max(24 * 31).default(24), html: isHtml }),
    status: 200,
    answer: reported,
    failures: [],
  },
  'report.session': {
    method: 'GET',
    path: '/api/v1/reports/sessions/:session',
    permission: 'sessions.read',
    summary: 'What a session did, and how its set stands.',
    params: z.object({ session: z.string().min(1) }),
    query: z.object({ html: isHtml }),
    status: 200,
    answer: reported,
    failures: ['server.session-unknown'],
  },
  metrics: {
    method: 'GET',
    path: '/metrics',
    permission: 'metrics.read',
    summary: 'Metrics in the text format of Prometheus. The token in "metrics.token" opens this and nothing of the API.',
    status: 200,
    answer: z.string(),
    text: 'text/plain; version=0.0.4; charset=utf-8',
    failures: [],
  },
  health: {
    method: 'GET',
    path: '/health',
    permission: 'metrics.read',
    summary: 'Whether the server works: its catalog answers, and its own transport is connected.',
    status: 200,
    answer: z.object({ ok: z.literal(true), version: z.string(), startedAtMs: z.number() }),
    failures: ['server.unhealthy'],
  },
} as const satisfies Record<string, Route>;
