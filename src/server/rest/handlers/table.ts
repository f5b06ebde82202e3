import type { Services } from '../../services.ts';
import type { Handlers } from '../app.ts';
import { checkHandlers } from './checks.ts';
import { copyHandlers } from './copies.ts';
import { credentialHandlers } from './credentials.ts';
import { groupHandlers } from './groups.ts';
import { hookHandlers } from './hooks.ts';
import { hostKeyHandlers } from './host-keys.ts';
import { hostHandlers } from './hosts.ts';
import { notificationHandlers } from './notifications.ts';
import { auditHandlers, directoryHandlers, peopleHandlers } from './people.ts';
import { policyHandlers, retentionHandlers } from './policies.ts';
import { pointHandlers } from './points.ts';
import { portHandlers } from './ports.ts';
import { repositoryHandlers } from './repositories.ts';
import { restoreHandlers } from './restores.ts';
import { serverHandlers } from './server.ts';
import { sessionHandlers } from './sessions.ts';
import { setHandlers } from './sets.ts';
import { signInHandlers } from './sign-in.ts';

export function allHandlers(services: Services): Handlers {
  return {
    ...setHandlers(services),
    ...pointHandlers(services),
    ...restoreHandlers(services),
    ...repositoryHandlers(services),
    ...copyHandlers(services),
    ...policyHandlers(services),
    ...retentionHandlers(services),
    ...checkHandlers(services),
    ...credentialHandlers(services),
    ...sessionHandlers(services),
    ...serverHandlers(services),
    ...hostHandlers(services),
    ...hostKeyHandlers(services),
    ...groupHandlers(services),
    ...portHandlers(services),
    ...signInHandlers(services),
    ...peopleHandlers(services),
    ...directoryHandlers(services),
    ...auditHandlers(services),
    ...notificationHandlers(services),
    ...hookHandlers(services),
  };
}
