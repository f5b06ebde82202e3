/**
 * The port plan: which machine must reach which, on what, for the machines that there are (docs/design/ports.md).
 *
 * A row of docs/reference/ports.md becomes one entry for each pair of machines and each service that answers there. A
 * machine needs nothing of a firewall to reach itself, so such pairs are left out. What an earlier entry of the same pair
 * opens, a later one does not list again: each port has one entry that opens it, and a closed port has one to name.
 */
import { defaultPorts, isLoopback, isSameMachine, type HostRole, type Inventory, type Machine, type OutsideStore, type PlannedHost, type PortRange, type PortSettings, type Receiver, type RepositoryWay, type SetMember } from './port-inventory.ts';

/**
 * What must answer. `tidemark`: TLS with a certificate of this installation's authority; `data`: the same on a port where
 * nobody listens unless a job runs; `silent`: a protocol that never answers; `rpc`: Windows alone answers, after a question
 * on another port.
 */
export type PortService = 'ssh' | 'tidemark' | 'data' | 'mongod' | 'dns' | 'ldap' | 'ldap-starttls' | 'ldaps' | 'smb' | 'postgresql' | 'smtp' | 'https' | 'http' | 'tcp' | 'silent' | 'rpc';

export type Party = Machine & {
  /** `host`: can be given orders; `network`: a range of addresses that people or other programs come from. */
  readonly kind: 'server' | 'host' | 'outside' | 'network';
};

export type PlanEntry = {
  /** Number of the row in docs/reference/ports.md. */
  readonly row: number;
  readonly from: Party;
  readonly to: Party;
  readonly protocol: 'tcp' | 'udp';
  readonly ports: readonly PortRange[];
  readonly service: PortService;
  readonly purpose: string;
  readonly changedBy: string;
  /** The product works without it, slower or with less. */
  readonly optional: boolean;
};

type What = Pick<PlanEntry, 'service' | 'purpose' | 'changedBy'> & { readonly protocol?: 'udp'; readonly optional?: true };
type Add = (row: number, from: Party, to: Party, ports: number | PortRange | readonly (number | PortRange)[], what: What) => void;

const dynamicRpc: PortRange = { from: 49152, to: 65535 };
const hostFile = 'server setting for the host, and the service\'s config file';
const range = 'range of the host';
const operatingSystem = 'operating system';
const straight: RepositoryWay = { gateways: [], hosts: null };

export function planPorts(inventory: Inventory): PlanEntry[] {
  const entries: PlanEntry[] = [];
  const opened = new Map<string, PortRange[]>();
  const machineOf = numberMachines();
  const add: Add = (row, from, to, ports, what) => {
    const [here, there] = [machineOf(from), machineOf(to)];
    if (here === there) return;
    const { protocol = 'tcp', optional = false, ...rest } = what;
    const wanted = (Array.isArray(ports) ? (ports as (number | PortRange)[]) : [ports as number | PortRange]).map(rangeOf);
    const pair = `${here} ${there} ${protocol}`;
    const before = opened.get(pair) ?? [];
    const left = subtract(wanted, before);
    if (left.length === 0) return;
    opened.set(pair, [...before, ...left]);
    entries.push({ row, from, to, protocol, ports: left, optional, ...rest });
  };
  const servers = inventory.servers.map((server): Party => ({ ...partOf(server), kind: 'server' }));
  const hosts = inventory.hosts.map((host) => ({ host, party: partyOf(host, inventory.servers) }));
  for (const server of servers) {
    for (const { host, party } of hosts) planManaged(add, server, host, party, inventory.settings);
    planDirectory(add, server, inventory.settings);
    planServerServices(add, server, inventory.settings);
  }
  for (const { host, party } of hosts) if (has(host, 'distribution')) planPackages(add, party, hosts, inventory.settings);
  if (inventory.settings.isDepotHere) for (const server of servers) planInstallers(add, server, hosts, inventory.settings);
  for (const { host, party } of hosts) for (const server of servers) planCallsBack(add, host, party, server, hosts, inventory.settings);
  planSets(add, servers, hosts, inventory);
  for (const { host, party } of hosts) planData(add, host, party, hosts, inventory.settings);
  return entries.sort((a, b) => a.row - b.row);
}

