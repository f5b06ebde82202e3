/**
 * A host gets its transport service over SSH, enrols with a kit of its own and answers orders.
 *
 * Nothing of it matters twice: what is there already is left alone, and a package may be installed again. A flow that is
 * taken up after a restart makes the first contact anew.
 */
import { access, constants } from 'node:fs/promises';
import * as z from 'zod';
import { openShell } from '../../ssh/shell.ts';
import type { Credentials } from '../credentials.ts';
import { packageUnreadable } from '../failures.ts';
import { deployOverSsh, type HostPackage } from '../first-contact.ts';
import type { Flow } from '../flow.ts';
import type { HostKeys } from '../host-keys.ts';
import type { Hosts } from '../hosts.ts';
import type { Links } from '../links.ts';

const wish = z.object({ host: z.string(), credential: z.string(), package: z.string() });
export type DeployWish = z.infer<typeof wish>;

/** Where the package's unit looks for it. */
const kitFile = '/var/lib/tidemark-transport/kit.json';

export function deployFlow({ hosts, links, credentials, hostKeys }: { hosts: Hosts; links: Links; credentials: Credentials; hostKeys: HostKeys }): Flow<DeployWish> {
  return {
    wish,
    async run(asked, context) {
      const host = await hosts.find(asked.host);
      const credential = await credentials.host(asked.credential);
      const chosen = await packageAt(asked.package);
      const kit = { content: `${JSON.stringify(await hosts.kitFor(host))}\n`, to: kitFile };
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
        const { platform, hostKey } = await deployOverSsh({
          host: host.name,
          open: async (signal) => await openShell({ host: host.address, credential, hostKey: await hostKeys.rule(host.address, credential.port), signal }),
          packageFor: async () => await Promise.resolve(chosen),
          kit,
          healthy: async () => await Promise.resolve(isConnected(links, host.id)),
          say,
          signal: context.signal,
        });
        return { state: 'success', result: { kind: 'deploy', host: host.name, platform, hostKey: hostKey.fingerprint } };
      } finally {
        await saying;
      }
    },
  };
}

function isConnected(links: Links, id: string): true | string {
  const link = links.all().find((one) => one.id === id);
  if (link === undefined) return 'it has not enrolled yet';
  const { state, says } = link.standing();
  return state === 'connected' ? true : `its transport service is not connected: ${says ?? state}`;
}

/** A Debian package, an RPM, or a tar.gz that carries its own set-up. */
async function packageAt(file: string): Promise<HostPackage> {
  await access(file, constants.R_OK).catch((error: unknown) => {
    throw packageUnreadable({ file, why: (error as Error).message }, error);
  });
  if (file.endsWith('.deb')) return { file, install: (at) => `dpkg -i ${at}`, remove: 'dpkg --purge tidemark-transport' };
  if (file.endsWith('.rpm')) return { file, install: (at) => `rpm -U --replacepkgs ${at}`, remove: 'rpm -e tidemark-transport' };
  throw packageUnreadable({ file, why: 'it is neither a .deb nor an .rpm' });
}
