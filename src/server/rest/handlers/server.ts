import { contractVersion } from '../../../contract/orders.ts';
import { openApiOf } from '../../../contract/openapi.ts';
import type { Services } from '../../services.ts';
import type { Handlers } from '../app.ts';

export function serverHandlers({ links, hosts, clock, about, copyLimits, policies }: Services): Pick<Handlers, 'server.info' | 'server.limit' | 'host.describe' | 'server.openapi'> {
  return {
    'server.info': async () => {
      const connected = links.all().map((link) => ({ host: link.host, address: link.address, ...link.standing() }));
      return { ...about(), contract: contractVersion, nowMs: clock.now(), copiesAtOnce: await copyLimits.ofServer(), hosts: connected };
    },
    'server.limit': async ({ body }) => {
      await copyLimits.setOfServer(body.copiesAtOnce);
      policies.wake();
      return body;
    },
    'host.describe': async ({ params }) => {
      const link = links.of((await hosts.find(params.host)).id);
      const described = await link.call('host.describe', {});
      return { ...described, host: link.host, clockSkewMs: Math.round(described.timeMs - clock.now()) };
    },
    'server.openapi': async () => await Promise.resolve(openApiOf(about().version)),
  };
}
