/** What hosts find by their own resolvers, held against what the name servers say, and what a name server that is dead costs. */
import { isIP } from 'node:net';
import { isSame, settle, type Heard } from './name-answers.ts';
import { fullNames, type NameRecord } from './name-records.ts';
import type { ResolverSettings } from './resolver-settings.ts';

export type OwnView = {
  readonly host: string;
  readonly resolver: ResolverSettings;
  /** In the order they were looked up in; `says` is why there is no address, and null for one that was not looked up in time, too. */
  readonly found: readonly { readonly name: string; readonly addresses: readonly string[]; readonly says: string | null; readonly ms: number }[];
};

/** A look-up that takes this long is felt by whoever waits for it. */
const slowMs = 1_000;

export function judgeOwnView({ host, resolver, found }: OwnView, forward: (name: string) => readonly Heard[], search: readonly string[]): NameRecord[] {
  const records: NameRecord[] = [];
  const say = (kind: NameRecord['kind'], name: string, says: string): void => void records.push({ machine: host, kind, name, address: null, says, record: null });
  for (const { name, addresses, says } of found) {
    if (isIP(name) !== 0) continue;
    const known = fullNames(name, search).flatMap((full) => {
      const { answer } = settle(forward(full), (values) => values.some((value) => addresses.some((address) => isSame(value, address))));
      return answer?.kind === 'found' ? answer.values : [];
    });
    const strange = addresses.filter((address) => !known.some((value) => isSame(value, address)));
    if (known.length === 0) continue;
    if (says !== null) say('host-differs', name, `${host} finds no address for ${name} (${says}), and the name servers say ${known.join(', ')}: ${showResolver(resolver)}`);
    else if (strange.length > 0) say('host-differs', name, `${host} takes ${name} for ${strange.join(', ')}, and the name servers say ${known.join(', ')}: its hosts file, or a copy that is out of date; ${showResolver(resolver)}`);
  }
  const slowest = found.reduce<OwnView['found'][number] | undefined>((most, one) => (one.ms >= slowMs && one.ms > (most?.ms ?? 0) ? one : most), undefined);
  if (slowest !== undefined) say('host-slow', slowest.name, `${host} waited ${(slowest.ms / 1000).toFixed(1)} s for ${slowest.name}: ${showResolver(resolver)}`);
  return records;
}

function showResolver({ servers, search }: ResolverSettings): string {
  return `it asks ${servers.length === 0 ? 'no name server' : servers.join(', then ')}${search.length === 0 ? ', and has no search list' : `, and its search list is ${search.join(', ')}`}`;
}

/** `why`: what was met in place of answers; null for a name server that answers. */
export type ServerState = { readonly server: string; readonly address: string; readonly why: string | null; readonly isCutShort: boolean };

/** `resolver`: of the server's machine; only where the name servers are its own do they cost it anything. */
export function judgeServer({ server, address, why, isCutShort }: ServerState, resolver: ResolverSettings): NameRecord | undefined {
  const about = { machine: server, name: server, address, record: null };
  if (isCutShort) return { ...about, kind: 'server-cut-short', says: `${server} says that an answer is too long for a datagram, and cannot be asked over TCP: ${why ?? 'no answer'}; row 18 has the port` };
  if (why === null) return undefined;
  const place = resolver.servers.findIndex((one) => isSame(one, address));
  const cost = place < 0 || place === resolver.servers.length - 1 ? '' : `; a look-up on this machine that comes to it waits up to ${resolver.timeoutSeconds} s before the next one is asked`;
  return { ...about, kind: 'server-dead', says: `name server ${server}: ${why}${cost}` };
}
