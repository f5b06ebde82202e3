/**
 * A computer of a group is reached by the transport link of its node where that is connected, else over SSH with its
 * credential; what is asked there is the same look either way.
 */
import type { GroupComputerRow } from '../catalog/groups.ts';
import type { HostRow } from '../catalog/hosts.ts';
import { isFailure } from '../base/failure.ts';
import type { HostCredential } from '../contract/credentials.ts';
import type { HostLook } from '../contract/host-look.ts';
import { findNode, nodeNameOf } from './computer-nodes.ts';
import type { Credentials } from './credentials.ts';
import { hostUnreachable, kitAwaited } from './failures.ts';
import type { HostContact } from './host-contact.ts';
import { localHost, type Hosts } from './hosts.ts';
import type { Links } from './links.ts';

export type Reached = {
  readonly way: 'link' | 'ssh';
  readonly node: HostRow | undefined;
  readonly look: HostLook;
  /** Why the link of a node that has enrolled was not taken. */
  readonly notConnected: string | null;
};

export type HostReach = ReturnType<typeof openHostReach>;

const linkMs = 10_000;

export function openHostReach({ hosts, links, credentials, contact }: { hosts: Hosts; links: Links; credentials: Credentials; contact: HostContact }) {
  /** How it is signed in to; null where it waits for its kit. */
  async function credentialOf(computer: GroupComputerRow, usual: string | null): Promise<HostCredential | null> {
    const id = computer.credential ?? usual;
    return computer.awaits_kit === 1 || id === null ? null : await credentials.host(id);
  }

  async function overLink(node: HostRow, signal: AbortSignal): Promise<HostLook | string> {
    try {
      const caller = await links.of(node.id).connected(linkMs, signal);
      return (await caller.call('host.look', {}, { signal })).look;
    } catch (error) {
      if (signal.aborted || !isFailure(error, hostUnreachable)) throw error;
      return links.of(node.id).standing().says ?? error.message;
    }
  }

  return {
    credentialOf,
    async reach(computer: GroupComputerRow, usual: string | null, signal: AbortSignal): Promise<Reached> {
      const node = await findNode(computer, await hosts.list());
      const linked = node?.state === 'enrolled' ? await overLink(node, signal) : null;
      if (linked !== null && typeof linked !== 'string') return { way: 'link', node, look: linked, notConnected: null };
      const credential = node?.id === localHost ? null : await credentialOf(computer, usual);
      if (credential !== null) {
        const look = await contact.look({ name: computer.name, address: computer.address, credential }, signal);
        return { way: 'ssh', node, look, notConnected: linked };
      }
      if (node !== undefined && linked !== null) throw hostUnreachable({ host: node.name, seconds: linkMs / 1000, why: linked });
      throw kitAwaited({ computer: computer.name, node: node?.name ?? nodeNameOf(computer) });
    },
  };
}
