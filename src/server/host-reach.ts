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
import { hostUnreachable } from './failures.ts';
import { kitAwaited } from './group-failures.ts';
import type { HostContact } from './host-contact.ts';
import { localHost, type Hosts } from './hosts.ts';
import type { Links } from './links.ts';

export type Reached = {
  readonly way: 'link' | 'ssh';
  readonly look: HostLook;
  /** Why the link of a node that has enrolled was not taken. */
  readonly notConnected: string | null;
};

export type HostReach = ReturnType<typeof openHostReach>;

const linkMs = 10_000;

/** The id of the credential that it is signed in to with; null where it waits for its kit. */
export function credentialIdOf(computer: GroupComputerRow, usual: string | null): string | null {
  return computer.awaits_kit === 1 ? null : (computer.credential ?? usual);
}

export function openHostReach({ hosts, links, credentials, contact }: { hosts: Hosts; links: Links; credentials: Credentials; contact: HostContact }) {
  async function credentialOf(computer: GroupComputerRow, usual: string | null): Promise<HostCredential | null> {
    const id = credentialIdOf(computer, usual);
    return id === null ? null : await credentials.host(id);
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
    nodeOf: async (computer: GroupComputerRow): Promise<HostRow | undefined> => await findNode(computer, await hosts.list()),

    async reach(computer: GroupComputerRow, node: HostRow | undefined, usual: string | null, signal: AbortSignal): Promise<Reached> {
      const linked = node?.state === 'enrolled' ? await overLink(node, signal) : null;
      if (linked !== null && typeof linked !== 'string') return { way: 'link', look: linked, notConnected: null };
      const credential = node?.id === localHost ? null : await credentialOf(computer, usual);
      if (credential !== null) {
        const look = await contact.look({ name: computer.name, address: computer.address, credential }, signal);
        return { way: 'ssh', look, notConnected: linked };
      }
      if (node !== undefined && linked !== null) throw hostUnreachable({ host: node.name, seconds: linkMs / 1000, why: linked });
      throw kitAwaited({ computer: computer.name, node: node?.name ?? nodeNameOf(computer) });
    },
  };
}
