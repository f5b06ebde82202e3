/** The dialling end of order links. */
import { connect as connectTls, type TLSSocket } from 'node:tls';
import { WebSocket } from 'ws';
import type { Failure } from '../../base/failure.ts';
import { linkNotReached, linkRefused } from '../failures.ts';
import { openCaller, type Caller } from './caller.ts';
import { openChannel, type Channel, type ChannelOptions } from './channel.ts';
import { frameBytes, linkPath, type Role } from './frames.ts';
import { admitPart, judge, tlsOptions, type Admit, type LinkIdentity, type Peer } from './trust.ts';

export type DialOptions = {
  host: string;
  port: number;
  identity: LinkIdentity;
  admit: Admit;
  role: Role;
  version: string;
  deadlineMs?: number;
  timing?: Pick<ChannelOptions, 'pingMs' | 'deadMs' | 'greetingMs' | 'contracts'>;
};

/** Dials a transport service and gives it orders: what the server does. */
export async function dialOrders(options: Omit<DialOptions, 'role' | 'admit'> & { admit?: Admit }): Promise<Caller> {
  return openCaller(await dialLink({ ...options, admit: options.admit ?? admitPart('transport'), role: 'caller' }));
}

/** Resolves when the peer has greeted; not to be reached, refused and silent are told apart. */
export async function dialLink(options: DialOptions): Promise<Channel> {
  const address = `${options.host}:${options.port}`;
  const deadlineMs = options.deadlineMs ?? 10_000;
  const { socket, peer } = await handshake(options, address, deadlineMs);
  const ws = new WebSocket(`wss://tidemark${linkPath}`, {
    createConnection: () => socket,
    perMessageDeflate: false,
    maxPayload: frameBytes,
    handshakeTimeout: deadlineMs,
  });
  return await new Promise<Channel>((resolve, reject) => {
    // The peer's hello can come in one piece with the upgrade: the channel must listen from the first moment.
    ws.once('open', () => void openChannel(ws, { role: options.role, version: options.version, address, peer, ...options.timing }).then(resolve, reject));
    ws.once('error', (error) => reject(linkRefused({ address, why: `it closed before it greeted (${error.message})` }, error)));
  });
}

function handshake(options: DialOptions, address: string, deadlineMs: number): Promise<{ socket: TLSSocket; peer: Peer }> {
  return new Promise((resolve, reject) => {
    const socket = connectTls({ host: options.host, port: options.port, servername: '', ...tlsOptions(options.identity), checkServerIdentity: () => undefined });
    const timer = setTimeout(() => fail(linkNotReached({ address, why: `no TLS handshake within ${deadlineMs / 1000} s` })), deadlineMs);
    const fail = (why: Failure): void => {
      clearTimeout(timer);
      socket.destroy();
      reject(why);
    };
    const onError = (error: Error): void => fail(linkNotReached({ address, why: error.message }));
    socket.on('error', onError);
    socket.once('secureConnect', () => {
      const judged = judge(socket, options.admit);
      if (judged.kind === 'refused') return fail(linkRefused({ address, why: judged.why }));
      clearTimeout(timer);
      resolve({ socket, peer: judged.peer });
    });
  });
}
