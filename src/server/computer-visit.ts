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
import { kitAwaited, packageNotNamed, servicesNotConnected } from './failures.ts';
import type { FlowContext } from './flow.ts';
import type { HostReach, Reached } from './host-reach.ts';
import type { WantedServices, ServicesFound, ServicesWanted } from './wanted-services.ts';
import type { Hosts } from './hosts.ts';

export type VisitServices = { hosts: Hosts; hostReach: HostReach; wantedServices: WantedServices; catalog: Catalog };
export type VisitDeadlines = { visitMs: number; deployMs: number };

/** What a visit came to, and what is to be written down of the computer. */
export type Visit = { readonly outcome: ComputerOutcome; readonly change: Partial<GroupComputerRow> };

type Visited = { readonly group: string; readonly options: GroupOptions; readonly computer: GroupComputerRow };

const usualMs: VisitDeadlines = { visitMs: 120_000, deployMs: 600_000 };

export async function visitComputer(visited: Visited, context: FlowContext, services: VisitServices, deadlines: Partial<VisitDeadlines> = {}): Promise<Visit> {
  const { computer, options } = visited;
  const ms = { ...usualMs, ...deadlines };
  let reached: Reached | undefined;
  let node: HostRow | undefined;
  let found: ServicesFound = { kind: 'missing' };
  let why: unknown;
  try {
    const there = await withDeadline(`the look at ${computer.name}`, ms.visitMs, async (signal) => await services.hostReach.reach(computer, options.hostCredential, signal), context.signal);
    reached = there;
    node = there.node;
    if (node !== undefined && there.notConnected !== null) throw servicesNotConnected({ node: node.name, why: there.notConnected });
    node ??= options.installServices ? await expect(computer, services.hosts) : undefined;
    const id = node?.id;
    if (id !== undefined) found = await withDeadline(`the deployment to ${computer.name}`, ms.deployMs, async (signal) => await services.wantedServices.bring(id, await wantedOf(visited, context, services, signal)), context.signal);
    if (found.kind === 'missing' && options.installServices) throw packageNotNamed({ group: visited.group, computer: computer.name });
  } catch (error) {
    context.signal.throwIfAborted();
    why = error;
    // The kit is made for a host that is expected.
    if (isFailure(error, kitAwaited) && node === undefined) node = await expect(computer, services.hosts).catch(() => undefined);
  }
  return visitOf(computer, reached, node, found, why, context.clock.now());
}

function visitOf(computer: GroupComputerRow, reached: Reached | undefined, node: HostRow | undefined, found: ServicesFound, why: unknown, nowMs: number): Visit {
  const says = why === undefined ? (found.kind === 'older' ? found.why : null) : sentenceOf(why);
  const brought = found.kind === 'missing' ? 'none' : found.kind === 'older' ? 'in place' : found.kind;
  const mongods = (reached?.look.mongods ?? []).map(({ port, version, replicaSet }) => ({ port, version, replicaSet })).sort((a, b) => a.port - b.port);
  return {
    outcome: { computer: computer.name, ok: why === undefined, way: reached?.way ?? null, services: brought, mongods, says },
    change: { says, ...(node !== undefined && { host: node.id }), ...(reached !== undefined && { look: JSON.stringify(reached.look), looked_ms: nowMs }) },
  };
}

/** A host of ours from now on, expected until its services have enrolled. */
async function expect(computer: GroupComputerRow, hosts: Hosts): Promise<HostRow> {
  const name = nodeNameOf(computer);
  const known = (await hosts.list()).find((row) => row.name === name && row.address === computer.address);
  return known ?? (await hosts.add(hostWish.parse({ name, address: computer.address }))).host;
}

async function wantedOf({ computer, options }: Visited, context: FlowContext, { hostReach }: VisitServices, signal: AbortSignal): Promise<ServicesWanted> {
  const credential = await hostReach.credentialOf(computer, options.hostCredential);
  const say = (step: string, text: string): void => {
    context.tell(`${computer.name}: ${step}: ${text}`).catch(() => {});
  };
  const means = credential === null || options.package === null ? null : { credential, package: options.package, say, signal };
  return { install: options.installServices, update: options.updateServices, means };
}
