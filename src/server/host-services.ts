/**
 * What the server does about the services of a host, through its deployer: has packages brought there, gives its orders
 * until they are answered, and waits for a service to come back. The sessions that use it (flows/deploy, update, configure,
 * uninstall) may run again after a restart: every order here may be given twice.
 */
import { describe, isFailure } from '../base/failure.ts';
import { until } from '../base/deadline.ts';
import { linkLost } from '../contract/failures.ts';
import type { DeployerOrder, OrderEvent, OrderGiven, OrderOutput } from '../contract/orders.ts';
import type { PackageName } from '../contract/packages.ts';
import { sendPackage } from '../contract/send-package.ts';
import type { HostRow } from '../catalog/hosts.ts';
import type { Distribution, OfferedPackage } from './distribution.ts';
import { deployerMissing, serviceNotBack } from './failures.ts';
import type { FlowContext } from './flow.ts';
import type { Links } from './links.ts';

export type HostServices = ReturnType<typeof openHostServices>;
export type Described = OrderOutput<'deployer.describe'>;
/** `waitMs`: for the link to be there. `beforeSent`: it is. */
type Giving = { readonly waitMs?: number; readonly beforeSent?: () => Promise<void> };

/** The code of agent/failures.ts: a change that another session or an earlier life of this one has begun. */
const deployerBusy = { code: 'agent.deployer-busy' };
const momentMs = 5_000;
const reachMs = 60_000;
const patienceMs = 900_000;

export function openHostServices({ links, deployers, distribution }: { links: Links; deployers: Links; distribution: Distribution }) {
  const hasDeployer = (host: HostRow): boolean => deployers.standing(host.id) !== undefined;

  /** Whether its deployer takes orders, or does in a moment. */
  async function answers(host: HostRow, signal: AbortSignal): Promise<boolean> {
    const isThere = hasDeployer(host) && (await deployers.of(host.id).connected(momentMs, signal).then(() => true, () => false));
    signal.throwIfAborted();
    return isThere;
  }

  async function giveOnce<N extends DeployerOrder>(host: HostRow, name: N, input: OrderGiven<N>, context: FlowContext, { waitMs = reachMs, beforeSent }: Giving): Promise<OrderOutput<N>> {
    const onEvent = async (event: OrderEvent<N>): Promise<void> => {
      await context.tell((event as { step: string }).step);
    };
    if (beforeSent !== undefined) {
      await deployers.of(host.id).connected(waitMs, context.signal);
      await beforeSent();
    }
    return await deployers.of(host.id).call(name, input, { signal: context.signal, waitMs, onEvent });
  }

  /** An order, given again when the link was lost under it or another change is on its way there. */
  async function order<N extends DeployerOrder>(host: HostRow, name: N, input: OrderGiven<N>, context: FlowContext, giving: Giving = {}): Promise<OrderOutput<N>> {
    if (!hasDeployer(host)) throw deployerMissing({ host: host.name });
    const untilMs = context.clock.monotonicMs() + patienceMs;
    for (;;) {
      try {
        return await giveOnce(host, name, input, context, giving);
      } catch (error) {
        if (!isFailure(error, linkLost) && !isFailure(error, deployerBusy)) throw error;
        if (context.clock.monotonicMs() >= untilMs) throw error;
        await context.tell(`${name} is given again: ${describe(error)}`);
        await context.clock.wait(1_000, context.signal);
      }
    }
  }

  return {
    hasDeployer,
    answers,
    order,

    /** What is there when nothing is under way: what an earlier life of the session has begun may still be taken back. */
    async describe(host: HostRow, context: FlowContext): Promise<Described> {
      const untilMs = context.clock.monotonicMs() + patienceMs;
      for (let said = ''; ; ) {
        const described = await order(host, 'deployer.describe', {}, context);
        if (described.busy === null || context.clock.monotonicMs() >= untilMs) return described;
        if (described.busy !== said) await context.tell(`the deployer ${(said = described.busy)}`);
        await context.clock.wait(1_000, context.signal);
      }
    },

    /** Where the server may dial the host, the distribution server does too; else the bytes go down the link that the host opened. */
    async bring(host: HostRow, { manifest, signed }: OfferedPackage, context: FlowContext): Promise<void> {
      const { name, version, bytes } = manifest;
      await context.tell(`${name} ${version}, ${(bytes / 1e6).toFixed(1)} MB, from the distribution server`);
      if (host.dials === 'server') return await distribution.send(manifest, { host: host.id, address: host.address, port: host.deployer_port }, context.signal);
      const deployer = await deployers.of(host.id).connected(reachMs, context.signal);
      await sendPackage(deployer, signed, async (from, length) => await distribution.bytes(manifest, from, length), context.signal);
    },

    /** Until the link to a service is there with the version that is wanted, or any. */
    async awaitTransport(host: HostRow, version: string | undefined, ms: number, signal: AbortSignal): Promise<void> {
      let why = 'it has not enrolled yet';
      const there = async (): Promise<true | undefined> => {
        const standing = links.standing(host.id);
        if (standing !== undefined) why = standing.state === 'connected' ? `version ${standing.version} answers` : (standing.says ?? standing.state);
        return await Promise.resolve(standing?.state === 'connected' && (version === undefined || standing.version === version) ? true : undefined);
      };
      await until(`the transport of ${host.name}`, ms, there, { everyMs: 200, signal }).catch((error: unknown) => {
        if (!isFailure(error, { code: 'base.deadline-passed' })) throw error;
        throw serviceNotBack({ host: host.name, service: 'transport service', wanted: version === undefined ? 'an answer' : `version ${version}`, why }, error);
      });
    },

    /** Until the deployer answers and `look` is content with it; what it throws ends the waiting. */
    async awaitDeployer(host: HostRow, wanted: string, ms: number, look: (described: Described) => boolean, signal: AbortSignal): Promise<Described> {
      let why = 'it was not reached';
      const there = async (): Promise<Described | undefined> => {
        const caller = await deployers.of(host.id).connected(1_000, signal).catch((error: unknown) => void (why = describe(error)));
        const described = await caller?.call('deployer.describe', {}, { signal }).catch((error: unknown) => void (why = describe(error)));
        if (described === undefined || look(described)) return described ?? undefined;
        why = `version ${described.version} answers`;
        return undefined;
      };
      return await until(`the deployer of ${host.name}`, ms, there, { everyMs: 300, signal }).catch((error: unknown) => {
        if (!isFailure(error, { code: 'base.deadline-passed' })) throw error;
        throw serviceNotBack({ host: host.name, service: 'deployer service', wanted, why }, error);
      });
    },

    newest: async (name: PackageName, platform: string): Promise<OfferedPackage> => await distribution.find({ name, version: 'latest', platform: platform as 'linux-x64' | 'linux-arm64' }),
  };
}
