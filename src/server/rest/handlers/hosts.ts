import type { Services } from '../../services.ts';
import type { Handlers } from '../app.ts';

export function hostHandlers({ hosts }: Services): Pick<Handlers, 'host.list' | 'host.add' | 'host.kit' | 'host.remove'> {
  return {
    'host.list': async () => ({ hosts: (await hosts.list()).map(hosts.view) }),
    'host.add': async ({ body }) => {
      const { host, kit } = await hosts.add(body);
      return { host: hosts.view(host), kit };
    },
    'host.kit': async ({ params }) => await hosts.kitFor(await hosts.find(params.host)),
    'host.remove': async ({ params, query }) => {
      const host = await hosts.find(params.host);
      const plan = [`refuse every certificate of ${host.name} from now on`, `forget ${host.name} and its kit`, 'leave what is installed there as it is'];
      if (query.apply) await hosts.remove(host);
      return { applied: query.apply, plan };
    },
  };
}
