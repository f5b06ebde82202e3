/**
 * Has the machines of the plan try each other.
 *
 *   1. listen   each host that data comes to is asked to listen on free ports of its range (their orders stay open)
 *   2. probe    every From host tries all of its rows at once, from where it really is
 *   3. end      the orders of step 1 are called off, and their listeners go with them
 *
 * A row says the first thing that is not good. What nobody can try is `not-tried` and is not held against the plan; a
 * host that should have tried it and takes no orders is `no-link`, and that is.
 */
import { describe, isFailure } from '../base/failure.ts';
import type { PortFinding, ProbeResult, ProbeTarget } from '../contract/ports.ts';
import { isSameMachine, type PlannedHost } from '../domain/port-inventory.ts';
import type { Party, PlanEntry } from '../domain/port-plan.ts';
import type { PortCaller } from './port-inventory.ts';

export type PortCheckOptions = {
  readonly hosts: readonly PlannedHost[];
  readonly linkOf: (host: PlannedHost) => PortCaller | undefined;
  readonly eachMs: number;
  /** How long a link that is not there is waited for. */
  readonly linkMs?: number;
};

type Listening = { readonly kind: 'ports'; readonly ports: readonly number[] } | { readonly kind: 'not'; readonly finding: PortFinding };

/** So many that a repository host, to which all of them come, answers each in its time. */
const mostHostsAtOnce = 32;

const nothingTried: PortFinding = { outcome: 'not-tried', port: null, says: 'nothing was tried' };

/** A range is tried at its ends; of dynamic ports the one that is in use now is found there. */
const mostSinglePorts = 8;

/** Findings in the order of the entries. */
export async function checkPorts(entries: readonly PlanEntry[], options: PortCheckOptions): Promise<PortFinding[]> {
  const over = new AbortController();
  try {
    const listening = await listenEverywhere(entries, options, over.signal);
    const findings = new Map<PlanEntry, PortFinding>();
    const byHost = new Map<PlannedHost, PlanEntry[]>();
    for (const entry of entries) {
      const witness = witnessOf(entry.from, options);
      if ('outcome' in witness) findings.set(entry, witness);
      else byHost.set(witness.host, [...(byHost.get(witness.host) ?? []), entry]);
    }
    const waiting = byHost.entries();
    const work = async (): Promise<void> => {
      for (const [host, mine] of waiting) await probeFrom(host, mine, listening, options, findings);
    };
    await Promise.all(Array.from({ length: mostHostsAtOnce }, work));
    return entries.map((entry) => findings.get(entry) ?? nothingTried);
  } finally {
    over.abort(new Error('the check is over'));
  }
}

export function isBad({ outcome }: Pick<PortFinding, 'outcome'>): boolean {
  return outcome !== 'good' && outcome !== 'not-tried';
}

function witnessOf(party: Party, { hosts, linkOf }: PortCheckOptions): { host: PlannedHost; link: PortCaller } | PortFinding {
  if (party.kind === 'network' || party.kind === 'outside') return { outcome: 'not-tried', port: null, says: `nothing on ${party.name} takes orders` };
  const host = hosts.find((each) => isSameMachine(each, party));
  const link = host === undefined ? undefined : linkOf(host);
  if (host === undefined || link === undefined) return { outcome: 'no-link', port: null, says: `${party.name} takes no orders from this server` };
  return { host, link };
}

async function listenEverywhere(entries: readonly PlanEntry[], options: PortCheckOptions, over: AbortSignal): Promise<Map<PlanEntry, Listening>> {
  const wanted = entries.filter(({ service }) => service === 'data');
  const orders = new Map<string, Promise<Listening>>();
  const answers = wanted.map(async (entry) => {
    const key = JSON.stringify([entry.to.name, entry.ports]);
    const asked = orders.get(key) ?? listenOn(entry, options, over);
    orders.set(key, asked);
    return [entry, await asked] as const;
  });
  return new Map(await Promise.all(answers));
}

async function listenOn({ to, ports }: PlanEntry, options: PortCheckOptions, over: AbortSignal): Promise<Listening> {
  const witness = witnessOf(to, options);
  if ('outcome' in witness) return { kind: 'not', finding: { ...witness, says: `${witness.says}, so nobody listens there for a try` } };
  const told = Promise.withResolvers<readonly number[]>();
  const order = { address: to.addresses[0] ?? to.dial, range: ports[0]! };
  witness.link.call('ports.listen', order, { signal: over, waitMs: options.linkMs ?? 5_000, onEvent: (event) => told.resolve(event.ports) }).then(() => told.reject(new Error('it ended before it listened')), told.reject);
  try {
    return { kind: 'ports', ports: await told.promise };
  } catch (error) {
    return { kind: 'not', finding: orderFailed(to.name, error) };
  }
}

function orderFailed(host: string, error: unknown): PortFinding {
  if (isFailure(error, { code: 'contract.order-not-understood' })) return { outcome: 'not-tried', port: null, says: `the transport service of ${host} is too old for this; update it` };
  if (isFailure(error, { code: 'agent.port-range-used-up' })) return { outcome: 'not-tried', port: null, says: error.message };
  return { outcome: 'no-link', port: null, says: describe(error) };
}

type Question = { readonly entry: PlanEntry; readonly target: ProbeTarget };

async function probeFrom(host: PlannedHost, entries: readonly PlanEntry[], listening: ReadonlyMap<PlanEntry, Listening>, options: PortCheckOptions, findings: Map<PlanEntry, PortFinding>): Promise<void> {
  const questions: Question[] = [];
  for (const entry of entries) {
    const heard = listening.get(entry);
    if (heard?.kind === 'not') findings.set(entry, heard.finding);
    else questions.push(...(heard?.ports ?? singlePorts(entry)).map((port) => ({ entry, target: { host: entry.to.dial, port, protocol: entry.protocol, service: entry.service } })));
  }
  if (questions.length === 0) return;
  let results: readonly ProbeResult[];
  try {
    const input = { targets: questions.map(({ target }) => target), eachMs: options.eachMs };
    ({ results } = await options.linkOf(host)!.call('ports.probe', input, { waitMs: options.linkMs ?? 5_000 }));
  } catch (error) {
    const finding = orderFailed(host.name, error);
    for (const { entry } of questions) findings.set(entry, finding);
    return;
  }
  for (const entry of new Set(questions.map((question) => question.entry))) {
    const met = questions.flatMap(({ entry: of, target }, at) => (of === entry && results[at] !== undefined ? [{ port: target.port, result: results[at] }] : []));
    if (met.length > 0) findings.set(entry, findingOf(entry, met));
  }
}

function findingOf(entry: PlanEntry, met: readonly { port: number; result: ProbeResult }[]): PortFinding {
  const worst = met.find(({ result }) => isBad(result)) ?? met.find(({ result }) => result.outcome === 'not-tried') ?? met[0]!;
  const isAll = met.every(({ result }) => result.outcome === worst.result.outcome);
  // The port of a dynamic one is in what it says.
  const isForAll = entry.service === 'rpc' || (isAll && met.length > 1);
  return { outcome: worst.result.outcome, port: isForAll ? null : worst.port, says: worst.result.says };
}

function singlePorts({ ports, service }: PlanEntry): number[] {
  if (service === 'rpc') return [ports[0]!.from];
  return ports.flatMap(({ from, to }) => (to - from < mostSinglePorts ? Array.from({ length: to - from + 1 }, (_, n) => from + n) : [from, to]));
}
