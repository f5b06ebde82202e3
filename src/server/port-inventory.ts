/**
 * The machines of this installation as the port plan wants them. All that is known of hosts comes in here and nowhere
 * else: today the server's own machine, which is the host `local`, and the members of protected sets.
 */
import { getServers } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { hostname, networkInterfaces } from 'node:os';
import { isIP } from 'node:net';
import { withDeadline } from '../base/deadline.ts';
import type { OrderGiven, OrderName, OrderOutput } from '../contract/orders.ts';
import type { CallOptions } from '../contract/link/caller.ts';
import { discovered, hostAndPort } from '../contract/values.ts';
import { defaultPorts, isLoopback, usualSettings, type Inventory, type OutsideService, type PlannedHost, type PlannedSet } from '../domain/port-inventory.ts';
import type { Services } from './services.ts';

/** What a check needs of a link to a host. */
export type PortCaller = { call<N extends OrderName>(name: N, input: OrderGiven<N>, options?: CallOptions<N> & { waitMs?: number }): Promise<OrderOutput<N>> };

export type KnownInventory = { readonly inventory: Inventory; linkOf(host: PlannedHost): PortCaller | undefined };

const lookupMs = 3_000;

export async function inventoryOf({ sets, link, about }: Pick<Services, 'sets' | 'link' | 'about'>): Promise<KnownInventory> {
  const machine = { dial: hostname(), addresses: ownAddresses() };
  const local: PlannedHost = {
    ...machine,
    name: link.host,
    platform: 'linux',
    roles: ['repository'],
    sshPort: null,
    deployerPort: defaultPorts.deployer,
    controlPort: Number(link.address.slice(link.address.lastIndexOf(':') + 1)),
    dataPorts: defaultPorts.data,
    singlePort: false,
    dialling: 'server',
  };
  const planned: PlannedSet[] = [];
  for (const row of await sets.list()) {
    const { members } = discovered.parse(JSON.parse(row.discovered));
    const [seed] = hostAndPort.array().parse(JSON.parse(row.hosts));
    const found = await Promise.all(members.map(async ({ host, port }) => ({ host, port, addresses: await addressesOf(host) })));
    planned.push({ name: row.name, members: found, ...(seed !== undefined && { seed: `${seed.host}:${seed.port}` }) });
  }
  const settings = { ...usualSettings, restPort: Number(new URL(about().url).port || 443), dnsServers: nameServers() };
  return {
    inventory: { servers: [{ ...machine, name: machine.dial }], hosts: [local], sets: planned, settings },
    linkOf: (host) => (host.name === link.host ? link : undefined),
  };
}

/** Addresses that others can have this machine by; a machine without a network has its loopback. */
function ownAddresses(): string[] {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const outward = all.filter(({ internal, address }) => !internal && !address.startsWith('fe80:')).map(({ address }) => address);
  return outward.length > 0 ? outward : ['127.0.0.1'];
}

async function addressesOf(host: string): Promise<string[]> {
  if (isIP(host) !== 0) return [host];
  const found = await withDeadline(`the address of ${host}`, lookupMs, async () => await lookup(host, { all: true })).catch(() => []);
  return found.map(({ address }) => address);
}

/** Those of this machine's resolver settings; one on the machine itself needs no port of a network. */
function nameServers(): OutsideService[] {
  return getServers().flatMap((text) => {
    const match = /^\[([^\]]+)\](?::(\d+))?$/.exec(text) ?? (isIP(text) !== 0 ? [text, text] : /^([^:]+):(\d+)$/.exec(text));
    const address = match?.[1];
    if (address === undefined || isLoopback(address)) return [];
    return [{ name: address, dial: address, addresses: [address], port: Number(match?.[2] ?? 53) }];
  });
}
