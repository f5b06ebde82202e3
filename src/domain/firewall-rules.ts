/** The plan as rules for the machine that must let others in: who may come, by address, to which ports. */
import { isIP } from 'node:net';
import { isSameMachine, type Machine, type PortRange } from './port-inventory.ts';
import type { PlanEntry } from './port-plan.ts';

export type FirewallRule = {
  readonly row: number;
  readonly from: string;
  /** Addresses or networks; all of one family. */
  readonly sources: readonly string[];
  readonly family: 'ipv4' | 'ipv6';
  readonly protocol: 'tcp' | 'udp';
  readonly ports: readonly PortRange[];
  readonly purpose: string;
};

export type MachineRules = {
  readonly machine: string;
  /** Not a machine of this installation (a share, a directory, a name server): these are the rules for what we ask of it, beside its own. */
  readonly isOutside: boolean;
  readonly rules: readonly FirewallRule[];
  /** What stays closed, because no address is known to open it for: a rule without a source would let everybody in. */
  readonly closed: readonly { readonly row: number; readonly from: string; readonly protocol: 'tcp' | 'udp'; readonly ports: readonly PortRange[] }[];
};

/** Rules for each machine that others come to, in the order of the machines given. */
export function firewallRules(entries: readonly PlanEntry[], machines: readonly Machine[], outside: readonly Machine[] = []): MachineRules[] {
  return [...machines, ...outside].map((machine) => {
    const incoming = entries.filter(({ to }) => isSameMachine(to, machine));
    return {
      machine: machine.name,
      isOutside: outside.includes(machine),
      rules: incoming.flatMap(rulesOf),
      closed: incoming.filter((entry) => rulesOf(entry).length === 0).map(({ row, from, protocol, ports }) => ({ row, from: from.name, protocol, ports })),
    };
  });
}

/** Servers and hosts, each machine once. */
export function ourMachines(servers: readonly Machine[], hosts: readonly Machine[]): Machine[] {
  return onceEach([...servers, ...hosts], []);
}

/** Machines that the plan leads to and that are not among `ours`, each once. */
export function outsideMachines(entries: readonly PlanEntry[], ours: readonly Machine[]): Machine[] {
  return onceEach(entries.flatMap(({ to }) => (to.kind === 'outside' ? [to] : [])), ours);
}

function onceEach(machines: readonly Machine[], but: readonly Machine[]): Machine[] {
  return machines.reduce<Machine[]>((known, machine) => ([...known, ...but].some((other) => isSameMachine(other, machine)) ? known : [...known, machine]), []);
}

function rulesOf({ row, from, protocol, ports, purpose }: PlanEntry): FirewallRule[] {
  return (['ipv4', 'ipv6'] as const).flatMap((family) => {
    const sources = [...new Set(from.addresses.filter((address) => familyOf(address) === family))];
    return sources.length === 0 ? [] : [{ row, from: from.name, sources, family, protocol, ports, purpose }];
  });
}

/** Of an address or a network in CIDR form; anything else is no source. */
export function familyOf(text: string): 'ipv4' | 'ipv6' | undefined {
  const [address = '', bits, ...more] = text.split('/');
  const version = address.includes('%') ? 0 : isIP(address);
  if (version === 0 || more.length > 0) return undefined;
  if (bits !== undefined && !(/^\d{1,3}$/.test(bits) && Number(bits) <= (version === 4 ? 32 : 128))) return undefined;
  return version === 4 ? 'ipv4' : 'ipv6';
}
