/** Forward and reverse names of all machines: what is missing, what disagrees, and the record that would mend it (docs/design/dns.md). */
import { isIP } from 'node:net';
import { isSame, settle, type Heard } from './name-answers.ts';
import { isLoopback, isSameMachine, type Inventory, type Machine } from './port-inventory.ts';

/** docs/design/dns.md says what each means. */
export type NameKind =
  | 'good' | 'missing-forward' | 'missing-reverse' | 'wrong-forward' | 'mismatch' | 'several-reverse' | 'short-name' | 'search-list'
  | 'no-answer' | 'server-dead' | 'server-cut-short' | 'servers-differ' | 'host-differs' | 'host-slow' | 'srv' | 'txt';

export type NameRecord = {
  /** The machine, the set, or the name server that it is about. */
  readonly machine: string;
  readonly kind: NameKind;
  readonly name: string;
  readonly address: string | null;
  readonly says: string;
  /** As it is written in a zone file; null when nothing is to be written, or it is not known. */
  readonly record: string | null;
};

/** A machine with the names it goes by, all of them or none of them in full. */
export type NamedMachine = {
  readonly machine: string;
  readonly names: readonly string[];
  /** Where it is reached; these are asked for in reverse. */
  readonly addresses: readonly string[];
  /** What it has besides. A name may lead there, and need not. */
  readonly alsoAt: readonly string[];
  /** Whether `addresses` are all that it has: it is reached at those of them that its names lead to. */
  readonly hasOthers: boolean;
  readonly isServer: boolean;
};

export type Lookups = {
  /** Addresses of both families, for a name in full. */
  forward(name: string): readonly Heard[];
  reverse(address: string): readonly Heard[];
  /** What a short name is in full, by the search list of the server's machine, and then as it is. */
  readonly search: readonly string[];
};

/** Said, and not held against the plan. */
export function isNameBad({ kind }: Pick<NameRecord, 'kind'>): boolean {
  return kind !== 'good' && kind !== 'short-name';
}

/** The name others know a machine by; undefined for one that goes by its address alone. */
export function nameOf({ name, dial }: Machine): string | undefined {
  return [dial, name].find((text) => isIP(text) === 0 && text.includes('.') && !isLoopback(text)) ?? (isIP(dial) === 0 && dial !== '' && !isLoopback(dial) ? dial : undefined);
}

/** Every machine of the plan once, members on machines that are not managed among them. */
export function namedMachines({ servers, hosts, sets }: Pick<Inventory, 'servers' | 'hosts' | 'sets'>): NamedMachine[] {
  const found: { machine: Machine; isServer: boolean; names: string[] }[] = [];
  const place = (machine: Machine, name: string | undefined, isServer = false): void => {
    let known = found.find((one) => isSameMachine(one.machine, machine) || isSame(one.machine.dial, machine.dial));
    if (known === undefined) found.push((known = { machine, isServer, names: [] }));
    if (name !== undefined && !known.names.some((one) => isSame(one, name))) known.names.push(name);
  };
  for (const server of servers) place(server, nameOf(server), true);
  for (const host of hosts) place(host, nameOf(host));
  for (const { host, addresses = [] } of sets.flatMap(({ members }) => members)) {
    if (isLoopback(host)) continue;
    const isAddress = isIP(host) !== 0;
    place({ name: host, dial: host, addresses: isAddress ? [host] : addresses }, isAddress ? undefined : host);
  }
  return found.map(({ machine, isServer, names }) => {
    const isByAddress = isIP(machine.dial) !== 0;
    const addresses = (isByAddress ? [machine.dial] : machine.addresses).filter((address) => !isLoopback(address) && !address.includes('%'));
    return { machine: machine.name, names, addresses, alsoAt: machine.addresses, hasOthers: isServer && !isByAddress, isServer };
  });
}

type Say = (kind: NameRecord['kind'], name: string, address: string | null, says: string, record?: string | null) => void;

export function judgeNames(given: NamedMachine, lookups: Lookups): NameRecord[] {
  const machine = given.hasOthers ? reached(given, lookups) : given;
  const found: NameRecord[] = [];
  const say: Say = (kind, name, address, says, record = null) => void found.push({ machine: machine.machine, kind, name, address, says, record });
  const full = machine.names.flatMap((name) => (name.includes('.') ? [name] : judgeShortName(name, machine, lookups, say)));
  for (const name of machine.names.filter((text) => text.includes('.'))) judgeForward(name, machine, lookups, say);
  for (const address of machine.addresses) judgeReverse(address, full, machine, lookups, say);
  return found;
}

export function fullNames(name: string, search: readonly string[]): string[] {
  return name.includes('.') ? [name] : [...search.map((domain) => `${name}.${domain}`), name];
}

