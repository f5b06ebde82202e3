export type { Account } from './ntlm.ts';
import type { Account } from './ntlm.ts';

/** `name`, `DOMAIN\name` or `name@domain`, which Windows takes apart itself. */
export function accountOf(user: string, password: string): Account {
  const slash = user.indexOf('\\');
  return slash < 0 ? { user, domain: '', password } : { user: user.slice(slash + 1), domain: user.slice(0, slash), password };
}
