/** The transport service of a host whose deployer answers: installed with a kit of its own, updated, or left alone. */
import type { HostRow } from '../../catalog/hosts.ts';
import { compareVersions } from '../../contract/packages.ts';
import type { FlowContext } from '../flow.ts';
import type { Hosts } from '../hosts.ts';
import type { HostServices } from '../host-services.ts';

const transport = 'tidemark-transport';
const enrolMs = 90_000;
const sessionsWithinMs = 3_600_000;

export async function bringTransport({ hosts, hostServices }: { hosts: Hosts; hostServices: HostServices }, id: string, context: FlowContext): Promise<{ host: string; platform: string; version: string }> {
  const described = await hostServices.describe(await hosts.find(id), context);
  // As it is now: what was under way may have had it enrol.
  const host = await hosts.find(id);
  const { platform } = described;
  const here = described.packages.find(({ name }) => name === transport);
  const offered = await hostServices.newest(transport, platform);
  const runs = here?.service === 'active' ? here.version : null;
  const version = newer(here?.version ?? null, offered.manifest.version);
  const service = await serviceOf(hosts, host);
  if (version === offered.manifest.version && runs !== version) {
    await context.step(`bring ${transport} ${version}`);
    await hostServices.bring(host, offered, context);
    await context.step(runs === null ? `install ${transport} ${version}` : `update ${transport} from ${runs} to ${version}`);
    if (runs === null) await hostServices.order(host, 'deployer.install', { package: offered.signed, service }, context);
    else await hostServices.order(host, 'deployer.update', { package: offered.signed, sessionsWithinMs }, context);
  }
  // What runs there keeps its certificate, unless the server does not know it any more.
  if (runs !== null && service.kit !== undefined) {
    await context.step(`have ${transport} enrol`);
    await hostServices.order(host, 'deployer.configure', { name: transport, service }, context);
  }
  await context.step('see that it is connected');
  await hostServices.awaitTransport(host, version, enrolMs, context.signal);
  return { host: host.name, platform, version };
}

const newer = (here: string | null, offered: string): string => (here !== null && compareVersions(here, offered) > 0 ? here : offered);

async function serviceOf(hosts: Hosts, host: HostRow) {
  const settings = { listen: { port: host.control_port }, data: { from: host.data_from, to: host.data_to } };
  return { settings, ...(host.state === 'expected' && { kit: await hosts.kitFor(host, 'transport') }) };
}
