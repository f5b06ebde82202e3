/**
 * A host gets its transport service over SSH, enrols with a kit of its own and answers orders.
 *
 * Nothing of it matters twice: what is there already is left alone, and a package may be installed again. A flow that is
 * taken up after a restart makes the first contact anew.
 */
import * as z from 'zod';
import type { Credentials } from '../credentials.ts';
import type { Flow } from '../flow.ts';
import type { HostServices } from '../host-services.ts';
import type { Hosts } from '../hosts.ts';

const wish = z.object({ host: z.string(), credential: z.string(), package: z.string() });
export type DeployWish = z.infer<typeof wish>;

export function deployFlow({ hosts, hostServices, credentials }: { hosts: Hosts; hostServices: HostServices; credentials: Credentials }): Flow<DeployWish> {
  return {
    wish,
    async run(asked, context) {
      const host = await hosts.find(asked.host);
      const credential = await credentials.host(asked.credential);
      let step = '';
      let saying = Promise.resolve();
      const say = (next: string, text: string): void => {
        saying = saying.then(async () => {
          if (next !== step) await context.step(next);
          step = next;
          await context.say(text);
        });
        saying.catch(() => {});
      };
      await context.say(`install ${asked.package} on ${host.name}`);
      try {
        const { platform, hostKey } = await hostServices.install(host, { credential, package: asked.package, say, signal: context.signal });
        return { state: 'success', result: { kind: 'deploy', host: host.name, platform, hostKey: hostKey.fingerprint } };
      } finally {
        await saying;
      }
    },
  };
}
