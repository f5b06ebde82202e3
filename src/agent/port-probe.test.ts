/** What a try tells apart, on this machine alone; firewalls, routes and real services are in test/platform/port-plan.test.ts. */
import assert from 'node:assert/strict';
import { createSocket } from 'node:dgram';
import { createServer as createHttpServer } from 'node:http';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { after, before, test } from 'node:test';
import { createServer as createHttpsServer } from 'node:https';
import { createServer as createTlsServer } from 'node:tls';
import { BSON } from 'mongodb';
import { tlsOptions, type LinkIdentity } from '../contract/link/trust.ts';
import type { ProbeResult, ProbeTarget } from '../contract/ports.ts';
import { openTestAuthority, type TestAuthority } from '../../test/kit/test-authority.ts';
import { listenForProbes } from './port-listener.ts';
import { metOf, probePorts } from './port-probe.ts';

let authority: TestAuthority;
let other: TestAuthority;
let identity: LinkIdentity;
const open: { close(): void }[] = [];
const sockets = new Set<Socket>();

before(async () => {
  authority = await openTestAuthority();
  other = await openTestAuthority();
  identity = await authority.issue('transport', 'db1');
});
after(async () => {
  for (const server of open) server.close();
  for (const socket of sockets) socket.destroy();
  await authority[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});

async function listening(server: ReturnType<typeof createServer>): Promise<number> {
  open.push(server);
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** Says `first` at once, and answers each piece it is sent. */
const saying = async (first: string | Buffer, answer?: (question: Buffer) => Buffer | string): Promise<number> =>
  await listening(
    createServer((socket) => {
      if (first.length > 0) socket.write(first);
      socket.on('data', (question) => {
        const said = answer?.(question);
        if (said !== undefined) socket.write(said);
      });
    }),
  );

async function probe(target: Partial<ProbeTarget>, eachMs = 600): Promise<ProbeResult> {
  const [result] = await probePorts([{ host: '127.0.0.1', port: 1, protocol: 'tcp', service: 'tcp', ...target }], { identity, eachMs, signal: new AbortController().signal });
  return result!;
}
const met = async (target: Partial<ProbeTarget>): Promise<string> => {
  const { outcome, says } = await probe(target);
  return `${outcome}: ${says}`;
};

const opReply = (document: object, question: Buffer): Buffer => {
  const body = BSON.serialize(document);
  const head = Buffer.alloc(21);
  for (const [at, value] of [21 + body.length, 7, question.readInt32LE(4), 2013, 0].entries()) head.writeInt32LE(value, at * 4);
  return Buffer.concat([head, body]);
};

test('each service is known by its first words', async () => {
  assert.equal(await met({ port: await saying('SSH-2.0-OpenSSH_9.2p1\r\n'), service: 'ssh' }), 'good: SSH-2.0-OpenSSH_9.2p1');
  assert.equal(await met({ port: await saying('', (question) => opReply({ maxWireVersion: 17, setName: 'rs0', ok: 1 }, question)), service: 'mongod' }), 'good: MongoDB, set rs0');
  assert.equal(await met({ port: await saying('', () => Buffer.concat([Buffer.alloc(4), Buffer.from('\xfeSMB', 'latin1')])), service: 'smb' }), 'good: SMB');
  assert.equal(await met({ port: await saying('', () => 'S'), service: 'postgresql' }), 'good: PostgreSQL with TLS');
  assert.equal(await met({ port: await saying('220 mail ESMTP\r\n'), service: 'smtp' }), 'good: 220 mail ESMTP');
  assert.equal(await met({ port: await saying('', () => Buffer.from('300c02010165070a0100', 'hex')), service: 'ldap' }), 'good: LDAP');
  const dns = (question: Buffer): Buffer => Buffer.concat([question.subarray(0, 4), Buffer.from([0x80, 0x05]), question.subarray(6)]);
  assert.equal(await met({ port: await saying('', dns), service: 'dns' }), 'good: DNS');
  assert.equal(await met({ port: await saying(''), service: 'tcp' }), 'good: the connection was accepted');
});

test('a service of ours is known by the certificate of our authority', async () => {
  const port = await listening(createTlsServer({ ...tlsOptions(await authority.issue('server', 'server')), requestCert: true }));
  assert.equal(await met({ port, service: 'tidemark' }), 'good: server server');
  assert.equal(await met({ port, service: 'https' }), 'wrong-service: it accepted the connection and then said nothing for 0.6 s');
  const closing = await listening(createTlsServer({ ...tlsOptions(await authority.issue('transport', 'db2')), requestCert: true }, (socket) => void socket.destroy()));
  assert.equal(await met({ port: closing, service: 'mongod' }), 'wrong-service: it closed the connection without a word of MongoDB');
});

test('an object storage is known by any answer over HTTP, with TLS or without, and neither is taken for the other', async () => {
  const identity = await authority.issue('server', 'server');
  const secure = await listening(createHttpsServer({ ...tlsOptions(identity), requestCert: false }, (_, response) => void response.writeHead(403).end()));
  const plain = await listening(createHttpServer((_, response) => void response.writeHead(200).end()));
  assert.equal(await met({ port: secure, service: 'https' }), 'good: HTTP, status 403, with TLS');
  assert.equal(await met({ port: plain, service: 'http' }), 'good: HTTP, status 200');
  assert.match(await met({ port: secure, service: 'http' }), /^wrong-service: /);
  assert.equal(await met({ port: plain, service: 'https' }), 'wrong-service: it does not speak TLS');
  const strict = await listening(createHttpsServer({ ...tlsOptions(identity), requestCert: true, rejectUnauthorized: true }, (_, response) => void response.end()));
  assert.match(await met({ port: strict, service: 'https' }), /^tls-refused: the TLS handshake failed: .*certificate required/);
  const old = await listening(createHttpsServer({ ...tlsOptions(identity), requestCert: false, minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2', ciphers: 'ECDHE-ECDSA-AES128-CCM8:@SECLEVEL=0' }));
  assert.match(await met({ port: old, service: 'https' }), /^tls-refused: the TLS handshake failed: /);
});

test('a directory that does not take StartTLS is told from one that is none', async () => {
  const result = (code: string) => (question: Buffer): Buffer => (question.includes('1.3.6.1.4.1.1466.20037') ? Buffer.from(`3084000000100201017884000000070a01${code}04000400`, 'hex') : Buffer.alloc(1));
  assert.equal(await met({ port: await saying('', result('02')), service: 'ldap-starttls' }), 'tls-refused: the directory does not take StartTLS: LDAP result 2');
  assert.match(await met({ port: await saying('', result('00')), service: 'ldap-starttls' }), /^wrong-service: it does not speak TLS|^wrong-service: it accepted/);
  assert.match(await met({ port: await saying('', () => Buffer.from('300c02010165070a0100', 'hex')), service: 'ldap-starttls' }), /^wrong-service: /);
});

test('TLS of another authority, and of another version, is TLS refused', async () => {
  const foreign = await listening(createTlsServer({ ...tlsOptions(await other.issue('transport', 'db2')), requestCert: true }));
  assert.match(await met({ port: foreign, service: 'tidemark' }), /^tls-refused: its certificate is not one of this installation that is valid now: /);
  const old = await listening(createTlsServer({ ...tlsOptions(await authority.issue('server', 'server')), minVersion: 'TLSv1.2', maxVersion: 'TLSv1.2' }));
  assert.match(await met({ port: old, service: 'data' }), /^tls-refused: the TLS handshake failed: /);
});

test('whoever speaks another language, or none, is the wrong service', async () => {
  const services = ['ssh', 'tidemark', 'data', 'mongod', 'dns', 'ldap', 'ldap-starttls', 'ldaps', 'smb', 'postgresql', 'smtp', 'https'] as const;
  const chatty = await saying('HTTP/1.1 400 Bad Request\r\n\r\n', () => 'HTTP/1.1 400 Bad Request\r\n\r\n');
  const closing = await listening(createServer((socket) => void socket.end()));
  const resetting = await listening(createServer((socket) => void socket.on('data', () => socket.resetAndDestroy())));
  const silent = await saying('');
  const targets = services.flatMap((service) => [chatty, closing, resetting, silent].map((port): ProbeTarget => ({ host: '127.0.0.1', protocol: 'tcp', port, service })));
  const results = await probePorts(targets, { identity, eachMs: 1500, signal: new AbortController().signal });
  assert.deepEqual(results.flatMap(({ outcome, says }, n) => (outcome === 'wrong-service' ? [] : [`${targets[n]!.service}, ${n % 4}: ${outcome} ${says}`])), []);
  assert.equal(await met({ port: silent, service: 'ssh' }), 'wrong-service: it accepted the connection and then said nothing for 0.6 s');
  assert.equal(await met({ port: chatty, service: 'mongod' }), 'wrong-service: it does not speak MongoDB; it said "HTTP/1.1 400 Bad Request."');
  assert.equal(await met({ port: await saying('\x1b[2Jpwned\n'), service: 'ssh' }), 'wrong-service: it does not speak SSH; it said ".[2Jpwned."');
});

test('a mongod answer that is cut short or garbled ends nothing but the try', async () => {
  const garbled = await saying('', (question) => {
    const reply = opReply({ ok: 1, maxWireVersion: 17 }, question);
    reply.fill(0xff, 30);
    return reply;
  });
  assert.match(await met({ port: garbled, service: 'mongod' }), /^wrong-service: it does not speak MongoDB/);
});

test('a closed port is refused, over UDP as well', async () => {
  const udp = createSocket('udp4').unref();
  await new Promise<void>((resolve) => udp.bind(0, '127.0.0.1', resolve));
  const { port } = udp.address();
  assert.equal(await met({ port, protocol: 'udp', service: 'silent' }), 'not-tried: nothing answers in this protocol; a datagram was sent and not refused');
  await new Promise<void>((resolve) => udp.close(resolve));
  assert.equal((await probe({ port, protocol: 'udp', service: 'silent' })).outcome, 'refused');
  assert.equal((await probe({ port, protocol: 'udp', service: 'dns' })).outcome, 'refused');
  const gone = createServer();
  const closed = await listening(gone);
  await new Promise((resolve) => gone.close(resolve));
  assert.equal(await met({ port: closed }), 'refused: nothing listens there, or a firewall answers for it');
});

test('a name that nobody knows is not resolved', async () => {
  assert.match(await met({ host: 'no-such-host.invalid' }), /^name-not-resolved: no-such-host\.invalid: no /);
});

test('errors of the network are told apart', () => {
  const of = (code: string): string => metOf(Object.assign(new Error(code), { code }), false).outcome;
  assert.deepEqual(['EHOSTUNREACH', 'ENETUNREACH', 'EADDRNOTAVAIL', 'EPERM', 'ECONNREFUSED', 'ETIMEDOUT'].map(of), ['no-route', 'no-route', 'no-route', 'no-route', 'refused', 'timed-out']);
});

test('many tries run side by side and answer in the order of the questions; past the end nothing is tried any more', async () => {
  const silent = await saying('');
  const good = await saying('');
  const targets = Array.from({ length: 40 }, (_, n): ProbeTarget => ({ host: '127.0.0.1', protocol: 'tcp', ...(n % 2 === 0 ? { port: silent, service: 'ssh' } : { port: good, service: 'tcp' }) }));
  const startedMs = performance.now();
  const results = await probePorts(targets, { identity, eachMs: 500, signal: new AbortController().signal });
  assert.deepEqual(results.map(({ outcome }) => outcome), targets.map((_, n) => (n % 2 === 0 ? 'wrong-service' : 'good')));
  assert.ok(performance.now() - startedMs < 40 * 500, 'not one after the other');
  const late = await probePorts(targets.slice(0, 6), { identity, eachMs: 200, signal: new AbortController().signal, allMs: 1, limit: 1 });
  assert.deepEqual(late.map(({ outcome }) => outcome), ['wrong-service', ...Array.from({ length: 5 }, () => 'not-tried')]);
});

test('a host that is asked to listen does so at both ends of the range while the order is open, and not a moment longer', async () => {
  const ends = new AbortController();
  const told = Promise.withResolvers<number[]>();
  const from = await listening(createServer());
  const range = { from, to: Math.min(65_535, from + 60) };
  const order = listenForProbes({ address: '127.0.0.1', range, count: 3 }, identity, async (ports) => told.resolve(ports), ends.signal);
  const ports = await told.promise;
  assert.equal(ports.length, 3);
  assert.notEqual(ports[0], from, 'a port in use is passed over');
  assert.ok(ports.every((port) => port >= range.from && port <= range.to) && ports[2]! > ports[0]!);
  const targets = ports.map((port): ProbeTarget => ({ host: '127.0.0.1', port, protocol: 'tcp', service: 'data' }));
  const results = await probePorts(targets, { identity, eachMs: 3000, signal: new AbortController().signal });
  assert.deepEqual(results.map(({ outcome, says }) => `${outcome}: ${says}`), Array.from({ length: 3 }, () => 'good: transport db1'));
  ends.abort();
  await order;
  assert.equal((await probe({ port: ports[0]!, service: 'data' })).outcome, 'refused');
});

test('a range without a free port is a failure that says so', async () => {
  const port = await listening(createServer());
  await assert.rejects(listenForProbes({ address: '127.0.0.1', range: { from: port, to: port }, count: 3 }, identity, async () => {}, new AbortController().signal), /^Failure: no port of \d+-\d+ can be listened on: each is in use$/);
});
