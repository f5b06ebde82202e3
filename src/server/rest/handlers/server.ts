import { contractVersion } from '../../../contract/orders.ts';
import { openApiOf } from '../../../contract/openapi.ts';
import { hostUnknown } from '../../failures.ts';
import type { Services } from '../../services.ts';
import type { Handlers } from '../app.ts';

export function serverHandlers({ link, clock, about }: Services): Pick<Handlers, 'server.info' | 'host.describe' | 'server.openapi'> {
  return {
    'server.info': async () => {
      const { state, says } = link.standing();
      return await Promise.resolve({ ...about(), contract: contractVersion, nowMs: clock.now(), hosts: [{ host: link.host, address: link.address, state, says }] });
    },
    'host.describe': async ({ params }) => {
      if (params.host !== link.host) throw hostUnknown({ host: params.host });
      const described = await link.call('host.describe', {});
      return { ...described, host: link.host, clockSkewMs: Math.round(described.timeMs - clock.now()) };
    },
    'server.openapi': async () => await Promise.resolve(openApiOf(about().version)),
  };
}
