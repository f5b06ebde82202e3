import * as z from 'zod';
import { session, sessionEvent, sessionKind, sessionState } from '../sessions.ts';
import type { Route } from '../route.ts';

const sessionParam = z.object({ session: z.string().min(1) });

export const sessionRoutes = {
  'session.list': {
    method: 'GET',
    path: '/api/v1/sessions',
    permission: 'sessions.read',
    summary: 'Sessions, newest first.',
    query: z.object({
      set: z.string().optional(),
      kind: sessionKind.optional(),
      state: sessionState.optional(),
      before: z.string().optional().meta({ description: 'the id of the last session of the page before' }),
      limit: z.coerce.number().int().min(1).max(500).default(50),
    }),
    status: 200,
    answer: z.object({ sessions: z.array(session) }),
    failures: ['server.set-unknown'],
  },
  'session.show': {
    method: 'GET',
    path: '/api/v1/sessions/:session',
    permission: 'sessions.read',
    summary: 'One session.',
    params: sessionParam,
    status: 200,
    answer: session,
    failures: ['server.session-unknown'],
  },
  'session.log': {
    method: 'GET',
    path: '/api/v1/sessions/:session/log',
    permission: 'sessions.read',
    summary: 'The kept events of a session.',
    params: sessionParam,
    query: z.object({ after: z.coerce.number().int().min(0).default(0), limit: z.coerce.number().int().min(1).max(10_000).default(1000) }),
    status: 200,
    answer: z.object({ events: z.array(sessionEvent) }),
    failures: ['server.session-unknown'],
  },
  'session.events': {
    method: 'GET',
    path: '/api/v1/sessions/:session/events',
    permission: 'sessions.read',
    summary: 'A session live, as server-sent events; the stream ends after the end state.',
    params: sessionParam,
    query: z.object({ after: z.coerce.number().int().min(0).default(0).meta({ description: 'the number of the last event seen; the header Last-Event-ID does the same' }) }),
    status: 200,
    answer: sessionEvent,
    stream: true,
    failures: ['server.session-unknown'],
  },
  'session.stop': {
    method: 'POST',
    path: '/api/v1/sessions/:session/stop',
    permission: 'sessions.write',
    summary: 'Ask a session to stop; it ends when it has cleaned up after itself.',
    params: sessionParam,
    status: 202,
    answer: session,
    failures: ['server.session-unknown', 'server.session-ended', 'server.session-continuous'],
  },
  'session.retry': {
    method: 'POST',
    path: '/api/v1/sessions/:session/retry',
    permission: 'sessions.write',
    summary: 'Start a failed or stopped session again, as a new one with the same wishes.',
    params: sessionParam,
    status: 202,
    answer: session,
    failures: ['server.session-unknown', 'server.session-not-failed', 'server.session-continuous', 'server.set-busy'],
  },
} as const satisfies Record<string, Route>;