/** Answers what it is in full. */
function judgeShortName(name: string, machine: NamedMachine, { forward, search }: Lookups, say: Say): string[] {
  const candidates = fullNames(name, search);
  const found = candidates.flatMap((candidate) => {
    const { answer, difference } = settle(forward(candidate), (values) => isThere(values, machine));
    if (answer?.kind === 'found' && answer.values.length > 0 && difference !== undefined) say('servers-differ', candidate, homesOf(machine)[0]!, `name servers differ about ${candidate}: ${difference}`, recordAt(candidate, homesOf(machine)[0]!));
    return answer?.kind === 'found' && answer.values.length > 0 ? [{ candidate, values: answer.values }] : [];
  });
  const heard = candidates.flatMap((candidate) => forward(candidate));
  if (heard.length === 0) return [];
  if (found.length === 0) {
    const [domain] = search;
    const list = search.length === 0 ? 'and there is no search list' : `with none of the search list (${search.join(', ')})`;
    const [silent] = heard.flatMap(({ answer }) => (answer.kind === 'silent' ? [answer.why] : []));
    if (silent !== undefined && heard.every(({ answer }) => answer.kind === 'silent')) say('no-answer', name, null, `no answer about ${name}: ${silent}`);
    else for (const address of homesOf(machine)) say('missing-forward', name, address, `the short name ${name} leads to no address, ${list}`, domain === undefined ? null : recordAt(`${name}.${domain}`, address));
    return [];
  }
  const right = found.filter(({ values }) => isThere(values, machine));
  const others = found.filter(({ values }) => !values.some((value) => found[0]!.values.some((first) => isSame(value, first))));
  if (others.length > 0) say('search-list', name, null, `the short name ${name} is ${found.map(({ candidate, values }) => `${values.join(', ')} as ${candidate}`).join(' and ')}: the order of a search list decides`);
  else if (right.length === 0 && hasPlace(machine)) say('wrong-forward', name, homesOf(machine)[0]!, `the short name ${name} leads to ${found[0]!.values.join(', ')} as ${found[0]!.candidate}, and it is at ${placesOf(machine)}`, recordAt(found[0]!.candidate, homesOf(machine)[0]!));
  else if (found[0]!.candidate === name) say('good', name, found[0]!.values[0]!, `${name} is at ${found[0]!.values.join(', ')}`);
  else say('short-name', name, found[0]!.values[0]!, `${name} is a short name: it is ${found[0]!.candidate} only where the search list has ${found[0]!.candidate.slice(name.length + 1)}`);
  return (right.length > 0 ? right : found).map(({ candidate }) => candidate);
}

function judgeForward(name: string, machine: NamedMachine, { forward }: Lookups, say: Say): void {
  const { answer, difference } = settle(forward(name), (values) => isThere(values, machine));
  const here = homesOf(machine)[0]!;
  if (difference !== undefined) say('servers-differ', name, here, `name servers differ about ${name}: ${difference}`, recordAt(name, here));
  if (answer === undefined) return;
  if (answer.kind === 'silent') return say('no-answer', name, null, `no answer about ${name}: ${answer.why}`);
  const { values } = answer;
  if (values.length === 0) {
    for (const address of homesOf(machine)) say('missing-forward', name, address, `${name} leads to no address`, recordAt(name, address));
    return;
  }
  const strange = values.filter((value) => !isThere([value], machine));
  if (hasPlace(machine) && strange.length === values.length) return say('wrong-forward', name, here, `${name} leads to ${strange.join(', ')}, and it is at ${placesOf(machine)}`, recordAt(name, here));
  if (hasPlace(machine) && strange.length > 0) return say('wrong-forward', name, strange[0]!, `${name} also leads to ${strange.join(', ')}, which it does not have; that record is to go: ${forwardRecord(name, strange[0]!)}`);
  const lacking = ([4, 6] as const).flatMap((family) => (values.some((value) => isIP(value) === family) ? [] : machine.addresses.filter((address) => isIP(address) === family).slice(0, 1)));
  for (const address of lacking) say('missing-forward', name, address, `${name} leads to ${values.join(', ')}, and to no IPv${isIP(address)} address, which it has`, forwardRecord(name, address));
  if (lacking.length === 0) say('good', name, values[0]!, `${name} is at ${values.join(', ')}`);
}

