import { laneTaken } from '../../../catalog/failures.ts';
import { isFailure } from '../../../base/failure.ts';
import { hostBusy, hostIsLocal } from '../../failures.ts';
import type { DeployWish } from '../../flows/deploy.ts';
import { listHosts } from '../../host-filters.ts';
import { localHost } from '../../hosts.ts';
import { laneOf } from '../../session-engine.ts';
import type { Services } from '../../services.ts';
import type { Handlers } from '../app.ts';

export function hostHandlers({ hosts, hostKeys, catalog, credentials, engine, about, viewSession }: Services): Pick<Handlers, 'host.list' | 'host.add' | 'host.kit' | 'host.install' | 'host.remove'> {
  return {
    'host.list': async ({ query }) => await listHosts(query.filter, { catalog, hosts, hostKeys, version: about().version }),
    'host.add': async ({ body }) => {
      const { host, kit } = await hosts.add(body);
      return { host: hosts.view(host), kit };
    },
    'host.kit': async ({ params }) => await hosts.kitFor(await hosts.find(params.host)),
    'host.install': async ({ params, body }) => {
      const host = await hosts.find(params.host);
      if (host.id === localHost) throw hostIsLocal({});
      const { id: credential } = await credentials.find(body.credential);
      const wish: DeployWish = { host: host.id, credential, package: body.package };
      try {
        return await viewSession(await engine.start({ kind: 'deploy', object: { kind: 'host', id: host.id, name: host.name }, setId: null, lane: laneOf('deploy', host.id), wish }));
      } catch (error) {
        if (!isFailure(error, laneTaken)) throw error;
        throw hostBusy({ host: host.name, why: `session ${String(error.details['session'])} installs there` }, error);
      }
    },
    'host.remove': async ({ params, query }) => {
      const host = await hosts.find(params.host);
      const plan = [`refuse every certificate of ${host.name} from now on`, `forget ${host.name} and its kit`, 'leave what is installed there as it is'];
      if (query.apply) await hosts.remove(host);
      return { applied: query.apply, plan };
    },
  };
}
