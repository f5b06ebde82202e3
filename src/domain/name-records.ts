/** Forward and reverse names of all machines: what is missing, what disagrees, and the record that would mend it. */
import { isIP } from 'node:net';
import { isLoopback, type Machine } from './port-inventory.ts';

/** What a name server said: the addresses or names, none of them when there is no such record, or why it said nothing. */
export type NameAnswer = { readonly kind: 'found'; readonly values: readonly string[] } | { readonly kind: 'silent'; readonly why: string };

export type NameRecord = {
  readonly machine: string;
  readonly kind: 'good' | 'missing-forward' | 'missing-reverse' | 'wrong-forward' | 'mismatch' | 'no-answer';
  readonly name: string;
  readonly address: string | null;
  readonly says: string;
  /** As it is written in a zone file; null when nothing is to be written, or the name is not known. */
  readonly record: string | null;
};

/** The name others know a machine by; undefined for one that goes by its address alone. */
export function nameOf({ name, dial }: Machine): string | undefined {
  return [dial, name].find((text) => isIP(text) === 0 && text.includes('.') && !isLoopback(text)) ?? (isIP(dial) === 0 && dial !== '' && !isLoopback(dial) ? dial : undefined);
}

export function judgeNames(machine: Machine, forward: NameAnswer | undefined, reverse: ReadonlyMap<string, NameAnswer>): NameRecord[] {
  const name = nameOf(machine);
  const found: NameRecord[] = [];
  const say = (kind: NameRecord['kind'], address: string | null, says: string, record: string | null = null): void => void found.push({ machine: machine.name, kind, name: name ?? machine.name, address, says, record });
  if (name !== undefined && forward !== undefined) judgeForward(name, machine.addresses, forward, say);
  for (const [address, answer] of reverse) {
    if (answer.kind === 'silent') say('no-answer', address, `no answer about the name of ${address}: ${answer.why}`);
    else if (answer.values.length === 0) say('missing-reverse', address, `${address} leads to no name`, name === undefined ? null : pointer(address, name));
    else if (name !== undefined && !answer.values.some((value) => isSameName(value, name))) say('mismatch', address, `${address} leads to ${answer.values.join(', ')}, not to ${name}`, pointer(address, name));
    else say('good', address, `${address} is ${answer.values.join(', ')}`);
  }
  return found;
}

function judgeForward(name: string, addresses: readonly string[], answer: NameAnswer, say: (kind: NameRecord['kind'], address: string | null, says: string, record?: string | null) => void): void {
  if (answer.kind === 'silent') return say('no-answer', null, `no answer about ${name}: ${answer.why}`);
  if (answer.values.length === 0) {
    if (addresses.length === 0) return say('missing-forward', null, `${name} leads to no address`);
    for (const address of addresses) say('missing-forward', address, `${name} leads to no address`, forwardRecord(name, address));
    return;
  }
  const known = addresses.filter((address) => answer.values.includes(address));
  const strange = answer.values.filter((value) => !addresses.includes(value));
  if (addresses.length > 0 && known.length === 0) return say('wrong-forward', addresses[0]!, `${name} leads to ${strange.join(', ')}, and it is at ${addresses.join(', ')}`, forwardRecord(name, addresses[0]!));
  if (addresses.length > 0 && strange.length > 0) return say('wrong-forward', strange[0]!, `${name} also leads to ${strange.join(', ')}, which it does not have; that record is to go`);
  say('good', answer.values[0]!, `${name} is at ${answer.values.join(', ')}`);
}

function isSameName(a: string, b: string): boolean {
  const plain = (text: string): string => text.toLowerCase().replace(/\.$/, '');
  return plain(a) === plain(b);
}

function forwardRecord(name: string, address: string): string {
  return `${name}. IN ${isIP(address) === 6 ? 'AAAA' : 'A'} ${address}`;
}

function pointer(address: string, name: string): string {
  return `${reverseName(address)}. IN PTR ${name}.`;
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
