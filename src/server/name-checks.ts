/**
 * Looks all names up: at each configured name server by itself, in both directions, and on each host by its own resolver
 * (docs/design/dns.md, "Order of a check").
 */
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { atOnce } from '../base/at-once.ts';
import { srvName } from '../base/mongo-srv.ts';
import type { NameFinding } from '../contract/ports.ts';
import type { DnsQuestion } from '../domain/dns-message.ts';
import type { Heard, NameAnswer } from '../domain/name-answers.ts';
import { fullNames, judgeNames, namedMachines, reverseName, type NamedMachine } from '../domain/name-records.ts';
import { judgeOwnView, judgeServer, type OwnView } from '../domain/own-names.ts';
import { isLoopback, isSameMachine, type PlannedHost } from '../domain/port-inventory.ts';
import { planPorts } from '../domain/port-plan.ts';
import { readResolverSettings, type ResolverSettings } from '../domain/resolver-settings.ts';
import { judgeSrv } from '../domain/srv-records.ts';
import { openNameServer, type NameServer, type NameServerAddress } from './name-server.ts';
import type { KnownInventory } from './port-inventory.ts';

/** `resolver`: the settings of the server's machine, whoever is asked. */
export type NameServers = { readonly servers: readonly NameServerAddress[]; readonly resolver: ResolverSettings };

/** For whoever knows which machines are meant, and not how they are reached. Null: names are not checked. */
export type LookAtNames = (isWanted: (machine: NamedMachine) => boolean, signal?: AbortSignal) => Promise<NameFinding[] | null>;

export type NameCheckOptions = {
  /** All machines unless it is given. */
  readonly isWanted?: (machine: NamedMachine) => boolean;
  readonly signal?: AbortSignal;
  readonly allMs?: number;
};

const questionsAtOnce = 64;
const hostsAtOnce = 32;
const linkMs = 5_000;
const mostOwnNames = 200;
/** Where systemd-resolved stands between, the name servers that it asks are in a file of its own. */
const stub = '127.0.0.53';
const behindStub = '/run/systemd/resolve/resolv.conf';

/** Those that were given, else those that the machine itself asks. Null: nobody is to be asked. */
export async function readNameServers(given?: readonly NameServerAddress[]): Promise<NameServers | null> {
  if (given?.length === 0) return null;
  const read = async (path: string): Promise<ResolverSettings> => readResolverSettings(await readFile(path, 'utf8').catch(() => ''));
  const resolver = await read('/etc/resolv.conf');
  const behind = resolver.servers.length === 1 && resolver.servers[0] === stub ? await read(behindStub) : resolver;
  const own = behind.servers.length > 0 ? behind.servers : resolver.servers;
  return { resolver, servers: given ?? own.map((address) => ({ address, port: 53 })) };
}

export async function checkNames(known: KnownInventory, nameServers: NameServers, options: NameCheckOptions = {}): Promise<NameFinding[]> {
  const { inventory } = known;
  const { isWanted = () => true } = options;
  const all = namedMachines(inventory);
  // One that stands alone needs no name.
  if (all.length < 2) return [];
  const machines = all.filter(isWanted);
  const [server] = inventory.servers;
  if (nameServers.servers.length === 0) return [{ machine: server?.name ?? 'server', kind: 'no-answer', name: server?.name ?? 'server', address: null, says: 'no name server is configured on the server\'s machine: neither in /etc/resolv.conf nor with --dns', record: null }];
  const sets = inventory.sets.filter(({ srv, members }) => srv !== undefined && machines.some(({ names, addresses }) => members.some(({ host }) => names.includes(host) || addresses.includes(host))));
  const hosts = inventory.hosts.filter((host) => machines.some((machine) => machine.machine === host.name || [...machine.addresses, ...machine.alsoAt].some((address) => host.addresses.includes(address))));
  const { search } = nameServers.resolver;

  const asking = openAsking(nameServers.servers, options);
  const [views] = await Promise.all([lookOnHosts(known, hosts), asking.greet()]);
  const ownNames = [...views.values()].flatMap(({ found }) => found.map(({ name }) => name));
  const names = [...machines.flatMap((machine) => machine.names), ...ownNames].flatMap((name) => fullNames(name, search));
  await asking.ask([
    ...names.flatMap((name): DnsQuestion[] => [{ name, type: 'A' }, { name, type: 'AAAA' }]),
    ...machines.flatMap(({ addresses }) => addresses.map((address): DnsQuestion => ({ name: reverseName(address), type: 'PTR' }))),
    ...sets.flatMap(({ srv }): DnsQuestion[] => [{ name: srvName(srv!), type: 'SRV' }, { name: srv!, type: 'TXT' }]),
  ]);
  const reverse = (address: string): Heard[] => asking.heard({ name: reverseName(address), type: 'PTR' });
  const nameless = machines.filter((machine) => machine.names.length === 0).flatMap(({ addresses }) => addresses.flatMap(reverse)).flatMap(({ answer }) => (answer.kind === 'found' ? answer.values : []));
  await asking.ask(nameless.flatMap((name): DnsQuestion[] => [{ name, type: 'A' }, { name, type: 'AAAA' }]));

  const forward = (name: string): Heard[] => bothFamilies(asking.heard({ name, type: 'A' }), asking.heard({ name, type: 'AAAA' }));
  return [
    ...asking.findings(nameServers.resolver),
    ...machines.flatMap((machine) => judgeNames(placed(machine, known, views), { forward, reverse, search })),
    ...sets.flatMap(({ name, replicaSet = name, srv, members }) => judgeSrv({ set: name, replicaSet, name: srv!, members: members.map(({ host, port, isShown = true }) => ({ host, port, isShown })) }, asking.heard({ name: srvName(srv!), type: 'SRV' }), asking.heard({ name: srv!, type: 'TXT' }))),
    ...[...views.values()].flatMap((view) => judgeOwnView(view, forward, search)),
  ];
}

