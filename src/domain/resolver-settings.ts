/** What `/etc/resolv.conf` says, read as glibc reads it. */
import { isIP } from 'node:net';

export type ResolverSettings = {
  /** Asked in this order; three at most. */
  readonly servers: readonly string[];
  /** Domains that make a short name whole. */
  readonly search: readonly string[];
  /** How long each name server is waited for before the next is asked, and how often the whole list is gone through. */
  readonly timeoutSeconds: number;
  readonly attempts: number;
};

const mostServers = 3;

export function readResolverSettings(text: string): ResolverSettings {
  const lines = text.split('\n').filter((line) => !/^\s*[#;]/.test(line)).map((line) => line.trim().split(/\s+/));
  const all = (word: string): string[][] => lines.filter(([first]) => first === word).map(([, ...rest]) => rest);
  const servers = all('nameserver').flatMap(([address]) => (address !== undefined && isIP(address) !== 0 ? [address] : []));
  // The last one of either kind counts.
  const search = lines.filter(([first]) => first === 'search' || first === 'domain').at(-1)?.slice(1) ?? [];
  const options = new Map(all('options').flat().map((option) => option.split(':', 2) as [string, string | undefined]));
  const numberOf = (name: string, usual: number, most: number): number => {
    const given = Number(options.get(name) ?? usual);
    return Number.isInteger(given) && given >= 1 ? Math.min(given, most) : usual;
  };
  return { servers: servers.slice(0, mostServers), search: search.map((domain) => domain.replace(/\.$/, '')).filter((domain) => domain !== ''), timeoutSeconds: numberOf('timeout', 5, 30), attempts: numberOf('attempts', 2, 5) };
}
