/**
 * An installation on machines of their own: `tide` (the server's machine), `db1` and `db2` (MongoDB), `store` (repository
 * and distribution server), with real transport services, sshd, mongod and a name server, and stand-ins for what listens
 * with our certificate and says nothing a try wants to hear.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '../../src/base/clock.ts';
import { silentLog } from '../../src/base/log.ts';
import { dialOrders } from '../../src/contract/link/dial.ts';
import { firewallRules, ourMachines, type MachineRules } from '../../src/domain/firewall-rules.ts';
import { usualSettings, type HostRole, type Inventory, type PlannedHost } from '../../src/domain/port-inventory.ts';
import { planPorts, showPorts, type PlanEntry } from '../../src/domain/port-plan.ts';
import type { PortFinding } from '../../src/contract/ports.ts';
import { checkPorts, isBad } from '../../src/server/port-check.ts';
import { keepLink, type TransportLink } from '../../src/server/transport-link.ts';
import { findMongod } from './mongod.ts';
import { openNetwork, type TestNetwork } from './namespaces.ts';
import { openTestAuthority } from './test-authority.ts';

const names = ['tide', 'db1', 'db2', 'store'] as const;
export const domain = 'tide.test';
const roles: Record<string, HostRole[]> = { tide: [], db1: ['mongodb'], db2: ['mongodb'], store: ['repository', 'distribution'] };
const stands: Record<string, number[]> = { tide: [6160, 9419, 10002, 10006], db1: [6160], db2: [6160], store: [6160, 9380, 11731] };
const mongodPorts: Record<string, number> = { db1: 27017, db2: 27100 };

/** The same machines with other things to do: a plan of its own, and the rules for it. */
export type Variation = { readonly plan: readonly PlanEntry[]; readonly rules: readonly MachineRules[] };

export type PlannedNetwork = AsyncDisposable & Variation & {
  readonly network: TestNetwork;
  readonly inventory: Inventory;
  readonly directory: string;
  vary(change: (host: PlannedHost) => Partial<PlannedHost>, changes?: Partial<Inventory>): Variation;
  check(entries: readonly PlanEntry[], options?: { without?: string; eachMs?: number }): Promise<PortFinding[]>;
  /** The entries that are not good, and what each met. */
  badOf(entries: readonly PlanEntry[], findings: readonly PortFinding[]): string[];
  /** A default-drop firewall, opened by this text alone. */
  closeFirewall(machine: string, text: string): Promise<void>;
  openFirewall(machine: string): Promise<void>;
  nft(machine: string, text: string): Promise<void>;
};

export const show = ({ row, from, to, ports }: PlanEntry): string => `${row} ${from.name} > ${to.name} ${showPorts(ports)}`;

