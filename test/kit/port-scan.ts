/**
 * What a stranger on the network finds on a machine: every TCP port that takes a connection, and what comes back before he has
 * shown a certificate. `scanFrom` runs this file as a program in the network of another host.
 *
 *   node test/kit/port-scan.ts ADDRESS      prints one JSON document, a `Found` for each open port
 */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { requireProgram } from '../../src/base/child-process.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { WholeHost } from './whole-host.ts';

/** Hex of the bytes that came back, and for TLS without a certificate the text inside it. */
export type Found = { readonly port: number; readonly toGarbage: string; readonly toHttp: string; readonly insideTls: string };

const atOnce = 512;
const openMs = 4_000;
const sayMs = 1_500;
const request = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';

export async function scanFrom(host: WholeHost, address: string): Promise<Found[]> {
  const said = await requireProgram('nsenter', ['-t', String(host.pid()), '--net', process.execPath, import.meta.filename, address], { deadlineMs: 90_000 });
  return JSON.parse(said) as Found[];
}

/** Nothing, or records that are TLS alerts alone. */
export function isSilent(hex: string): boolean {
  const bytes = Buffer.from(hex, 'hex');
  for (let at = 0; at < bytes.length; at += 5 + bytes.readUInt16BE(at + 3)) if (bytes[at] !== 21 || at + 5 > bytes.length) return false;
  return true;
}

async function isOpen(address: string, port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect({ host: address, port });
    const timer = setTimeout(() => end(false), openMs);
    const end = (open: boolean): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(open);
    };
    socket.once('connect', () => end(true)).on('error', () => end(false));
  });
}

/** All that comes until the other side ends, or has had its time. */
async function heard(socket: Socket): Promise<Buffer> {
  const pieces: Buffer[] = [];
  socket.on('data', (piece: Buffer) => pieces.push(piece)).on('error', () => {});
  const over = new AbortController();
  socket.once('close', () => over.abort(new Error('closed')));
  await systemClock.wait(sayMs, over.signal).catch(() => {});
  socket.destroy();
  return Buffer.concat(pieces);
}

async function find(address: string, port: number): Promise<Found> {
  const say = async (text: string | Buffer): Promise<string> => {
    const socket = connect({ host: address, port });
    socket.once('connect', () => socket.write(text));
    return (await heard(socket)).toString('hex');
  };
  const tls = connectTls({ host: address, port, rejectUnauthorized: false });
  tls.once('secureConnect', () => tls.write(request));
  const [toGarbage, toHttp, inside] = await Promise.all([say(Buffer.alloc(300, 0xa5)), say(request), heard(tls)]);
  return { port, toGarbage, toHttp, insideTls: inside.toString('latin1') };
}

if (process.argv[1] === import.meta.filename) {
  const address = process.argv[2]!;
  const open: number[] = [];
  const ports = Array.from({ length: 65_535 }, (_, at) => at + 1).values();
  await Promise.all(Array.from({ length: atOnce }, async () => {
    for (const port of ports) if (await isOpen(address, port)) open.push(port);
  }));
  const found = await Promise.all(open.toSorted((a, b) => a - b).map(async (port) => await find(address, port)));
  process.stdout.write(JSON.stringify(found));
}
