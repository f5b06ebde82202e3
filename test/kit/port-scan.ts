/**
 * What a stranger on the network finds on a machine: every TCP port that takes a connection, and what comes back before he has
 * shown a certificate. `scanFrom` runs this file as a program in the network of another host.
 *
 *   node test/kit/port-scan.ts ADDRESS PORT...      prints one JSON document, a `Found` for each port
 *
 * The ports are found by a few lines of Python: a blocking connect costs it a fifth of what a socket costs here, 65535 times.
 */
import { connect, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { requireProgram } from '../../src/base/child-process.ts';
import { systemClock } from '../../src/base/clock.ts';
import type { WholeHost } from './whole-host.ts';

/** Hex of the bytes that came back, and for TLS without a certificate the text inside it. */
export type Found = { readonly port: number; readonly toGarbage: string; readonly toHttp: string; readonly insideTls: string };

const find65535 = `import socket, sys
for port in range(1, 65536):
    with socket.socket(socket.AF_INET6 if ':' in sys.argv[1] else socket.AF_INET) as tried:
        if tried.connect_ex((sys.argv[1], port)) == 0: print(port)
`;
const sayMs = 1_500;
const request = 'GET / HTTP/1.1\r\nHost: x\r\n\r\n';

/** Without what the image of a host starts by itself, which is none of ours: an LDAP server, for one. */
export async function scanFrom(host: WholeHost, { address, ok }: WholeHost): Promise<Found[]> {
  const others = (await ok('ss', ['-Hltnp'])).split('\n').filter((line) => /users:\(\("(?!node|mongod|sshd)/.test(line)).map((line) => Number(/:(\d+)\s/.exec(line)?.[1]));
  const there = async (...command: string[]): Promise<string> => await requireProgram('nsenter', ['-t', String(host.pid()), '--net', ...command], { deadlineMs: 90_000 });
  const open = (await there('python3', '-c', find65535, address)).split('\n').filter((line) => line !== '' && !others.includes(Number(line)));
  return JSON.parse(await there(process.execPath, import.meta.filename, address, ...open)) as Found[];
}

/** Nothing, or records that are TLS alerts alone. */
export function isSilent(hex: string): boolean {
  const bytes = Buffer.from(hex, 'hex');
  for (let at = 0; at < bytes.length; at += 5 + bytes.readUInt16BE(at + 3)) if (bytes[at] !== 21 || at + 5 > bytes.length) return false;
  return true;
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
  const [address, ...ports] = process.argv.slice(2);
  process.stdout.write(JSON.stringify(await Promise.all(ports.map(async (port) => await find(address!, Number(port))))));
}
