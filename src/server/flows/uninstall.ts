/** The transport of a host is taken away, or everything of ours, the deployer last: then the host is forgotten as well. */
import * as z from 'zod';
import { deployerMissing } from '../failures.ts';
import type { Flow } from '../flow.ts';
import type { Hosts } from '../hosts.ts';
import type { HostServices } from '../host-services.ts';

const wish = z.object({ host: z.string(), all: z.boolean(), data: z.boolean() });
export type UninstallWish = z.infer<typeof wish>;

export function uninstallFlow({ hosts, hostServices }: { hosts: Hosts; hostServices: HostServices }): Flow<UninstallWish> {
  return {
    wish,
    async run({ host: id, all, data }, context) {
      const host = await hosts.find(id);
      if (!hostServices.hasDeployer(host)) throw deployerMissing({ host: host.name });
      await hosts.demandUnused(host);
      if (all) {
        await context.step('uninstall everything');
        await context.note('uninstalled', async () => await hostServices.order(host, 'deployer.uninstall-all', {}, context));
        await context.step(`forget ${host.name}`);
        await hosts.remove(host);
        return { state: 'success', result: { kind: 'uninstall', host: host.name, all, data: true } };
      }
      await context.step(data ? 'remove the transport, its settings and its data' : 'remove the transport');
      const { packages } = await hostServices.order(host, 'deployer.describe', {}, context);
      if (packages.some(({ name, version }) => name === 'tidemark-transport' && version !== null)) await hostServices.order(host, 'deployer.remove', { name: 'tidemark-transport', data }, context);
      if (data) await hosts.forgetTransport(host);
      return { state: 'success', result: { kind: 'uninstall', host: host.name, all, data } };
    },
  };
}
