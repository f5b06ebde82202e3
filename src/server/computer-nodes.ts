/** Which host of ours a computer of a group is: by what was found before, else by its address. */
import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { GroupComputerRow } from '../catalog/groups.ts';
import type { HostRow } from '../catalog/hosts.ts';
import { withDeadline } from '../base/deadline.ts';
import { localHost } from './hosts.ts';

const lookupMs = 3_000;

/** Without asking anybody: as it is shown. */
export function knownNode(computer: GroupComputerRow, hosts: readonly HostRow[]): HostRow | undefined {
  return hosts.find(({ id }) => id === computer.host) ?? hosts.find(({ id, address }) => id !== localHost && address === computer.address) ?? (ownAddresses().has(computer.address) ? hosts.find(({ id }) => id === localHost) : undefined);
}

/** The same, and where names differ by the addresses behind them. An address of this machine's is the host `local`. */
export async function findNode(computer: GroupComputerRow, hosts: readonly HostRow[]): Promise<HostRow | undefined> {
  const known = knownNode(computer, hosts);
  if (known !== undefined) return known;
  const own = ownAddresses();
  const addresses = await addressesOf(computer.address);
  if (addresses.some((address) => own.has(address))) return hosts.find(({ id }) => id === localHost);
  for (const host of hosts) {
    if (host.id === localHost) continue;
    const others = await addressesOf(host.address);
    if (others.some((address) => addresses.includes(address))) return host;
  }
  return undefined;
}

/** What a computer is called as a host of ours: an IPv6 address has colons, which a host's name has not. */
export function nodeNameOf({ name }: Pick<GroupComputerRow, 'name'>): string {
  return name.replace(/[^A-Za-z0-9._-]/g, '-').replace(/^[^A-Za-z0-9]+/, '').slice(0, 63) || 'node';
}

/** Exactly those of its interfaces: another address of 127.0.0.0/8 may be anybody's. */
function ownAddresses(): ReadonlySet<string> {
  return new Set(Object.values(networkInterfaces()).flatMap((list) => list ?? []).map(({ address }) => address));
}

async function addressesOf(host: string): Promise<string[]> {
  if (isIP(host) !== 0) return [host];
  const found = await withDeadline(`the address of ${host}`, lookupMs, async () => await lookup(host, { all: true })).catch(() => []);
  return found.map(({ address }) => address);
}