/** One number for all names and addresses of a machine. */
function numberMachines(): (machine: Machine) => number {
  const numbers = new Map<string, number>();
  return ({ name, addresses }) => {
    const marks = [`name ${name}`, ...addresses];
    const known = marks.map((mark) => numbers.get(mark)).find((number) => number !== undefined) ?? numbers.size;
    for (const mark of marks) numbers.set(mark, known);
    return known;
  };
}

type Placed = { readonly host: PlannedHost; readonly party: Party };

/** Rows 1 to 7 and 27: from the server to a host it manages. */
function planManaged(add: Add, server: Party, host: PlannedHost, to: Party, settings: PortSettings): void {
  const isTarget = has(host, 'target') && !has(host, 'mongodb');
  const number = (row: number): number => (isTarget ? 27 : row);
  const purpose = (text: string): string => (isTarget ? `restores: ${text}` : text);
  if (host.platform === 'linux' && host.sshPort !== null) {
    add(number(1), server, to, host.sshPort, { service: 'ssh', purpose: purpose('SSH: first contact, deployment of the deployer service'), changedBy: 'port in the host\'s credential' });
  }
  if (has(host, 'distribution')) {
    add(5, server, to, settings.installerPort, { service: 'tidemark', purpose: 'installer service of the distribution server', changedBy: 'setting of the distribution server' });
    add(7, server, to, settings.depotPort, { service: 'tidemark', purpose: 'distribution service API', changedBy: 'setting of the distribution server' });
  }
  if (host.platform === 'windows') planWindowsContact(add, server, host, to);
  if (host.dialling === 'server') {
    add(number(2), server, to, host.deployerPort, { service: 'tidemark', purpose: purpose('deployer service: inventory, install, update, remove'), changedBy: hostFile });
    add(number(3), server, to, host.controlPort, { service: 'tidemark', purpose: purpose('transport service: control of movers and mongo agent'), changedBy: hostFile });
  }
  // Last: it would hide a port of ours that somebody has put among them.
  if (host.platform === 'windows') add(6, server, to, dynamicRpc, { service: 'rpc', purpose: 'dynamic RPC, after a question on port 135', changedBy: operatingSystem, optional: true });
}

/** A distribution server's are needed as the port table has them; any other host's only where its services are pushed there. */
function planWindowsContact(add: Add, server: Party, host: PlannedHost, to: Party): void {
  const isDepot = has(host, 'distribution');
  const byChoice = isDepot || host.isPushed === true ? {} : ({ optional: true } as const);
  add(5, server, to, defaultPorts.smb, { service: 'smb', purpose: 'share and service control for the first install', changedBy: operatingSystem, ...byChoice });
  if (isDepot) add(5, server, to, host.deployerPort, { service: 'tidemark', purpose: 'deployer service', changedBy: hostFile });
  add(5, server, to, defaultPorts.installer, { service: 'data', purpose: 'installer service, for as long as a first install takes', changedBy: 'it cannot be', ...byChoice });
  add(5, server, to, 135, { service: 'tcp', purpose: 'RPC: makes the first install faster', changedBy: operatingSystem, optional: true });
  if (host.netbios === true) planNetbios(add, 5, server, to);
}

function planNetbios(add: Add, row: number, from: Party, to: Party): void {
  const what = { purpose: 'NetBIOS names and sessions', changedBy: operatingSystem } as const;
  add(row, from, to, { from: 137, to: 138 }, { ...what, service: 'silent', protocol: 'udp' });
  add(row, from, to, 139, { ...what, service: 'tcp' });
}

/** Row 30: a host that no SSH leads to fetches its first package itself. */
function planInstallers(add: Add, depot: Party, hosts: readonly Placed[], settings: PortSettings): void {
  for (const { host, party } of hosts) {
    if (host.sshPort !== null || host.platform !== 'linux') continue;
    add(30, party, depot, settings.installerPort, { service: 'tidemark', purpose: 'installer service: the first package, without SSH', changedBy: 'setting of the distribution server', optional: true });
  }
}

