/** How each service is known by its first words over TCP. Nobody signs in, and nothing is changed on the other side. */
import { randomBytes, X509Certificate } from 'node:crypto';
import type { Socket } from 'node:net';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { BSON } from 'mongodb';
import { tlsOptions, type LinkIdentity } from '../contract/link/trust.ts';
import type { ProbeTarget } from '../contract/ports.ts';
import { dnsQuestion, isDnsAnswer, isLdapAnswer, ldapRootSearch } from './port-datagram.ts';
import { resultOfStartTls, startTlsRequest } from './ldap-start-tls.ts';

/** Somebody answered, and it is not what was wanted there. */
export class Unexpected extends Error {
  readonly outcome: 'wrong-service' | 'tls-refused' | 'not-tried';
  constructor(outcome: Unexpected['outcome'], says: string, cause?: unknown) {
    super(says, { cause });
    this.outcome = outcome;
  }
}

export type Dial = {
  readonly identity: LinkIdentity;
  plain(): Promise<Socket>;
  /** Not yet connected; the handshake follows by itself. */
  tls(options: ConnectionOptions): TLSSocket;
};

/** What it said of itself. Throws `Unexpected`, or what the socket throws; who asks sets the deadline. */
export async function talkTo(service: ProbeTarget['service'], dial: Dial): Promise<string> {
  switch (service) {
    case 'ssh':
      return await banner(await dial.plain(), /^SSH-2\.0-[^\r\n]*|^SSH-1\.99-[^\r\n]*/m, 'SSH');
    case 'tidemark':
    case 'data':
      return await ourTls(dial);
    case 'mongod':
      return await mongod(dial);
    case 'dns':
      return await dns(await dial.plain());
    case 'ldap':
      return await ldap(await dial.plain());
    case 'ldap-starttls':
      return await ldapStartTls(dial);
    case 'ldaps':
      return await insideTls(await anyTls(dial), ldap);
    case 'smb':
      return await exchange(await dial.plain(), smbNegotiate(), (bytes) => (bytes.length < 8 ? undefined : /^[\xfe\xff]SMB$/.test(bytes.toString('latin1', 4, 8)) ? 'SMB' : false), 'SMB');
    case 'postgresql':
      return await exchange(await dial.plain(), Buffer.from('0000000804d2162f', 'hex'), (bytes) => (bytes[0] === 0x53 ? 'PostgreSQL with TLS' : bytes.length === 1 && bytes[0] === 0x4e ? 'PostgreSQL without TLS' : false), 'PostgreSQL');
    case 'smtp':
      return await banner(await dial.plain(), /^220[ -][^\r\n]*/, 'SMTP');
    case 'https':
      return `${await insideTls(await anyTls(dial), http)}, with TLS`;
    case 'http':
      return await http(await dial.plain());
    case 'tcp':
    case 'silent':
    case 'rpc':
      await dial.plain();
      return 'the connection was accepted';
  }
}

/** `read` answers undefined for "more bytes are wanted" and false for "this is something else". */
async function exchange(socket: Socket, question: Uint8Array | undefined, read: (bytes: Buffer) => string | undefined | false, wanted: string): Promise<string> {
  return await new Promise((resolve, reject) => {
    let bytes = Buffer.alloc(0);
    const other = (): void => reject(new Unexpected('wrong-service', bytes.length === 0 ? `it closed the connection without a word of ${wanted}` : `it does not speak ${wanted}; it said ${shown(bytes)}`));
    socket.on('data', (part: Buffer) => {
      bytes = Buffer.concat([bytes, part]);
      let answer: ReturnType<typeof read>;
      try {
        answer = read(bytes);
      } catch (error) {
        // What cannot be read is something else.
        if (error instanceof Unexpected) return reject(error);
        answer = false;
      }
      if (typeof answer === 'string') resolve(answer);
      else if (answer === false || bytes.length > 65_536) other();
    });
    socket.once('error', reject);
    socket.once('close', other);
    if (question !== undefined) socket.write(question);
  });
}

async function banner(socket: Socket, wanted: RegExp, name: string): Promise<string> {
  const read = (bytes: Buffer): string | undefined | false => {
    const text = bytes.toString('latin1');
    if (!text.includes('\n')) return undefined;
    return wanted.exec(text)?.[0].slice(0, 100) ?? false;
  };
  return await exchange(socket, undefined, read, name);
}