function judgeReverse(address: string, names: readonly string[], machine: NamedMachine, lookups: Lookups, say: Say): void {
  const [first] = names;
  const isOurs = (value: string): boolean => names.some((name) => isSame(value, name));
  const { answer, difference } = settle(lookups.reverse(address), (values) => values.some(isOurs));
  const subject = first ?? machine.machine;
  if (difference !== undefined) say('servers-differ', subject, address, `name servers differ about the name of ${address}: ${difference}`, first === undefined ? null : pointer(address, first));
  if (answer === undefined) return;
  if (answer.kind === 'silent') return say('no-answer', subject, address, `no answer about the name of ${address}: ${answer.why}`);
  const { values } = answer;
  if (values.length === 0) return say('missing-reverse', subject, address, `${address} leads to no name`, first === undefined ? null : pointer(address, first));
  if (names.length > 0 && !values.some(isOurs)) return say('mismatch', subject, address, `${address} leads to ${values.join(', ')}, not to ${names.join(' or ')}`, pointer(address, first!));
  if (values.length > 1) return say('several-reverse', subject, address, `${address} leads to ${values.length} names, ${values.join(', ')}: which of them is told changes; one is to stay`, pointer(address, values.find(isOurs) ?? values[0]!));
  if (names.length === 0) return judgeBack(address, values[0]!, machine, lookups, say);
  say('good', subject, address, `${address} is ${values[0]!}`);
}

/** Of a machine without a name of its own: the one its address leads to has to lead back. */
function judgeBack(address: string, name: string, machine: NamedMachine, { forward }: Lookups, say: Say): void {
  const { answer } = settle(forward(name), (values) => values.some((value) => isSame(value, address)));
  if (answer === undefined || answer.kind === 'silent') return say('good', name, address, `${address} is ${name}`);
  if (answer.values.length === 0) return say('missing-forward', name, address, `${address} leads to ${name}, which leads to no address`, forwardRecord(name, address));
  if (!answer.values.some((value) => isSame(value, address))) return say('mismatch', name, address, `${address} leads to ${name}, and that leads to ${answer.values.join(', ')}`, forwardRecord(name, address));
  say('good', name, address, `${address} is ${name}, which leads back`);
}

function reached(machine: NamedMachine, { forward, search }: Lookups): NamedMachine {
  const named = machine.names.flatMap((name) => fullNames(name, search)).flatMap((name) => forward(name)).flatMap(({ answer }) => (answer.kind === 'found' ? answer.values : []));
  const addresses = machine.addresses.filter((address) => named.some((value) => isSame(value, address)));
  return addresses.length === 0 ? machine : { ...machine, addresses };
}

/** What a record that is missing would lead to. */
function homesOf({ addresses, alsoAt }: NamedMachine): readonly (string | null)[] {
  const known = addresses.length > 0 ? addresses : alsoAt.slice(0, 1);
  return known.length === 0 ? [null] : known;
}

function placesOf({ addresses, alsoAt }: NamedMachine): string {
  return (addresses.length > 0 ? addresses : alsoAt).join(', ');
}

function hasPlace({ addresses, alsoAt }: NamedMachine): boolean {
  return addresses.length + alsoAt.length > 0;
}

function isThere(values: readonly string[], { addresses, alsoAt }: NamedMachine): boolean {
  return values.some((value) => [...addresses, ...alsoAt].some((address) => isSame(value, address)));
}

export function forwardRecord(name: string, address: string): string {
  return `${name}. IN ${isIP(address) === 6 ? 'AAAA' : 'A'} ${address}`;
}

function recordAt(name: string, address: string | null): string | null {
  return address === null ? null : forwardRecord(name, address);
}

export function pointer(address: string, name: string): string {
  return `${reverseName(address)}. IN PTR ${name.replace(/\.$/, '')}.`;
}

/** `11.0.77.10.in-addr.arpa`, or the 32 digits of an IPv6 address under `ip6.arpa`. */
export function reverseName(address: string): string {
  if (isIP(address) === 4) return `${address.split('.').reverse().join('.')}.in-addr.arpa`;
  const [head = '', tail] = withoutDots(address).split('::');
  const groups = (text: string | undefined): string[] => (text === undefined || text === '' ? [] : text.split(':'));
  const [before, after] = [groups(head), groups(tail)];
  const all = tail === undefined ? before : [...before, ...Array.from({ length: 8 - before.length - after.length }, () => '0'), ...after];
  return `${all.map((group) => group.padStart(4, '0')).join('').split('').reverse().join('.')}.ip6.arpa`;
}

/** The IPv4 end that an IPv6 address may be written with, as two groups. */
function withoutDots(address: string): string {
  return address.replace(/(\d+)\.(\d+)\.(\d+)\.(\d+)$/, (_, ...parts: string[]) => {
    const [a, b, c, d] = parts.slice(0, 4).map((part) => Number(part).toString(16).padStart(2, '0'));
    return `${a}${b}:${c}${d}`;
  });
}