/** Rows 8 and 30: packages from the distribution server to every other host. */
function planPackages(add: Add, depot: Party, hosts: readonly Placed[], settings: PortSettings): void {
  planInstallers(add, depot, hosts, settings);
  for (const { host, party } of hosts) {
    if (host.sshPort !== null && host.platform === 'linux') {
      add(8, depot, party, host.sshPort, { service: 'ssh', purpose: 'packages over SSH for a first install', changedBy: 'port in the host\'s credential' });
    }
    if (host.dialling !== 'server') continue;
    add(8, depot, party, [host.deployerPort, host.controlPort], { service: 'tidemark', purpose: 'packages through the deployer and transport services', changedBy: hostFile });
  }
}

/** Rows 9 and 10: from a managed host to the server. */
function planCallsBack(add: Add, host: PlannedHost, from: Party, server: Party, hosts: readonly Placed[], settings: PortSettings): void {
  add(9, from, server, [settings.enrolmentPort, settings.agentControlPort], {
    service: 'tidemark',
    purpose: 'enrolment and renewal of certificates; agent control: state, progress, calls back. No backup data',
    changedBy: 'settings, announced to the hosts',
  });
  if (!has(host, 'mongodb')) return;
  for (const { host: own, party } of hosts) {
    if (!isSameMachine(party, server) || !(has(own, 'repository') || has(own, 'gateway'))) continue;
    add(10, from, server, [own.deployerPort, own.controlPort], { service: 'tidemark', purpose: 'deployer and transport of the server\'s own machine, which is a managed host itself', changedBy: 'their config files' });
  }
}

/** Rows 11, 12 and 29: MongoDB's own protocol. */
function planSets(add: Add, servers: readonly Party[], hosts: readonly Placed[], inventory: Inventory): void {
  for (const set of inventory.sets) {
    const members = set.members.filter(({ host }) => !isLoopback(host));
    const seed = members.find((member) => `${member.host}:${member.port}` === set.seed) ?? members[0];
    const placed = members.map((member) => ({ member, party: partyOfMember(member, hosts) }));
    for (const server of servers) {
      for (const { member, party } of placed) {
        const [row, why] = member === seed ? [11, 'discovery through this member, and its state'] : [12, 'state of this member'];
        const changedBy = row === 11 ? 'seed of the set in its protection group' : 'learnt by the rescan';
        add(row, server, party, member.port, { service: 'mongod', purpose: `MongoDB wire protocol of ${set.name}: ${why}`, changedBy });
      }
    }
    for (const { party: from } of placed) {
      for (const { member, party } of placed) {
        if (from.kind === 'outside' && party.kind === 'outside') continue;
        add(29, from, party, member.port, { service: 'mongod', purpose: `${set.name} itself: elections and replication; oplog read from another member`, changedBy: 'learnt by the rescan' });
      }
    }
  }
}

/** Rows 4, 13 to 16, 20, 21 and 28: backup data, from the host that has it to where it is kept; and from there to where it is copied. */
function planData(add: Add, host: PlannedHost, from: Party, hosts: readonly Placed[], settings: PortSettings): void {
  const isMongodb = has(host, 'mongodb');
  const isTarget = has(host, 'target') && !isMongodb;
  if (isMongodb) {
    // Where the server's machine keeps a repository, it is the one that has data to bring back.
    for (const { host: own, party } of hosts) {
      if (party.kind !== 'server' || !has(own, 'repository') || host.singlePort || host.dialling === 'host') continue;
      add(4, party, from, host.dataPorts, { service: 'data', purpose: 'data channels of a mover on the server\'s own machine, one port for each TCP connection', changedBy: range });
    }
  }
  const copies = (store: PlannedHost): boolean => host.copiesFrom?.includes(store.name) === true;
  if (isMongodb || isTarget || hosts.some(({ host: store }) => copies(store))) {
    for (const { host: store, party } of hosts) {
      if (!has(store, 'repository') || isSameMachine(from, party) || !(isMongodb || isTarget || copies(store))) continue;
      for (const way of store.ways ?? [straight]) {
        const gateways = hosts.filter((other) => way.gateways.includes(other.host.name));
        const isBehind = gateways.length > 0 && !way.gateways.includes(host.name) && way.hosts?.includes(host.name) !== false;
        if (!isBehind) planToRepository(add, isTarget ? 28 : undefined, from, store, party);
        else for (const gateway of gateways) planThroughGateway(add, from, gateway, 'data channels to the gateway, which passes them on to the repository', (by) => planToRepository(add, undefined, by, store, party));
      }
    }
  }
  for (const store of settings.stores) if (isMongodb || isTarget || store.keeper === host.name) planToStore(add, from, store, hosts);
}

