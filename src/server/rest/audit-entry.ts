/** What the audit keeps of a request: names of things, and what somebody was given or shut out of; never what was sent besides. */
import type { FastifyRequest } from 'fastify';
import type { AuditEntry } from '../../catalog/audit.ts';
import { questionNotUnderstood } from '../failures.ts';

/** Whoever typed a name that is nobody's may have typed a password. */
const nobody = '(a name that is nobody\'s)';

/** Fields of bodies that a row has the values of; the longest last. No secret is in one of them. */
const told = ['roles', 'role', 'isDisabled', 'set', 'from', 'to', 'host', 'repository', 'objects', 'targets', 'permissions'] as const;

/** Undefined: it is no name, no list of names and no yes or no, so it is not kept. */
function plain(value: unknown): string | undefined {
  if (typeof value === 'string' || typeof value === 'boolean') return String(value);
  if (!Array.isArray(value) || value.length === 0) return undefined;
  const each = value.map((one: unknown) => (isMapping(one) ? `${one.group}:${one.role}` : one));
  return each.every((one) => typeof one === 'string') ? each.join(value.some(isMapping) ? '; ' : ',') : undefined;
}

/** What a group of the directory has. */
function isMapping(value: unknown): value is { group: string; role: string } {
  return typeof value === 'object' && value !== null && 'group' in value && 'role' in value && typeof value.group === 'string' && typeof value.role === 'string';
}

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
  const given = told.flatMap((field) => {
    const value = plain(body[field]);
    return value === undefined ? [] : [`${field}=${value}`];
  });
  const isPlan = body['apply'] === false || query['apply'] === false;
  return {
    who: about ?? signIn?.who ?? nobody,
    from_address: ip,
    what: routeOptions.config.name ?? '',
    object: `${[...named.map(String), ...given].join(' ')}${isPlan ? ' (plan)' : ''}`.trim(),
    outcome: failed ?? 'done',
    reason: typeof body['reason'] === 'string' ? body['reason'] : null,
  };
}
