/**
 * The transport of a host is taken away, or everything of ours, the deployer last: then the host is forgotten as well.
 *
 *   told ─▶ uninstalled ─▶ forgotten
 *
 * A deployer that was told ends its work without us, and then there is nobody to ask: from then on one that does not answer
 * counts as gone, and the session says that nobody saw it.
 */
import * as z from 'zod';
import type { HostRow } from '../../catalog/hosts.ts';
import { describe, isFailure } from '../../base/failure.ts';
import { deployerMissing, hostUnknown, hostUnreachable } from '../failures.ts';
import type { Finished, Flow, FlowContext } from '../flow.ts';
import type { Hosts } from '../hosts.ts';
import type { HostServices } from '../host-services.ts';

const wish = z.object({ host: z.string(), all: z.boolean(), data: z.boolean() });
export type UninstallWish = z.infer<typeof wish>;

type Tools = { hosts: Hosts; hostServices: HostServices; goneAfterMs?: number };

const transport = 'tidemark-transport';
/** The code of agent/failures.ts: an earlier life of the session had it removed. */
const notInstalled = { code: 'agent.package-not-installed' };
const usuallyGoneAfterMs = 15_000;

export function uninstallFlow(tools: Tools): Flow<UninstallWish> {
  return { wish, run: async (asked, context) => (asked.all ? await uninstallAll(asked.host, context, tools) : await removeTransport(asked, context, tools)) };
}

async function demandChangeable(host: HostRow, { hosts, hostServices }: Tools): Promise<void> {
  if (!hostServices.hasDeployer(host)) throw deployerMissing({ host: host.name });
  await hosts.demandUnused(host);
}

async function removeTransport({ host: id, data }: UninstallWish, context: FlowContext, tools: Tools): Promise<Finished> {
  const { hosts, hostServices } = tools;
  const host = await hosts.find(id);
  await demandChangeable(host, tools);
  await context.step(data ? 'remove the transport, its settings and its data' : 'remove the transport');
  const { packages } = await hostServices.describe(host, context);
  if (packages.some(({ name, version }) => name === transport && version !== null)) {
    await hostServices.order(host, 'deployer.remove', { name: transport, data }, context).catch((error: unknown) => {
      if (!isFailure(error, notInstalled)) throw error;
    });
  }
  if (data) await hosts.forgetTransport(host);
  return { state: 'success', result: { kind: 'uninstall', host: host.name, all: false, data } };
}

async function uninstallAll(id: string, context: FlowContext, tools: Tools): Promise<Finished> {
  const { hosts } = tools;
  const name = await context.note('name', async () => (await hosts.find(id)).name);
  const host = (await hosts.list()).find((one) => one.id === id);
  await context.step('uninstall everything');
  const silence = await context.note('uninstalled', async () => {
    if (host === undefined) throw hostUnknown({ host: name });
    return await tell(host, context, tools);
  });
  await context.step(`forget ${name}`);
  if (host !== undefined) await hosts.remove(host);
  if (silence !== null) await context.say(`${name} was told to uninstall everything, and nobody saw it done: ${silence}; see there that ${placeOf(host)} is gone`, 'warning');
  return { state: silence === null ? 'success' : 'warning', result: { kind: 'uninstall', host: name, all: true, data: true } };
}

/** Where its programs are. */
function placeOf(host: HostRow | undefined): string {
  return host?.platform === 'windows' ? 'C:\\Program Files\\Tidemark' : '/opt/tidemark';
}

/** Answers null when it was done, or why it is not known. */
async function tell(host: HostRow, context: FlowContext, tools: Tools): Promise<string | null> {
  let isTold = await context.note('told', () => false);
  if (!isTold) {
    await demandChangeable(host, tools);
    await tools.hostServices.describe(host, context);
  }
  const beforeSent = async (): Promise<void> => {
    if (!isTold) await context.setNote('told', (isTold = true));
  };
  try {
    await tools.hostServices.order(host, 'deployer.uninstall-all', {}, context, { waitMs: tools.goneAfterMs ?? usuallyGoneAfterMs, beforeSent });
    return null;
  } catch (error) {
    if (!isTold || !isFailure(error, hostUnreachable)) throw error;
    return describe(error);
  }
}
