/** What the audit keeps of a request: names of things, never what was sent besides. */
import type { FastifyRequest } from 'fastify';
import type { AuditEntry } from '../../catalog/audit.ts';
import { questionNotUnderstood } from '../failures.ts';

/** Whoever typed a name that is nobody's may have typed a password. */
const nobody = '(a name that is nobody\'s)';

/** What changes something, and what was refused for want of a permission. Floods are for the log. */
export function isAudited({ method, failed, signIn, routeOptions }: FastifyRequest): boolean {
  const { route } = routeOptions.config;
  if (route === undefined || failed?.startsWith('server.too-many-') === true) return false;
  // Whoever has no token writes a row only with what may be a sign-in, of which an address has few.
  if (route.permission === 'anyone') return failed !== questionNotUnderstood.code;
  return signIn !== undefined && (method !== 'GET' || /^server\.not-(allowed|in-reach)$/.test(failed ?? ''));
}

export function entryOf(request: FastifyRequest): Omit<AuditEntry, 'at_ms'> {
  const { signIn, about, failed, ip, routeOptions } = request;
  const body = (typeof request.body === 'object' && request.body !== null ? request.body : {}) as Record<string, unknown>;
  const query = (request.query ?? {}) as Record<string, unknown>;
  const asked = { ...((request.params ?? {}) as Record<string, unknown>) };
  const named = [...Object.values(asked), ...(typeof body['name'] === 'string' ? [body['name']] : []), ...(Array.isArray(body['points']) ? body['points'] : [])];
  const isPlan = body['apply'] === false || query['apply'] === false;
  return {
    who: about ?? signIn?.who ?? nobody,
    from_address: ip,
    what: routeOptions.config.name ?? '',
    object: `${named.map(String).join(' ')}${isPlan ? ' (plan)' : ''}`.trim(),
    outcome: failed ?? 'done',
    reason: typeof body['reason'] === 'string' ? body['reason'] : null,
  };
}
