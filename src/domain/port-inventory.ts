/** Everything the port plan is made from: machines, what they are for, and the numbers that operators may have changed. */

import type { HostPlatform } from '../base/host-platform.ts';

export type PortRange = { readonly from: number; readonly to: number };

export type Machine = {
  readonly name: string;
  /** What others dial: an address, or a name that they resolve. */
  readonly dial: string;
  /** IP addresses as others see them. Firewall rules name these; without one no rule can be least-open. */
  readonly addresses: readonly string[];
};

/** `target`: nothing is backed up there, but sets are restored to it. */
export type HostRole = 'mongodb' | 'repository' | 'gateway' | 'distribution' | 'target';

export type PlannedHost = Machine & {
  readonly platform: HostPlatform;
  /** On Windows: its services come, or came, over Windows' own ports, and not by a kit that somebody carried there. */
  readonly isPushed?: boolean;
  readonly roles: readonly HostRole[];
  /** Null where the host was enrolled with a kit: no SSH at any time. */
  readonly sshPort: number | null;
  readonly deployerPort: number;
  readonly controlPort: number;
  readonly dataPorts: PortRange;
  /** Data channels come to the control port in place of the range. */
  readonly singlePort: boolean;
  /** Who dials the order link. A host that dials needs no open port for orders. */
  readonly dialling: 'server' | 'host';
  /** For each repository on it, how others reach it; none: straight. */
  readonly ways?: readonly RepositoryWay[];
  /** Hosts of repositories that backup copies here are made from. */
  readonly copiesFrom?: readonly string[];
  /** Names instead of DNS: Windows file sharing needs three ports more. */
  readonly netbios?: boolean;
};

/** `gateways`: names of hosts; none: straight. `hosts`: those that go through a gateway; null: all but the gateways. */
export type RepositoryWay = { readonly gateways: readonly string[]; readonly hosts: readonly string[] | null };

export type PlannedSet = {
  readonly name: string;
  /** As its members call each other, the seed among them. */
  readonly members: readonly SetMember[];
  /** Through which member the set is discovered; `host:port`, else the first member. */
  readonly seed?: string;
  /** The name behind `mongodb+srv://` that it was added by. */
  readonly srv?: string;
  /** Its own name, where it is called otherwise here. */
  readonly replicaSet?: string;
};
/** `isShown`: applications see it; not a hidden member and not an arbiter. */
export type SetMember = { readonly host: string; readonly port: number; readonly addresses?: readonly string[]; readonly isShown?: boolean };

export type OutsideService = Machine & { readonly port: number };

/**
 * A repository on storage that runs nothing of ours: a share or an object storage. `gateway`: the host that alone opens it;
 * null: each host that has data for it does. `keeper`: the host that looks after it though it may store nothing there itself.
 * A repository in a directory is on a host, which has the role `repository`.
 */
export type OutsideStore = OutsideService & { readonly gateway: string | null; readonly keeper: string | null } & ({ readonly kind: 'smb'; readonly netbios: boolean } | { readonly kind: 's3'; readonly tls: boolean });

/** `isActiveDirectory`: its nearest server is looked for over UDP, too. */
export type PlannedDirectory = { readonly servers: readonly OutsideService[]; readonly encryption: 'none' | 'starttls' | 'ldaps'; readonly isActiveDirectory: boolean };

/** What notifications are sent to. */
export type Receiver = OutsideService & { readonly protocol: 'udp' | 'tcp'; readonly service: 'smtp' | 'tcp' | 'silent' | 'https' | 'http' };

export type PortSettings = {
  readonly restPort: number;
  readonly enrolmentPort: number;
  readonly agentControlPort: number;
  readonly depotPort: number;
  readonly installerPort: number;
  /** The server's own machine runs the distribution server; one elsewhere is a host with that role. */
  readonly isDepotHere: boolean;
  readonly dnsServers: readonly OutsideService[];
  /** Networks (CIDR) from which people use the REST API and the console. */
  readonly operatorNetworks: readonly string[];
  readonly metricsNetworks: readonly string[];
  readonly directory: PlannedDirectory | null;
  readonly stores: readonly OutsideStore[];
  readonly postgresql: OutsideService | null;
  readonly mail: readonly Receiver[];
  readonly syslog: readonly Receiver[];
  readonly snmp: readonly Receiver[];
  readonly webhooks: readonly Receiver[];
};

export type Inventory = {
  /** A server and a host of one name, or with an address in common, are one machine. */
  readonly servers: readonly Machine[];
  readonly hosts: readonly PlannedHost[];
  readonly sets: readonly PlannedSet[];
  readonly settings: PortSettings;
};

export const defaultPorts = {
  rest: 9419,
  enrolment: 10002,
  agentControl: 10006,
  depot: 9380,
  installer: 11731,
  deployer: 6160,
  control: 6162,
  data: { from: 2500, to: 3300 },
  smb: 445,
  s3: 443,
  ldap: 389,
  ldaps: 636,
} as const;

export const usualSettings: PortSettings = {
  restPort: defaultPorts.rest,
  enrolmentPort: defaultPorts.enrolment,
  agentControlPort: defaultPorts.agentControl,
  depotPort: defaultPorts.depot,
  installerPort: defaultPorts.installer,
  isDepotHere: false,
  dnsServers: [],
  operatorNetworks: [],
  metricsNetworks: [],
  directory: null,
  stores: [],
  postgresql: null,
  mail: [],
  syslog: [],
  snmp: [],
  webhooks: [],
};

export function isSameMachine(a: Machine, b: Machine): boolean {
  return a.name === b.name || a.addresses.some((address) => b.addresses.includes(address));
}

/** A member that only its own machine can reach. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || host.startsWith('127.');
}
