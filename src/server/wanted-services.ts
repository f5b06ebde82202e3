/**
 * Where a rescan brings a host's services to the wanted state.
 *
 *   expected ──install──▶ enrolled, connected ──the package is newer──▶ updated
 *
 * One at a time for each host: who comes second finds what the first has done.
 */
import { basename } from 'node:path';
import type { Catalog } from '../catalog/catalog.ts';
import type { HostRow } from '../catalog/hosts.ts';
import type { HostCredential } from '../contract/credentials.ts';
import { compareVersions, packageVersion } from '../contract/packages.ts';
import { packageForm, type Deployed, type Deployment, type HostPackage } from './first-contact.ts';
import type { HostContact } from './host-contact.ts';
import { localHost, type Hosts } from './hosts.ts';
import type { Links } from './links.ts';

/** What a contact needs: how to become root there, what to install, and whom to tell. */
export type ServicesMeans = { readonly credential: HostCredential; /** On this machine. */ readonly package: string; readonly say: Deployment['say']; readonly signal?: AbortSignal };

export type ServicesWanted = {
  readonly install: boolean;
  readonly update: boolean;
  /** What can be done it with; null where the host is not to be reached over SSH or no package is named. */
  readonly means: ServicesMeans | null;
};

/** `missing`: it has none, and is not to get any or cannot. `older`: they are, and stay, for the reason given. */
export type ServicesFound = { readonly kind: 'in place' | 'installed' | 'updated' | 'missing' } | { readonly kind: 'older'; readonly why: string };

export type WantedServices = ReturnType<typeof openWantedServices>;

/** Where the package's unit looks for it. */
const kitFile = '/var/lib/tidemark-transport/kit.json';

export function openWantedServices({ hosts, links, catalog, contact }: { hosts: Hosts; links: Links; catalog: Catalog; contact: HostContact }) {
  const turns = new Map<string, Promise<unknown>>();

  async function inTurn<T>(host: string, work: () => Promise<T>): Promise<T> {
    const before = turns.get(host) ?? Promise.resolve();
    const mine = before.catch(() => {}).then(work);
    turns.set(host, mine);
    try {
      return await mine;
    } finally {
      if (turns.get(host) === mine) turns.delete(host);
    }
  }

  const versionOf = (host: string): string | null => links.standing(host)?.version ?? null;

  /** The host enrols with a kit of its own and answers orders. May be done again: what is there already is left alone. */
  async function install(host: HostRow, { credential, package: file, say, signal }: ServicesMeans, replaces?: string): Promise<Deployed> {
    const chosen = await packageAt(file);
    const kit = replaces === undefined ? { content: `${JSON.stringify(await hosts.kitFor(host, 'transport'))}\n`, to: kitFile } : undefined;
    const healthy = async (): Promise<true | string> => {
      const standing = links.answers(host.id);
      return await Promise.resolve(standing === true && versionOf(host.id) === replaces ? `it still runs version ${replaces}` : standing);
    };
    return await contact.deploy({ name: host.name, address: host.address, credential }, { packageFor: async () => await Promise.resolve(chosen), kit, healthy, say, signal });
  }

  /** Why the services of a host that is connected are not updated now, or which version they would be brought to. */
  async function newer(host: HostRow, runs: string, wanted: ServicesWanted): Promise<{ update: ServicesMeans } | { why: string } | undefined> {
    const offered = wanted.means === null ? null : packageVersionOf(wanted.means.package);
    if (!wanted.update || wanted.means === null || offered === null || compareVersions(offered, runs) <= 0) return undefined;
    const task = (await catalog.sessions.openTasks()).find((one) => one.host === host.id);
    return task === undefined ? { update: wanted.means } : { why: `version ${offered} is not installed now: session ${task.session} is at work there` };
  }

  return {
    async bring(id: string, wanted: ServicesWanted): Promise<ServicesFound> {
      return await inTurn(id, async () => {
        const host = await hosts.find(id);
        if (host.id === localHost) return { kind: 'in place' };
        if (host.state === 'enrolled') {
          const runs = versionOf(host.id);
          const found = runs === null ? undefined : await newer(host, runs, wanted);
          if (runs === null || found === undefined) return { kind: 'in place' };
          if ('why' in found) return { kind: 'older', why: found.why };
          await install(host, found.update, runs);
          return { kind: 'updated' };
        }
        if (!wanted.install || wanted.means === null) return { kind: 'missing' };
        await install(host, wanted.means);
        return { kind: 'installed' };
      });
    },
  };
}

/** As package files are named: `tidemark-transport_0.1.0_amd64.deb`, `tidemark-transport-0.1.0.x86_64.rpm`. */
function packageVersionOf(file: string): string | null {
  const name = basename(file);
  const version = (/^tidemark-transport_([^_]+)_/.exec(name) ?? /^tidemark-transport-(.+)\.[^.]+\.rpm$/.exec(name))?.[1];
  return version !== undefined && packageVersion.safeParse(version).success ? version : null;
}

async function packageAt(file: string): Promise<HostPackage> {
  return (await packageForm(file)) === 'deb' ? { file, install: (at) => `dpkg -i ${at}`, remove: 'dpkg --purge tidemark-transport' } : { file, install: (at) => `rpm -U --replacepkgs ${at}`, remove: 'rpm -e tidemark-transport' };
}