/** What a stranger said, in letters that no terminal takes for orders. */
function shown(bytes: Buffer): string {
  return JSON.stringify(bytes.toString('latin1', 0, 40).replace(/[^\x20-\x7e]+/g, '.'));
}

async function ourTls(dial: Dial): Promise<string> {
  const secure = await handshake(dial, { ...tlsOptions(dial.identity), checkServerIdentity: () => undefined });
  const certificate = secure.getPeerX509Certificate();
  if (!secure.authorized) throw new Unexpected('tls-refused', `its certificate is not one of this installation that is valid now: ${String(secure.authorizationError)}`);
  const subject = Object.fromEntries((certificate?.subject ?? '').split('\n').map((line) => line.split('=', 2))) as { OU?: string; CN?: string };
  return `${subject.OU ?? 'a service'} ${subject.CN ?? ''}`.trim();
}

/** Whether the certificate is one to trust is for those who send something there. */
async function anyTls(dial: Dial, over?: Socket): Promise<TLSSocket> {
  return await handshake(dial, { rejectUnauthorized: false, ...(over !== undefined && { socket: over }) });
}

/** A server that wants a certificate of ours says so after the handshake. */
async function insideTls(secure: TLSSocket, talk: (socket: Socket) => Promise<string>): Promise<string> {
  try {
    return await talk(secure);
  } catch (error) {
    throw error instanceof Unexpected ? error : tlsProblem(error as NodeJS.ErrnoException);
  }
}

async function handshake(dial: Dial, options: ConnectionOptions): Promise<TLSSocket> {
  return await new Promise((resolve, reject) => {
    let accepted = options.socket !== undefined;
    const secure = dial.tls({ servername: '', ...options });
    secure.once('connect', () => (accepted = true));
    secure.once('secureConnect', () => resolve(secure));
    secure.once('close', () => reject(new Unexpected('wrong-service', 'it closed the connection in the TLS handshake')));
    secure.once('error', (error: NodeJS.ErrnoException) => reject(accepted ? tlsProblem(error) : error));
  });
}

/** OpenSSL names an alert that it was sent; what is no TLS at all it takes for a wrong version or a wrong length. */
function tlsProblem(error: NodeJS.ErrnoException): Error {
  const { code = '', message } = error;
  if (/ALERT|UNSUPPORTED_PROTOCOL|NO_CIPHERS|HANDSHAKE_FAILURE/.test(code)) return new Unexpected('tls-refused', `the TLS handshake failed: ${code.replace(/^ERR_SSL_/, '').toLowerCase().replaceAll('_', ' ')}`, error);
  if (code.startsWith('ERR_SSL_') || code === 'EPROTO') return new Unexpected('wrong-service', 'it does not speak TLS', error);
  if (code === 'ECONNRESET') return new Unexpected('wrong-service', 'it closed the connection in the TLS handshake', error);
  return new Unexpected('wrong-service', message, error);
}

/** A mongod that wants TLS closes a plain connection without a word, so it is asked again with TLS. */
async function mongod(dial: Dial): Promise<string> {
  try {
    return await hello(await dial.plain());
  } catch (error) {
    if (!isWordless(error)) throw error;
  }
  const secure = await anyTls(dial);
  // A service of ours closes so too, and is no mongod.
  const isOurs = secure.getPeerX509Certificate()?.verify(new X509Certificate(dial.identity.caPem).publicKey) === true;
  try {
    return `${await hello(secure)}, with TLS`;
  } catch (error) {
    if (!isOurs && isWordless(error)) throw new Unexpected('not-tried', 'the port is open, and what answers may want a client certificate first: it closes the connection after the TLS handshake', error);
    throw error instanceof Unexpected ? error : tlsProblem(error as NodeJS.ErrnoException);
  }
}

/** Closed, reset or refused by an alert, before a word was said: mongod closes, newer ones say why. */
function isWordless(error: unknown): boolean {
  if (error instanceof Unexpected) return error.message.includes('without a word');
  return /^ECONNRESET$|ALERT_CERTIFICATE_REQUIRED|ALERT_BAD_CERTIFICATE|ALERT_HANDSHAKE_FAILURE/.test((error as NodeJS.ErrnoException).code ?? '');
}

