import { contractVersion } from '../../../contract/orders.ts';
import { openApiOf } from '../../../contract/openapi.ts';
import type { Services } from '../../services.ts';
import type { Handlers } from '../app.ts';

export function serverHandlers({ links, hosts, clock, about }: Services): Pick<Handlers, 'server.info' | 'host.describe' | 'server.openapi'> {
  return {
    'server.info': async () => {
      const connected = links.all().map((link) => ({ host: link.host, address: link.address, ...link.standing() }));
      return await Promise.resolve({ ...about(), contract: contractVersion, nowMs: clock.now(), hosts: connected });
    },
    'host.describe': async ({ params }) => {
      const link = links.of((await hosts.find(params.host)).id);
      const described = await link.call('host.describe', {});
      return { ...described, host: link.host, clockSkewMs: Math.round(described.timeMs - clock.now()) };
    },
    'server.openapi': async () => await Promise.resolve(openApiOf(about().version)),
  };
}
