/** Every REST route, by name. The server has one handler for each; clients are typed from the same table. */
import { auditRoutes } from './routes/audit.ts';
import { checkRoutes } from './routes/checks.ts';
import { copyRoutes } from './routes/copies.ts';
import { credentialRoutes } from './routes/credentials.ts';
import { directoryRoutes } from './routes/directory.ts';
import { groupRoutes } from './routes/groups.ts';
import { hookRoutes } from './routes/hooks.ts';
import { hostKeyRoutes } from './routes/host-keys.ts';
import { hostRoutes } from './routes/hosts.ts';
import { notificationRoutes } from './routes/notifications.ts';
import { userRoutes } from './routes/people.ts';
import { policyRoutes } from './routes/policies.ts';
import { pointRoutes } from './routes/points.ts';
import { portRoutes } from './routes/ports.ts';
import { repositoryRoutes } from './routes/repositories.ts';
import { restoreRoutes } from './routes/restores.ts';
import { serverRoutes } from './routes/server.ts';
import { sessionRoutes } from './routes/sessions.ts';
import { setRoutes } from './routes/sets.ts';
import { signInRoutes } from './routes/sign-in.ts';
import type { Answer, Asked, Question, Route } from './route.ts';

export const routes = { ...setRoutes, ...pointRoutes, ...restoreRoutes, ...repositoryRoutes, ...copyRoutes, ...policyRoutes, ...checkRoutes, ...credentialRoutes, ...sessionRoutes, ...serverRoutes, ...hostRoutes, ...hostKeyRoutes, ...groupRoutes, ...portRoutes, ...signInRoutes, ...userRoutes, ...directoryRoutes, ...auditRoutes, ...notificationRoutes, ...hookRoutes } as const satisfies Record<string, Route>;

export type RouteName = keyof typeof routes;
export type RouteQuestion<N extends RouteName> = Question<(typeof routes)[N]>;
export type RouteAsked<N extends RouteName> = Asked<(typeof routes)[N]>;
export type RouteAnswer<N extends RouteName> = Answer<(typeof routes)[N]>;

/** `/api/v1/sets/:set` with its parameters in place, for clients. */
export function fillPath(path: string, params: Readonly<Record<string, string>> = {}): string {
  return path.replace(/:([a-z]+)/g, (_, name: string) => {
    const value = params[name];
    if (value === undefined) throw new Error(`the path ${path} needs ${name}`);
    return encodeURIComponent(value);
  });
}

/** What every route answers when it fails: HTTP 4xx or 5xx with this body. */
export { wireFailure as failureAnswer } from './values.ts';