function planToRepository(add: Add, restoreRow: 28 | undefined, from: Party, store: PlannedHost, to: Party): void {
  const direction = restoreRow === undefined ? 'data channels' : 'restores: data channels';
  if (store.singlePort) {
    add(restoreRow ?? 20, from, to, store.controlPort, { service: 'tidemark', purpose: `${direction} on one port (single-port mode)`, changedBy: hostFile });
  } else {
    add(restoreRow ?? (store.platform === 'windows' ? 14 : 13), from, to, store.dataPorts, { service: 'data', purpose: `${direction}, one port for each TCP connection`, changedBy: range });
  }
  if (store.platform === 'windows') add(14, from, to, dynamicRpc, { service: 'rpc', purpose: 'dynamic RPC for deployment', changedBy: operatingSystem, optional: true });
}

/** Rows 15, 16 and 21: to storage that runs nothing of ours. */
function planToStore(add: Add, from: Party, store: OutsideStore, hosts: readonly Placed[]): void {
  const gateway = hosts.find(({ host }) => host.name === store.gateway);
  if (gateway === undefined) return planToStorage(add, 15, from, store, 'the host');
  const what = store.kind === 'smb' ? 'writes to the share' : 'writes to the object storage';
  planThroughGateway(add, from, gateway, `data channels to the gateway, which ${what}`, (by) => planToStorage(add, 16, by, store, 'the gateway'));
}

function planToStorage(add: Add, shareRow: 15 | 16, by: Party, store: OutsideStore, who: string): void {
  const place = outside(store);
  if (store.kind === 's3') return add(21, by, place, store.port, { service: store.tls ? 'https' : 'http', purpose: 'object storage', changedBy: 'endpoint of the repository' });
  add(shareRow, by, place, store.port, { service: 'smb', purpose: `${who} writes to the share`, changedBy: 'address of the share' });
  if (store.netbios) planNetbios(add, shareRow, by, place);
}

/** Row 16: a host to the gateway; `onwards` is what the gateway itself reaches. */
function planThroughGateway(add: Add, from: Party, { host, party }: Placed, purpose: string, onwards: (by: Party) => void): void {
  add(16, from, party, host.singlePort ? host.controlPort : host.dataPorts, { service: host.singlePort ? 'tidemark' : 'data', purpose, changedBy: host.singlePort ? hostFile : range });
  if (host.platform === 'windows') add(16, from, party, dynamicRpc, { service: 'rpc', purpose: 'dynamic RPC for deployment', changedBy: operatingSystem, optional: true });
  onwards(party);
}

/** Row 17. */
function planDirectory(add: Add, server: Party, { directory }: PortSettings): void {
  if (directory === null) return;
  const changedBy = 'directory settings';
  const [service, how] = ({ none: ['ldap', 'LDAP'], starttls: ['ldap-starttls', 'LDAP with StartTLS'], ldaps: ['ldaps', 'LDAPS'] } as const)[directory.encryption];
  for (const controller of directory.servers) {
    add(17, server, outside(controller), controller.port, { service, purpose: `${how}: sign-in, groups, computers for discovery`, changedBy });
    if (directory.isActiveDirectory) add(17, server, outside(controller), defaultPorts.ldap, { service: 'ldap', protocol: 'udp', purpose: 'finding the nearest domain controller', changedBy, optional: true });
  }
}

