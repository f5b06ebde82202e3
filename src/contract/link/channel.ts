/**
 * A channel: frames over one WebSocket, from greeting to end.
 *
 *   greeting ──peer's hello──▶ open ──close, error, silence, nonsense──▶ closed (for good, with a reason)
 *
 * Only the peer's hello opens a channel: in TLS 1.3 a dialler sees a finished handshake before it is refused.
 * Each side pings; a peer that was silent for `deadMs` is given up, so a cut cable is noticed without traffic.
 */
import type { WebSocket } from 'ws';
import { isFailure, type Failure } from '../../base/failure.ts';
import { ownPlatform } from '../../base/host-platform.ts';
import { contractVersion } from '../orders.ts';
import { linkLost, linkRefused, versionMismatch } from '../failures.ts';
import { frame, type Frame, type Hello, type Role } from './frames.ts';
import { deadMs, pingMs } from './silence.ts';
import type { Peer } from './trust.ts';

/** The oldest contract this side can still speak. */
const leastContract = 1;

export type Channel = {
  readonly address: string;
  readonly peer: Peer;
  readonly hello: Hello;
  /** The newest contract both sides speak. */
  readonly contract: number;
  send(frame: Frame): void;
  /** Frames after the greeting, in order. Those that came before anyone listened are not lost. */
  listen(onFrame: (frame: Frame) => void): void;
  /** Resolves with the reason when the channel has ended. */
  readonly closed: Promise<Failure>;
  close(): void;
};

export type ChannelOptions = {
  role: Role;
  version: string;
  address: string;
  peer: Peer;
  contracts?: { least: number; most: number };
  pingMs?: number;
  deadMs?: number;
  greetingMs?: number;
};

export async function openChannel(socket: WebSocket, options: ChannelOptions): Promise<Channel> {
  const { address } = options;
  const contracts = options.contracts ?? { least: leastContract, most: contractVersion };
  const waiting: Frame[] = [];
  let onFrame: ((frame: Frame) => void) | undefined;
  let reason: Failure | undefined;

  let ended: (why: Failure) => void = () => {};
  const closed = new Promise<Failure>((resolve) => (ended = resolve));
  const end = (why: Failure): void => {
    reason ??= why;
    socket.terminate();
  };
  socket.on('error', (error) => end(linkLost({ address, why: error.message }, error)));
  socket.once('close', () => ended((reason ??= linkLost({ address, why: 'the other side closed it' }))));

  const beat = heartbeat(socket, options.pingMs ?? pingMs, options.deadMs ?? deadMs, (seconds) => end(linkLost({ address, why: `not a sign of life for ${seconds} s` })));
  void closed.then(() => beat.stop());

  let greet: (hello: Hello) => void = () => {};
  const greeted = new Promise<Hello>((resolve) => (greet = resolve));
  let hasGreeted = false;
  socket.on('message', (data, isBinary) => {
    const next = isBinary ? undefined : parse(String(data));
    if (next === undefined) return end(linkLost({ address, why: 'it sent something that is not a frame' }));
    if (!hasGreeted) {
      if (next.kind !== 'hello') return end(linkRefused({ address, why: 'it spoke before it greeted' }));
      hasGreeted = true;
      return greet(next);
    }
    if (onFrame === undefined) waiting.push(next);
    else onFrame(next);
  });
  socket.send(JSON.stringify({ kind: 'hello', ...contracts, version: options.version, role: options.role, platform: ownPlatform } satisfies Hello));

  const greetingMs = options.greetingMs ?? 10_000;
  const timer = setTimeout(() => end(linkRefused({ address, why: `no greeting within ${greetingMs / 1000} s` })), greetingMs);
  const hello = await Promise.race([greeted, closed]).finally(() => clearTimeout(timer));
  if (isFailure(hello)) throw hello.code === linkLost.code ? linkRefused({ address, why: `it closed before it greeted (${hello.details['why'] as string})` }, hello) : hello;
  const contract = Math.min(contracts.most, hello.most);
  if (contract < Math.max(contracts.least, hello.least)) {
    const mismatch = versionMismatch({ address, ours: `${contracts.least} to ${contracts.most}`, theirs: `${hello.least} to ${hello.most}` });
    socket.close(4001, 'version');
    end(mismatch);
    throw mismatch;
  }
  if (hello.role === options.role) {
    end(linkRefused({ address, why: `both sides are ${hello.role}s` }));
    throw await closed;
  }
  return {
    address,
    peer: options.peer,
    hello,
    contract,
    closed,
    send(next) {
      if (socket.readyState === socket.OPEN) socket.send(JSON.stringify(next));
    },
    listen(listener) {
      onFrame = listener;
      for (const next of waiting.splice(0)) listener(next);
    },
    close() {
      end(linkLost({ address, why: 'this side closed it' }));
    },
  };
}

function parse(text: string): Frame | undefined {
  try {
    return frame.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

/** Pings, and counts any byte of a message, ping or pong as a sign of life. */
function heartbeat(socket: WebSocket, pingMs: number, deadMs: number, onDead: (seconds: number) => void): { stop(): void } {
  let lastSign = performance.now();
  const sign = (): void => {
    lastSign = performance.now();
  };
  for (const event of ['message', 'ping', 'pong'] as const) socket.on(event, sign);
  const timer = setInterval(() => {
    const silentMs = performance.now() - lastSign;
    if (silentMs >= deadMs) onDead(Math.round(silentMs / 1000));
    else if (socket.readyState === socket.OPEN) socket.ping();
  }, pingMs);
  timer.unref();
  return { stop: () => clearInterval(timer) };
}
