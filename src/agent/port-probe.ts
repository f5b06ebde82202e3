/**
 * Tries ports of other machines from this one, and says what it met there.
 *
 *   resolve ──no address──▶ name-not-resolved
 *      │
 *   connect ──RST──▶ refused      ──nothing──▶ timed-out      ──no way there, or a firewall said so──▶ no-route
 *      │
 *    talk ──another protocol, or not a word──▶ wrong-service      ──TLS, but not with us──▶ tls-refused
 *      │
 *    good
 *
 * The name is resolved as every other connection of this host does it, hosts file included. A machine with several
 * addresses is good when one of them is. Each try has a deadline of its own, and all together have one.
 */
import { lookup } from 'node:dns/promises';
import { connect, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { withDeadline } from '../base/deadline.ts';
import { isFailure } from '../base/failure.ts';
import type { LinkIdentity } from '../contract/link/trust.ts';
import type { ProbeOutcome, ProbeResult, ProbeTarget } from '../contract/ports.ts';
import { askDatagram } from './port-datagram.ts';
import { tryDynamicPort } from './port-dynamic.ts';
import { talkTo, Unexpected, type Dial } from './port-services.ts';

export type ProbeOptions = { readonly identity: LinkIdentity; readonly eachMs: number; readonly signal: AbortSignal; readonly allMs?: number; readonly limit?: number };

type Met = { readonly outcome: ProbeOutcome; readonly says: string };

export async function probePorts(targets: readonly ProbeTarget[], options: ProbeOptions): Promise<ProbeResult[]> {
  const endsMs = performance.now() + (options.allMs ?? 65_000);
  const results: ProbeResult[] = [];
  const waiting = targets.entries();
  const work = async (): Promise<void> => {
    for (const [at, target] of waiting) {
      options.signal.throwIfAborted();
      results[at] = performance.now() < endsMs ? await probePort(target, options) : { outcome: 'not-tried', says: 'no time was left; ask for fewer rows at a time', address: null, ms: 0 };
    }
  };
  await Promise.all(Array.from({ length: Math.min(options.limit ?? 64, targets.length) }, work));
  return results;
}

async function probePort(target: ProbeTarget, options: ProbeOptions): Promise<ProbeResult> {
  const startedMs = performance.now();
  const done = (met: Met, address: string | null): ProbeResult => ({ ...met, address, ms: Math.round(performance.now() - startedMs) });
  if (target.service === 'rpc') return done(await tryDynamicPort(target.host, { ...options, met: (error) => (isFailure(error, { code: 'base.deadline-passed' }) ? { outcome: 'timed-out', says: `no answer within ${options.eachMs / 1000} s` } : metOf(error, false)) }), null);
  const found = await resolve(target.host, options.eachMs);
  if (!Array.isArray(found)) return done(found, null);
  const results = await Promise.all(found.slice(0, 4).map(async (address) => done(await tryAddress(address, target, options), address)));
  return results.find(({ outcome }) => outcome === 'good') ?? results[0]!;
}

async function resolve(host: string, ms: number): Promise<string[] | Met> {
  if (isIP(host) !== 0) return [host];
  try {
    const found = await withDeadline(`the address of ${host}`, ms, async () => await lookup(host, { all: true }));
    return found.map(({ address }) => address);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const why = code === 'ENOTFOUND' ? 'no such name' : code === 'EAI_AGAIN' ? 'no name server answered' : (error as Error).message;
    return { outcome: 'name-not-resolved', says: `${host}: ${why}` };
  }
}

async function tryAddress(address: string, { port, protocol, service }: ProbeTarget, { identity, eachMs }: ProbeOptions): Promise<Met> {
  const open = new Set<{ destroy(): void }>();
  let accepted = false;
  try {
    return await withDeadline('an answer', eachMs, async () => {
      if (protocol === 'udp') return await askDatagram(address, port, service, open);
      const kept = <S extends Socket>(socket: S): S => {
        open.add(socket);
        // It may still be reset when what was asked of it is known.
        socket.on('error', () => {});
        socket.once('connect', () => (accepted = true));
        return socket;
      };
      const dial: Dial = {
        identity,
        plain: async () => await connected(kept(connect({ host: address, port }))),
        tls: (given) => kept(connectTls({ ...given, host: address, port })),
      };
      return { outcome: 'good', says: await talkTo(service, dial) };
    });
  } catch (error) {
    if (error instanceof Unexpected) return { outcome: error.outcome, says: error.message };
    if (isFailure(error, { code: 'base.deadline-passed' })) {
      const seconds = eachMs / 1000;
      return accepted ? { outcome: 'wrong-service', says: `it accepted the connection and then said nothing for ${seconds} s` } : { outcome: 'timed-out', says: `no answer within ${seconds} s` };
    }
    return metOf(error as NodeJS.ErrnoException, accepted);
  } finally {
    for (const socket of open) socket.destroy();
  }
}

async function connected(socket: Socket): Promise<Socket> {
  return await new Promise((resolve, reject) => {
    socket.once('error', reject);
    socket.once('connect', () => resolve(socket));
  });
}

const noRoute = new Map([
  ['EHOSTUNREACH', 'the network or a firewall says that the host cannot be reached'],
  ['ENETUNREACH', 'no route to its network'],
  ['EADDRNOTAVAIL', 'this host has no address of that kind'],
  ['EACCES', 'this host itself forbids it'],
  ['EPERM', 'this host itself forbids it'],
]);

export function metOf({ code = '', message }: NodeJS.ErrnoException, accepted: boolean): Met {
  if (accepted) return { outcome: 'wrong-service', says: code === 'ECONNRESET' ? 'it ended the connection without an answer' : message };
  const why = noRoute.get(code);
  if (why !== undefined) return { outcome: 'no-route', says: `${why} (${code})` };
  if (code === 'ECONNREFUSED') return { outcome: 'refused', says: 'nothing listens there, or a firewall answers for it' };
  if (code === 'ECONNRESET') return { outcome: 'refused', says: 'the connection was reset' };
  if (code === 'ETIMEDOUT') return { outcome: 'timed-out', says: 'no answer' };
  return { outcome: 'no-route', says: message };
}