const opMsg = 2013;

async function hello(socket: Socket): Promise<string> {
  const body = BSON.serialize({ hello: 1, $db: 'admin' });
  const head = Buffer.alloc(21);
  for (const [at, value] of [21 + body.length, 1, 0, opMsg, 0].entries()) head.writeInt32LE(value, at * 4);
  const read = (bytes: Buffer): string | undefined | false => {
    if (bytes.length < 16) return undefined;
    if (bytes.readInt32LE(12) !== opMsg || bytes.readInt32LE(8) !== 1) return false;
    const length = bytes.readInt32LE(0);
    if (length < 26 || length > 65_536) return false;
    if (bytes.length < length) return undefined;
    const said = BSON.deserialize(bytes.subarray(21, length)) as { maxWireVersion?: number; setName?: string };
    return said.maxWireVersion === undefined ? false : `MongoDB, ${said.setName === undefined ? 'in no set yet' : `set ${said.setName}`}`;
  };
  return await exchange(socket, Buffer.concat([head, body]), read, 'MongoDB');
}

async function dns(socket: Socket): Promise<string> {
  const question = dnsQuestion();
  const framed = Buffer.concat([Buffer.from([0, question.length]), question]);
  const read = (bytes: Buffer): string | undefined | false => (bytes.length < 14 ? undefined : isDnsAnswer(question, bytes.subarray(2)) ? 'DNS' : false);
  return await exchange(socket, framed, read, 'DNS');
}

async function ldap(socket: Socket): Promise<string> {
  return await exchange(socket, ldapRootSearch, (bytes) => (bytes.length < 7 ? undefined : isLdapAnswer(bytes) ? 'LDAP' : false), 'LDAP');
}

async function ldapStartTls(dial: Dial): Promise<string> {
  const socket = await dial.plain();
  await exchange(socket, startTlsRequest, (bytes) => {
    const result = resultOfStartTls(bytes);
    if (typeof result !== 'number') return result;
    if (result !== 0) throw new Unexpected('tls-refused', `the directory does not take StartTLS: LDAP result ${result}`);
    return 'StartTLS';
  }, 'LDAP');
  // What comes from now on is for TLS to read.
  socket.removeAllListeners('data');
  return `${await insideTls(await anyTls(dial, socket), ldap)}, with StartTLS`;
}

/** Any answer will do: without a signature an object storage refuses, and is one. */
async function http(socket: Socket): Promise<string> {
  const read = (bytes: Buffer): string | undefined | false => {
    const text = bytes.toString('latin1');
    if (!text.includes('\n')) return undefined;
    const status = /^HTTP\/1\.[01] (\d{3})/.exec(text)?.[1];
    return status === undefined ? false : `HTTP, status ${status}`;
  };
  return await exchange(socket, Buffer.from('HEAD / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'), read, 'HTTP');
}

const smbDialects = [0x0202, 0x0210, 0x0300, 0x0302, 0x0311];

/** SMB 2.0.2 to 3.1.1, over TCP without NetBIOS. The newest dialect wants a context: which hash guards the negotiation (SHA-512), and a salt. */
function smbNegotiate(): Buffer {
  const contextAt = 4 + Math.ceil((64 + 36 + smbDialects.length * 2) / 8) * 8;
  const salt = randomBytes(32);
  const message = Buffer.alloc(contextAt + 14 + salt.length);
  message.writeUInt32BE(message.length - 4, 0);
  message.write('\xfeSMB', 4, 'latin1');
  message.writeUInt16LE(64, 8);
  message.writeUInt16LE(1, 18);
  message.writeUInt16LE(36, 68);
  message.writeUInt16LE(smbDialects.length, 70);
  message.writeUInt16LE(1, 72);
  randomBytes(16).copy(message, 80);
  message.writeUInt32LE(contextAt - 4, 96);
  message.writeUInt16LE(1, 100);
  for (const [at, dialect] of smbDialects.entries()) message.writeUInt16LE(dialect, 104 + at * 2);
  for (const [at, word] of [1, 6 + salt.length, 0, 0, 1, salt.length, 1].entries()) message.writeUInt16LE(word, contextAt + at * 2);
  salt.copy(message, contextAt + 14);
  return message;
}
