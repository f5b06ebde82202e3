/** What this host finds by its own resolver, hosts file and caches included: what every other program of it would be told. */
import { readFile } from 'node:fs/promises';
import { lookup } from 'node:dns/promises';
import { networkInterfaces } from 'node:os';
import { withDeadline } from '../base/deadline.ts';
import type { OrderInput, OrderOutput } from '../contract/orders.ts';
import { readResolverSettings } from '../domain/resolver-settings.ts';

type Found = OrderOutput<'names.look'>['found'][number];

const allMs = 20_000;
const oneMs = 12_000;

/**
 * One name after the other: a look-up that waits for a dead name server has a thread that files are read with as well. What there
 * was no time for is left out.
 */
export async function lookAtOwnNames({ names }: OrderInput<'names.look'>, signal: AbortSignal): Promise<OrderOutput<'names.look'>> {
  const resolver = readResolverSettings(await readFile('/etc/resolv.conf', 'utf8').catch(() => ''));
  const addresses = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).filter(({ internal }) => !internal).map(({ address }) => address));
  const endsMs = performance.now() + allMs;
  const found: Found[] = [];
  for (const name of names) {
    const leftMs = endsMs - performance.now();
    if (leftMs <= 0) break;
    found.push(await lookUp(name, Math.min(leftMs, oneMs), signal));
  }
  return { addresses, resolver: { ...resolver, servers: [...resolver.servers], search: [...resolver.search] }, found };
}

async function lookUp(name: string, ms: number, signal: AbortSignal): Promise<Found> {
  const startedMs = performance.now();
  const done = (addresses: string[], says: string | null): Found => ({ name, addresses, says, ms: Math.round(performance.now() - startedMs) });
  try {
    const all = await withDeadline(`the address of ${name}`, ms, async () => await lookup(name, { all: true }), signal);
    return done([...new Set(all.map(({ address }) => address))], null);
  } catch (error) {
    signal.throwIfAborted();
    const { code, message } = error as NodeJS.ErrnoException;
    return done([], code === 'ENOTFOUND' ? 'no such name' : code === 'EAI_AGAIN' ? 'no name server answered' : message);
  }
}
