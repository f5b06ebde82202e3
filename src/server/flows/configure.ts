/**
 * Ports and rights of a host's services, changed through its deployer; whether data channels come to one port is the
 * server's to say. A service that does not come back on its new port is given the old one again: the transport by an order,
 * the deployer by itself, because nobody can give it one then.
 *
 *   transport   configured ▶ healthy there ▶ the registry follows ▶ reached ─no─▶ configured back, the registry too
 *   deployer    configured ▶ the registry follows ▶ reached ─no─▶ the registry goes back ▶ it comes back by itself, 60 s later
 *
 * A flow that is taken up after a restart looks for the deployer at the new port first: it may have been told, and goes back
 * when nobody comes.
 */
import * as z from 'zod';
import type { HostRow } from '../../catalog/hosts.ts';
import { describe, isFailure } from '../../base/failure.ts';
import { hostConfigureWish } from '../../contract/routes/hosts.ts';
import { deployerMissing, serviceNotBack } from '../failures.ts';
import type { Flow, FlowContext } from '../flow.ts';
import type { Hosts } from '../hosts.ts';
import type { HostServices } from '../host-services.ts';

const wish = hostConfigureWish.extend({ host: z.string() });
export type ConfigureWish = z.infer<typeof wish>;

type Ports = Pick<HostRow, 'control_port' | 'deployer_port' | 'data_from' | 'data_to'>;
type Tools = { hosts: Hosts; hostServices: HostServices };

const transport = 'tidemark-transport';
const reachedMs = 15_000;
/** A deployer that is not heard from on its new port waits 60 s for it. */
const takenBackMs = 120_000;

export function configureFlow(tools: Tools): Flow<ConfigureWish> {
  const { hosts, hostServices } = tools;
  return {
    wish,
    async run(asked, context) {
      const host = await hosts.find(asked.host);
      const before = await context.note('before', () => portsOf(host));
      const wanted: Ports = {
        control_port: asked.controlPort ?? before.control_port,
        deployer_port: asked.deployerPort ?? before.deployer_port,
        data_from: asked.dataFrom ?? before.data_from,
        data_to: asked.dataTo ?? before.data_to,
      };
      const isOfServices = asked.rights !== undefined || (Object.keys(before) as (keyof Ports)[]).some((port) => before[port] !== wanted[port]);
      if (isOfServices && !hostServices.hasDeployer(host)) throw deployerMissing({ host: host.name });
      if (asked.rights !== undefined || ['control_port', 'data_from', 'data_to'].some((port) => before[port as keyof Ports] !== wanted[port as keyof Ports])) await changeTransport(tools, host, before, wanted, asked, context);
      if (before.deployer_port !== wanted.deployer_port) await changeDeployer(tools, host, before.deployer_port, wanted.deployer_port, context);
      if (asked.singlePort !== undefined) await hosts.change(host.id, { single_port: asked.singlePort ? 1 : 0 });
      const singlePort = (await hosts.find(host.id)).single_port === 1;
      return { state: 'success', result: { kind: 'configure', host: host.name, singlePort, controlPort: wanted.control_port, deployerPort: wanted.deployer_port, dataFrom: wanted.data_from, dataTo: wanted.data_to } };
    },
  };
}

const portsOf = ({ control_port, deployer_port, data_from, data_to }: HostRow): Ports => ({ control_port, deployer_port, data_from, data_to });
const settingsOf = (ports: Ports) => ({ listen: { port: ports.control_port }, data: { from: ports.data_from, to: ports.data_to } });

async function changeTransport({ hosts, hostServices }: Tools, host: HostRow, before: Ports, wanted: Ports, asked: ConfigureWish, context: FlowContext): Promise<void> {
  const { control_port, data_from, data_to } = wanted;
  await context.step(`have the transport use port ${control_port}, and ${data_from} to ${data_to} for data`);
  const service = { settings: settingsOf(wanted), rights: asked.rights };
  await hostServices.order(host, 'deployer.configure', { name: transport, service, sessionsWithinMs: asked.sessionsWithinMs }, context);
  await context.step(`reach it on port ${control_port}`);
  await hosts.change(host.id, { control_port, data_from, data_to });
  try {
    await hostServices.awaitTransport(host, undefined, reachedMs, context.signal);
  } catch (error) {
    if (!isFailure(error, serviceNotBack)) throw error;
    await context.step(`go back to port ${before.control_port}`);
    await context.say(describe(error), 'warning');
    await hostServices.order(host, 'deployer.configure', { name: transport, service: { settings: settingsOf(before) } }, context);
    await hosts.change(host.id, { control_port: before.control_port, data_from: before.data_from, data_to: before.data_to });
    await hostServices.awaitTransport(host, undefined, reachedMs, context.signal);
    throw serviceNotBack({ host: host.name, service: 'transport service', wanted: `port ${control_port}`, why: `${String(error.details['why'])}; it has port ${before.control_port} again` }, error);
  }
}

async function changeDeployer({ hosts, hostServices }: Tools, host: HostRow, from: number, to: number, context: FlowContext): Promise<void> {
  await context.step(`have the deployer use port ${to}`);
  const reachAt = async (port: number, ms: number) => await hostServices.awaitDeployer(await hosts.change(host.id, { deployer_port: port }), `port ${port}`, ms, () => true, context.signal);
  let isTold = true;
  await context.note('deployer told', () => {
    isTold = false;
    return true;
  });
  if (!isTold || !(await isThere(async () => await reachAt(to, reachedMs)))) {
    if (isTold) await hosts.change(host.id, { deployer_port: from });
    await hostServices.order(host, 'deployer.configure', { name: 'tidemark-deployer', service: { settings: { listen: { port: to } } } }, context);
  }
  await context.step(`reach it on port ${to}`);
  try {
    await reachAt(to, reachedMs);
  } catch (error) {
    if (!isFailure(error, serviceNotBack)) throw error;
    await context.step(`reach it on port ${from} again`);
    await context.say(describe(error), 'warning');
    const { last } = await reachAt(from, takenBackMs);
    throw serviceNotBack({ host: host.name, service: 'deployer service', wanted: `port ${to}`, why: `${last?.ok === false ? last.says : String(error.details['why'])}; it has port ${from} again` }, error);
  }
}

async function isThere(reach: () => Promise<unknown>): Promise<boolean> {
  try {
    await reach();
    return true;
  } catch (error) {
    if (!isFailure(error, serviceNotBack)) throw error;
    return false;
  }
}