export async function openPlannedNetwork(): Promise<PlannedNetwork> {
  const stack = new AsyncDisposableStack();
  try {
    const directory = mkdtempSync(join(tmpdir(), 'tm-ports-'));
    stack.defer(() => rmSync(directory, { recursive: true, force: true }));
    const network = stack.use(await openNetwork(names, { resolver: true }));
    const authority = stack.use(await openTestAuthority());
    const foreign = stack.use(await openTestAuthority());
    await startNameServer(network, stack, directory);
    const identityFile = async (part: 'server' | 'transport', name: string, by = authority): Promise<string> => {
      const path = join(directory, `${part}-${name}${by === foreign ? '-foreign' : ''}.json`);
      writeFileSync(path, JSON.stringify(await by.issue(part, name, [name])), { mode: 0o600 });
      return path;
    };
    const server = await authority.issue('server', 'server');
    const links = new Map<string, TransportLink>();
    for (const name of names) {
      const machine = network.machine(name);
      const identity = await identityFile('transport', name);
      await machine.start(process.execPath, ['src/main/transport.ts', '--identity', identity, '--work', join(directory, `work-${name}`), '--listen', '0.0.0.0:6162']);
      await machine.start(process.execPath, ['test/kit/stand-in.ts', await identityFile('server', name), machine.address, ...stands[name]!.map(String)], { ready: /ready/ });
      const link = keepLink({ id: name, host: name, address: `${machine.managed}:6162`, dial: async () => await dialOrders({ host: machine.managed, port: 6162, identity: server, version: 'test' }), clock: systemClock, log: silentLog });
      stack.defer(async () => await link.close());
      links.set(name, link);
    }
    await network.machine('store').start(process.execPath, ['test/kit/stand-in.ts', await identityFile('transport', 'store', foreign), network.machine('store').address, '6161'], { ready: /ready/ });
    for (const name of ['db1', 'db2', 'store']) await startSshd(network, name, directory);
    await Promise.all(Object.entries(mongodPorts).map(async ([name, port]) => await startMongod(network, name, port, directory)));
    await Promise.all([...links.values()].map(async (link) => await link.connected(90_000)));

    const inventory = inventoryOf(network);
    const planOf = (given: Inventory): Variation => {
      const plan = planPorts(given);
      return { plan, rules: firewallRules(plan, ourMachines(given.servers, given.hosts)) };
    };
    const nft = async (machine: string, text: string): Promise<void> => {
      const { code, stderr } = await network.machine(machine).run('nft', ['-f', '-'], text);
      if (code !== 0) throw new Error(`nft on ${machine}: ${stderr}\n${text}`);
    };
    return {
      network,
      inventory,
      directory,
      ...planOf(inventory),
      vary: (change, changes = {}) => planOf({ ...inventory, ...changes, hosts: inventory.hosts.map((host) => ({ ...host, ...change(host) })) }),
      nft,
      check: async (entries, { without, eachMs = 3_000 } = {}) => await checkPorts(entries, { hosts: inventory.hosts, linkOf: ({ name }) => (name === without ? undefined : links.get(name)), eachMs }),
      badOf: (entries, findings) => entries.flatMap((entry, at) => (isBad(findings[at]!) ? [`${show(entry)}: ${findings[at]!.outcome}, ${findings[at]!.says}`] : [])),
      closeFirewall: async (machine, text) => {
        await nft(machine, 'flush ruleset\n');
        await nft(machine, text);
        await nft(machine, 'table inet filter {\n chain input {\n type filter hook input priority 0; policy drop;\n iifname "mgmt0" accept\n jump tidemark\n }\n}\n');
      },
      openFirewall: async (machine) => await nft(machine, 'flush ruleset\n'),
      [Symbol.asyncDispose]: async () => await stack.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

function inventoryOf(network: TestNetwork): Inventory {
  const at = (name: string) => ({ name, dial: `${name}.${domain}`, addresses: [network.machine(name).address] });
  const hosts = names.map(
    (name): PlannedHost => ({ ...at(name), platform: 'linux', roles: roles[name]!, sshPort: name === 'tide' ? null : 22, deployerPort: 6160, controlPort: 6162, dataPorts: { from: 2500, to: 3300 }, singlePort: false, dialling: 'server' }),
  );
  return {
    servers: [at('tide')],
    hosts,
    sets: [{ name: 'rs0', members: Object.entries(mongodPorts).map(([name, port]) => ({ host: `${name}.${domain}`, port })) }],
    settings: { ...usualSettings, operatorNetworks: ['192.0.2.0/24'], dnsServers: [{ name: 'ns', dial: network.address, addresses: [network.address], port: 53 }] },
  };
}

/** On this machine itself, at the address of the bridge. */
async function startNameServer(network: TestNetwork, stack: AsyncDisposableStack, directory: string): Promise<void> {
  const { startDnsmasq } = await import('./dnsmasq.ts');
  const records = names.map((name) => `--host-record=${name}.${domain},${network.machine(name).address}`);
  stack.use(await startDnsmasq(network.address, directory, [`--local=/${domain}/`, ...records]));
}

async function startSshd(network: TestNetwork, name: string, directory: string): Promise<void> {
  const machine = network.machine(name);
  const key = join(directory, `ssh-${name}`);
  spawnSync('ssh-keygen', ['-q', '-t', 'ed25519', '-N', '', '-f', key]);
  mkdirSync('/run/sshd', { recursive: true });
  const config = join(directory, `sshd-${name}`);
  writeFileSync(config, `Port 22\nListenAddress ${machine.address}\nHostKey ${key}\nPidFile none\nUsePAM no\n`);
  await machine.start('/usr/sbin/sshd', ['-D', '-e', '-f', config], { ready: /listening/ });
}

async function startMongod(network: TestNetwork, name: string, port: number, directory: string): Promise<void> {
  const { path } = await findMongod();
  const dbPath = join(directory, `mongod-${name}`);
  mkdirSync(dbPath);
  const machine = network.machine(name);
  const args = ['--dbpath', dbPath, '--replSet', 'rs0', '--port', String(port), '--bind_ip', machine.address, '--nounixsocket', '--wiredTigerCacheSizeGB', '0.25', '--setParameter', 'diagnosticDataCollectionEnabled=false'];
  await machine.start(path, args, { ready: /Waiting for connections/ });
}