function openAsking(addresses: readonly NameServerAddress[], { signal, allMs = 60_000 }: NameCheckOptions) {
  const servers = addresses.map((address) => openNameServer(address));
  const ends = AbortSignal.any([AbortSignal.timeout(allMs), ...(signal === undefined ? [] : [signal])]);
  const answers = new Map<string, Heard[]>();
  const living = new Set<NameServer>();
  let unasked = 0;
  const keyOf = ({ name, type }: DnsQuestion): string => `${type} ${name.toLowerCase()}`;
  const askOne = async (server: NameServer, question: DnsQuestion): Promise<NameAnswer | undefined> => {
    try {
      if (!ends.aborted) return await server.ask(question, ends);
    } catch (error) {
      if (!ends.aborted) throw error;
    }
    signal?.throwIfAborted();
    unasked++;
    return undefined;
  };
  return {
    async greet(): Promise<void> {
      await Promise.all(servers.map(async (server) => void ((await server.greet(ends)) && living.add(server))));
    },
    async ask(questions: readonly DnsQuestion[]): Promise<void> {
      const fresh = [...new Map(questions.filter((question) => !answers.has(keyOf(question))).map((question) => [keyOf(question), question])).values()];
      for (const question of fresh) answers.set(keyOf(question), []);
      const said = await Promise.all(servers.map(async (server) => (living.has(server) ? await atOnce(questionsAtOnce, fresh, async (question) => await askOne(server, question)) : [])));
      for (const [at, question] of fresh.entries()) {
        for (const [n, server] of servers.entries()) {
          const answer = said[n]![at];
          if (answer !== undefined) answers.get(keyOf(question))!.push({ server: server.name, answer });
        }
      }
    },
    heard: (question: DnsQuestion): Heard[] => answers.get(keyOf(question)) ?? [],
    findings(resolver: ResolverSettings): NameFinding[] {
      const found = servers.flatMap((server) => judgeServer(server.state(), resolver) ?? []);
      const [first] = servers;
      if (unasked > 0) found.push({ machine: first!.name, kind: 'no-answer', name: first!.name, address: null, says: `no time was left for ${unasked} questions; ask for fewer machines at a time`, record: null });
      return found;
    },
  };
}

/** One answer of both: what one family has counts although the other one failed. */
function bothFamilies(four: readonly Heard[], six: readonly Heard[]): Heard[] {
  return four.map(({ server, answer: a }) => {
    const b = six.find((other) => other.server === server)?.answer;
    const found = [a, b].flatMap((answer) => (answer?.kind === 'found' ? [answer] : []));
    const values = found.flatMap((answer) => answer.values);
    const silent = [a, b].find((answer) => answer?.kind === 'silent');
    if (values.length === 0 && silent !== undefined) return { server, answer: silent };
    const ttls = found.flatMap(({ ttlSeconds }) => ttlSeconds ?? []);
    return { server, answer: { kind: 'found', values, ttlSeconds: ttls.length === 0 ? null : Math.min(...ttls) } };
  });
}

type Looked = OwnView & { readonly addresses: readonly string[] };

/** A host that takes no orders, or whose transport does not know this one yet, has no view: the rows of the plan say why. */
async function lookOnHosts({ inventory, linkOf }: KnownInventory, hosts: readonly PlannedHost[]): Promise<Map<PlannedHost, Looked>> {
  const plan = planPorts(inventory);
  const views = new Map<PlannedHost, Looked>();
  await atOnce(hostsAtOnce, hosts, async (host) => {
    const link = linkOf(host);
    if (link === undefined) return;
    const names = [...new Set(plan.filter(({ from }) => isSameMachine(from, host)).map(({ to }) => to.dial))].filter((name) => name !== '' && isIP(name) === 0 && !isLoopback(name)).slice(0, mostOwnNames);
    const view = await link.call('names.look', { names }, { waitMs: linkMs }).catch(() => undefined);
    if (view !== undefined) views.set(host, { host: host.name, ...view });
  });
  return views;
}

/** With what is true of it: the address its link leads to, when the server dials it, and those that it says it has. */
function placed(machine: NamedMachine, { inventory }: KnownInventory, views: ReadonlyMap<PlannedHost, Looked>): NamedMachine {
  const host = inventory.hosts.find((one) => one.name === machine.machine);
  const own = host === undefined ? undefined : views.get(host)?.addresses;
  if (host === undefined || own === undefined || own.length === 0) return machine;
  if (host.dialling === 'server') return { ...machine, alsoAt: [...machine.alsoAt, ...own] };
  const known = machine.addresses.filter((address) => own.includes(address));
  return { ...machine, addresses: known.length > 0 ? known : own.slice(0, 1), alsoAt: own };
}