/** Rows 18, 19, 22 to 26 and 31. */
function planServerServices(add: Add, server: Party, settings: PortSettings): void {
  for (const dns of settings.dnsServers) {
    const what = { service: 'dns', purpose: 'forward and reverse resolution of all servers and hosts', changedBy: 'resolver settings' } as const;
    add(18, server, outside(dns), dns.port, { ...what, protocol: 'udp' });
    add(18, server, outside(dns), dns.port, what);
  }
  const people = network('operators', settings.operatorNetworks);
  add(19, people, server, settings.restPort, { service: 'tidemark', purpose: 'REST API and console', changedBy: 'setting (--listen)' });
  if (settings.postgresql !== null) add(22, server, outside(settings.postgresql), settings.postgresql.port, { service: 'postgresql', purpose: 'catalog', changedBy: 'catalog setting' });
  const tell = (row: number, receivers: readonly Receiver[], purpose: string): void => {
    for (const receiver of receivers) add(row, server, outside(receiver), receiver.port, { service: receiver.service, ...(receiver.protocol === 'udp' && { protocol: 'udp' as const }), purpose, changedBy: 'notification' });
  };
  for (const [row, receivers, purpose] of [[23, settings.mail, 'mail'], [24, settings.syslog, 'syslog'], [25, settings.snmp, 'SNMP traps'], [31, settings.webhooks, 'webhook']] as const) tell(row, receivers, purpose);
  if (settings.metricsNetworks.length > 0) add(26, network('prometheus', settings.metricsNetworks), server, settings.restPort, { service: 'tidemark', purpose: 'metrics', changedBy: 'setting (--listen)' });
}

function has(host: PlannedHost, role: HostRole): boolean {
  return host.roles.includes(role);
}

function partOf({ name, dial, addresses }: Machine): Machine {
  return { name, dial, addresses };
}

function outside(machine: Machine): Party {
  return { ...partOf(machine), kind: 'outside' };
}

function network(name: string, networks: readonly string[]): Party {
  return { name, dial: '', addresses: networks, kind: 'network' };
}

/** A host on a server's machine is that server. */
function partyOf(host: PlannedHost, servers: readonly Machine[]): Party {
  const server = servers.find((machine) => isSameMachine(machine, host));
  return server === undefined ? { ...partOf(host), kind: 'host' } : { ...partOf(server), kind: 'server' };
}

/** A member goes by its own name in the set, which is what drivers dial; the machine is the host that has it. */
function partyOfMember(member: SetMember, hosts: readonly Placed[]): Party {
  const names = [member.host, ...(member.addresses ?? [])];
  const placed = hosts.find(({ host }) => names.some((name) => name === host.name || name === host.dial || host.addresses.includes(name)));
  if (placed !== undefined) return { ...placed.party, dial: member.host };
  const addresses = member.addresses ?? (/^[\d.]+$|:/.test(member.host) ? [member.host] : []);
  return { name: member.host, dial: member.host, addresses, kind: 'outside' };
}

export function rangeOf(port: number | PortRange): PortRange {
  return typeof port === 'number' ? { from: port, to: port } : port;
}

/** The ports of `wanted` that no range of `taken` has. */
export function subtract(wanted: readonly PortRange[], taken: readonly PortRange[]): PortRange[] {
  let left = [...wanted];
  for (const hole of taken) {
    left = left.flatMap((part) => {
      if (hole.to < part.from || hole.from > part.to) return [part];
      const [before, after] = [{ from: part.from, to: hole.from - 1 }, { from: hole.to + 1, to: part.to }];
      return [before, after].filter(({ from, to }) => from <= to);
    });
  }
  return left;
}

export function showPorts(ports: readonly PortRange[]): string {
  return ports.map(({ from, to }) => (from === to ? String(from) : `${from}-${to}`)).join(', ');
}
