/**
 * Syslog as RFC 5424 has it, over UDP (RFC 5426), TCP with octet counting (RFC 6587) or TLS (RFC 5425).
 *
 *   <PRI>1 TIMESTAMP HOSTNAME tidemark PROCID MSGID [tidemark@32473 name="value" …] BOM title
 *   over TCP and TLS:   LENGTH SP message
 *
 * Syslog answers nothing. Over TCP and TLS the connection is closed by us and then awaited: what the receiver's machine had taken by
 * then is told.
 */
import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { hostname } from 'node:os';
import { connect as connectTls } from 'node:tls';
import type { ChannelOf, Severity, Told } from '../contract/notifications.ts';
import { notReached, notTrusted } from './failures.ts';
import { isTlsProblem, oneLine, type Answered, type Sending } from './receiver.ts';

const daemon = 3;
const levels: Readonly<Record<Severity, number>> = { info: 6, notice: 5, warning: 4, error: 3, critical: 2 };
const datagramBytes = 2_048;

/** Names and values of the structured data: printable letters without the three signs that end things. */
function structured(told: Told): string {
  const fields = { event: told.id, kind: told.kind, object: told.object === null ? '' : `${told.object.kind}:${told.object.name}`, session: told.session?.id ?? '', sessionKind: told.session?.kind ?? '', state: told.session?.state ?? '', failure: told.session?.failure ?? '', count: String(told.count) };
  const params = Object.entries(fields).filter(([, value]) => value !== '').map(([name, value]) => ` ${name}="${oneLine(value).replaceAll(/["\\\]]/g, (sign) => `\\${sign}`)}"`);
  return `[tidemark@32473${params.join('')}]`;
}

export function syslogMessage(told: Told, host: string): Buffer {
  const priority = daemon * 8 + levels[told.severity];
  const own = host.replaceAll(/[^\x21-\x7e]/g, '').slice(0, 255) || '-';
  const text = oneLine([told.title, ...told.lines].join('; '));
  return Buffer.from(`<${priority}>1 ${new Date(told.atMs).toISOString()} ${own} tidemark - ${told.kind} ${structured(told)} \ufeff${text}`);
}

/** As many whole characters as fit. */
export function cutTo(message: Buffer, bytes: number): Buffer {
  if (message.length <= bytes) return message;
  let end = bytes;
  while ((message[end]! & 0xc0) === 0x80) end--;
  return message.subarray(0, end);
}

export async function sendSyslog(channel: ChannelOf<'syslog'>, sending: Sending): Promise<Answered> {
  const { host, port, transport } = channel;
  const receiver = `syslog ${host}:${port} (${transport})`;
  const message = syslogMessage(sending.told, hostname());
  try {
    if (transport === 'udp') await sendDatagram(cutTo(message, datagramBytes), host, port);
    else await sendStream(channel, Buffer.concat([Buffer.from(`${message.length} `), message]), sending);
  } catch (error) {
    const why = oneLine((error as Error).message);
    throw isTlsProblem(error) ? notTrusted({ receiver, why }, error) : notReached({ receiver, why }, error);
  }
  return { says: `sent to ${receiver}; syslog has no answer` };
}

async function sendDatagram(message: Buffer, host: string, port: number): Promise<void> {
  const { address, family } = await lookup(host);
  const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
  try {
    await new Promise<void>((resolve, reject) => {
      socket.on('error', reject);
      socket.send(message, port, address, (error) => (error === null ? resolve() : reject(error)));
    });
  } finally {
    socket.close();
  }
}

async function sendStream({ host, port, transport, caPem }: ChannelOf<'syslog'>, frame: Buffer, { deadlineMs, signal }: Sending): Promise<void> {
  const isTls = transport === 'tls';
  const socket: Socket = isTls ? connectTls({ host, port, minVersion: 'TLSv1.2', ...(isIP(host) === 0 && { servername: host }), ...(caPem !== undefined && { ca: caPem }) }) : connectTcp({ host, port });
  const abort = (): void => void socket.destroy(signal.reason as Error);
  signal.addEventListener('abort', abort, { once: true });
  try {
    await new Promise<void>((resolve, reject) => {
      socket.setTimeout(deadlineMs, () => socket.destroy(new Error(`no progress within ${deadlineMs / 1000} s`)));
      socket.on('error', reject);
      socket.on('close', () => resolve());
      socket.resume();
      socket.once(isTls ? 'secureConnect' : 'connect', () => socket.end(frame));
    });
  } finally {
    signal.removeEventListener('abort', abort);
    socket.destroy();
  }
}
