/**
 * What stands in DNS behind `mongodb+srv://NAME/`, read as a driver reads it: members by SRV of `_mongodb._tcp.NAME`, options by
 * TXT of NAME.
 *
 * A driver takes members only in the domain of the name (what is left of it without its first label), and of the text only
 * `authSource`, `replicaSet` and `loadBalanced`.
 */

export type SrvTarget = { readonly host: string; readonly port: number };

/** What the text behind a name holds, or why drivers refuse it. */
export type SrvText = { readonly kind: 'options'; readonly replicaSet: string | null; readonly authSource: string | null } | { readonly kind: 'refused'; readonly why: string };

export function srvName(name: string): string {
  return `_mongodb._tcp.${name}`;
}

/** A name of one or two labels is a domain of its own: its members are at least one level below it. */
export function isInSrvDomain(host: string, name: string): boolean {
  const [small, of] = [host, name].map((text) => text.toLowerCase().replace(/\.$/, '')) as [string, string];
  const labels = of.split('.');
  const end = `.${(labels.length < 3 ? labels : labels.slice(1)).join('.')}`;
  return small.endsWith(end) && small.length > end.length;
}

export function readSrvText(texts: readonly string[]): SrvText {
  if (texts.length > 1) return { kind: 'refused', why: `there are ${texts.length} TXT records, and drivers refuse more than one` };
  const options = new Map((texts[0] ?? '').split('&').filter((part) => part !== '').map((part) => part.split('=', 2) as [string, string | undefined]));
  const strange = [...options.keys()].find((key) => !['authSource', 'replicaSet', 'loadBalanced'].includes(key));
  if (strange !== undefined) return { kind: 'refused', why: `its TXT record has ${JSON.stringify(strange)}, which drivers refuse` };
  if (options.get('loadBalanced') === 'true') return { kind: 'refused', why: 'its TXT record says that it is a load balancer, and not a replica set' };
  return { kind: 'options', replicaSet: options.get('replicaSet') ?? null, authSource: options.get('authSource') ?? null };
}
