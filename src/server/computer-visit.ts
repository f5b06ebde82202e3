/**
 * One computer of a group in a rescan: connect, look, services.
 *
 * Connecting and looking have one deadline, a deployment its own. What fails becomes the outcome of this computer; only
 * the end of the session ends the visit with an error.
 */
import type { Catalog } from '../catalog/catalog.ts';
import type { GroupComputerRow } from '../catalog/groups.ts';
import type { HostRow } from '../catalog/hosts.ts';
import { withDeadline } from '../base/deadline.ts';
import { isFailure, sentenceOf } from '../base/failure.ts';
import type { ComputerOutcome, GroupOptions } from '../contract/groups.ts';
import { hostWish } from '../contract/routes/hosts.ts';
import { nodeNameOf } from './computer-nodes.ts';
import { servicesNotConnected } from './failures.ts';
import { kitAwaited } from './group-failures.ts';
import type { FlowContext } from './flow.ts';
import { credentialIdOf, type HostReach, type Reached } from './host-reach.ts';
import type { HostServices } from './host-services.ts';
import type { Hosts } from './hosts.ts';
import type { ServicesFound, ServicesWanted, WantedServices } from './wanted-services.ts';

export type VisitServices = { hosts: Hosts; hostReach: HostReach; hostServices: HostServices; wantedServices: WantedServices; catalog: Catalog };
export type VisitDeadlines = { visitMs: number; deployMs: number };

/** What a visit came to, and what is to be written down of the computer. */
export type Visit = { readonly outcome: ComputerOutcome; readonly change: Partial<GroupComputerRow> };

type Visited = { readonly group: string; readonly options: GroupOptions; readonly computer: GroupComputerRow };

const usualMs: VisitDeadlines = { visitMs: 120_000, deployMs: 600_000 };

export async function visitComputer(visited: Visited, context: FlowContext, services: VisitServices, deadlines: Partial<VisitDeadlines> = {}): Promise<Visit> {
  const { computer, options } = visited;
  const { hosts, hostReach, hostServices } = services;
  const ms = { ...usualMs, ...deadlines };
  let reached: Reached | undefined;
  let node: HostRow | undefined;
  let found: ServicesFound = { kind: 'missing' };
  let why: unknown;
  const look = async (): Promise<Reached> => await withDeadline(`the look at ${computer.name}`, ms.visitMs, async (signal) => await hostReach.reach(computer, node, options.hostCredential, signal), context.signal);
  const bring = async ({ id }: HostRow, mayInstall: boolean): Promise<ServicesFound> =>
    await withDeadline(`the deployment to ${computer.name}`, ms.deployMs, async (signal) => await services.wantedServices.bring(id, wantedOf(visited, mayInstall), context, signal), context.signal);
  try {
    node = await hostReach.nodeOf(computer);
    if (options.installServices && node?.state === 'expected' && (await hostServices.answers(node, context.signal))) {
      // Its deployer came by an installer: from there on nothing needs SSH.
      found = await bring(node, true);
      node = await hosts.find(node.id);
    }
    reached = await look();
    if (found.kind === 'missing') {
      node ??= options.installServices ? await expect(computer, hosts) : undefined;
      if (node !== undefined) found = await bring(node, reached.notConnected === null);
      if (node !== undefined && reached.notConnected !== null && found.kind !== 'updated') throw servicesNotConnected({ node: node.name, why: reached.notConnected });
    }
  } catch (error) {
    context.signal.throwIfAborted();
    why = error;
    // The kit is made for a host that is expected.
    if (isFailure(error, kitAwaited) && node === undefined) node = await expect(computer, hosts).catch(() => undefined);
  }
  return visitOf(computer, reached, node, found, why, context.clock.now());
}

function visitOf(computer: GroupComputerRow, reached: Reached | undefined, node: HostRow | undefined, found: ServicesFound, why: unknown, nowMs: number): Visit {
  const says = why === undefined ? (found.kind === 'left' ? found.why : null) : sentenceOf(why);
  const brought = found.kind === 'missing' ? 'none' : found.kind === 'left' ? 'in place' : found.kind;
  const mongods = (reached?.look.mongods ?? []).map(({ port, version, replicaSet }) => ({ port, version, replicaSet })).sort((a, b) => a.port - b.port);
  return {
    outcome: { computer: computer.name, ok: why === undefined, way: reached?.way ?? null, services: brought, mongods, says },
    change: { says, ...(node !== undefined && { host: node.id }), ...(reached !== undefined && { look: JSON.stringify(reached.look), looked_ms: nowMs }) },
  };
}

/** A host of ours from now on, expected until its services have enrolled. */
async function expect(computer: GroupComputerRow, hosts: Hosts): Promise<HostRow> {
  const name = nodeNameOf(computer);
  const known = async (): Promise<HostRow | undefined> => (await hosts.list()).find((row) => row.name === name && row.address === computer.address);
  try {
    return (await known()) ?? (await hosts.add(hostWish.parse({ name, address: computer.address }))).host;
  } catch (error) {
    // Another group met it at the same moment.
    const other = await known();
    if (other === undefined) throw error;
    return other;
  }
}

/** A service that was installed and is not connected is not installed once more, but may be older than what it is to talk to. */
function wantedOf({ group, computer, options }: Visited, mayInstall: boolean): ServicesWanted {
  return { install: options.installServices && mayInstall, update: options.updateServices, credential: credentialIdOf(computer, options.hostCredential), reason: `rescan of group ${group}` };
}
