/**
 * Both services of a host to the newest version that the distribution server has, the deployer first, because it lays down
 * what comes after it. Running tasks end first; what does not become healthy is taken back by the host itself.
 */
import * as z from 'zod';
import type { HostRow } from '../../catalog/hosts.ts';
import { compareVersions, type PackageName } from '../../contract/packages.ts';
import { deployerMissing, serviceNotBack } from '../failures.ts';
import type { Flow, FlowContext } from '../flow.ts';
import type { Hosts } from '../hosts.ts';
import type { Described, HostServices } from '../host-services.ts';

const wish = z.object({ host: z.string(), sessionsWithinMs: z.number() });
export type UpdateWish = z.infer<typeof wish>;

type Updated = { readonly name: PackageName; readonly before: string; readonly version: string };
/** Four starts in a minute, and then the version before. */
const backMs = 120_000;

export function updateFlow({ hosts, hostServices }: { hosts: Hosts; hostServices: HostServices }): Flow<UpdateWish> {
  async function updateOne(host: HostRow, name: PackageName, described: Described, sessionsWithinMs: number, context: FlowContext): Promise<Updated | undefined> {
    const runs = versionOf(name, described);
    if (runs === null) return undefined;
    // As it was found first: a flow that is taken up after a restart may find the new version there.
    const before = await context.note(`before ${name}`, () => runs);
    const offered = await hostServices.newest(name, described.platform);
    const { version } = offered.manifest;
    if (compareVersions(version, runs) <= 0) {
      await context.say(`${name} ${runs} is the newest`);
      return { name, before, version: runs };
    }
    await context.step(`bring ${name} ${version}`);
    await hostServices.bring(host, offered, context);
    await context.step(`update ${name} from ${runs} to ${version}`);
    await hostServices.order(host, 'deployer.update', { package: offered.signed, sessionsWithinMs }, context);
    if (name === 'tidemark-transport') await hostServices.awaitTransport(host, version, backMs, context.signal);
    else await hostServices.awaitDeployer(host, `version ${version}`, backMs, (now) => isUpdated(host, now, described, version), context.signal);
    await context.say(`${name} ${version} answers`);
    return { name, before, version };
  }

  return {
    wish,
    async run({ host: id, sessionsWithinMs }, context) {
      const host = await hosts.find(id);
      if (!hostServices.hasDeployer(host)) throw deployerMissing({ host: host.name });
      const services: Updated[] = [];
      for (const name of ['tidemark-deployer', 'tidemark-transport'] as const) {
        const described = await hostServices.describe(host, context);
        const updated = await updateOne(host, name, described, sessionsWithinMs, context);
        if (updated !== undefined) services.push(updated);
      }
      return { state: 'success', result: { kind: 'update', host: host.name, services } };
    },
  };
}

/** A deployer that has updated itself points to the new version before it runs. */
function versionOf(name: PackageName, { version, packages }: Described): string | null {
  return name === 'tidemark-deployer' ? version : (packages.find((one) => one.name === name)?.version ?? null);
}

/** The new process ends the change by itself; the one before it says that it did not. */
function isUpdated(host: HostRow, { version: runs, last }: Described, before: Described, to: string): boolean {
  const isNews = last !== null && last.atMs !== before.last?.atMs;
  if (isNews && !last.ok && last.what.startsWith('update tidemark-deployer ')) throw serviceNotBack({ host: host.name, service: 'deployer service', wanted: `version ${to}`, why: last.says });
  return runs === to;
}
