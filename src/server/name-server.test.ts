/** What a name server can answer, on this machine alone; real ones are in test/platform/dns.test.ts. */
import assert from 'node:assert/strict';
import { createSocket, type Socket as UdpSocket } from 'node:dgram';
import { createServer, type AddressInfo, type Server, type Socket } from 'node:net';
import { afterEach, test } from 'node:test';
import { openNameServer, type NameServer } from './name-server.ts';

const open: { close(): void }[] = [];
afterEach(() => {
  for (const one of open.splice(0)) one.close();
});

type Script = { readonly udp: (question: Buffer, asked: number) => readonly Buffer[]; readonly tcp?: (question: Buffer) => readonly Buffer[] };

/** Answers as the test says, over UDP and, where it is said, over TCP on the same port. */
async function scripted({ udp, tcp }: Script, questionMs = 400): Promise<NameServer & { asked: () => number }> {
  const socket: UdpSocket = createSocket('udp4');
  open.push(socket);
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  let asked = 0;
  socket.on('message', (question, from) => {
    asked++;
    for (const answer of udp(question, asked)) socket.send(answer, from.port, from.address);
  });
  if (tcp !== undefined) await listen(tcp, port);
  return { ...openNameServer({ address: '127.0.0.1', port }, { questionMs }), asked: () => asked };
}

async function listen(tcp: NonNullable<Script['tcp']>, port: number): Promise<void> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => {});
    socket.on('data', (bytes) => {
      for (const part of tcp(bytes.subarray(2))) socket.write(part);
    });
  });
  await new Promise<void>((resolve, reject) => server.once('error', reject).listen(port, '127.0.0.1', () => resolve()));
  assert.equal((server.address() as AddressInfo).port, port);
  open.push({
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  });
}

/** The question with other flags, and answers of four bytes each behind it. */
function answer(question: Buffer, flags: number, ...addresses: readonly (readonly number[])[]): Buffer {
  const head = Buffer.from(question);
  head.writeUInt16BE(flags, 2);
  head.writeUInt16BE(addresses.length, 6);
  return Buffer.concat([head, ...addresses.map((address) => Buffer.from([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, ...address]))]);
}
const framed = (message: Buffer): Buffer => Buffer.concat([Buffer.from([message.length >> 8, message.length & 0xff]), message]);
const [fine, cutShort, failing, noName] = [0x8180, 0x8380, 0x8182, 0x8183];
const here = [10, 77, 0, 11];
const db1 = { name: 'db1.a.test', type: 'A' } as const;

test('an answer over UDP is taken, a name that is not there is an answer, and a failure is none', async () => {
  assert.deepEqual(await (await scripted({ udp: (question) => [answer(question, fine, here)] })).ask(db1), { kind: 'found', values: ['10.77.0.11'], ttlSeconds: 60 });
  assert.deepEqual(await (await scripted({ udp: (question) => [answer(question, noName)] })).ask(db1), { kind: 'found', values: [], ttlSeconds: null });
  assert.deepEqual(await (await scripted({ udp: (question) => [answer(question, failing)] })).ask(db1), { kind: 'silent', why: 'SERVFAIL' });
  assert.deepEqual(await (await scripted({ udp: () => [] })).ask({ name: 'a..b', type: 'A' }), { kind: 'silent', why: 'it is no name that could be asked for' });
});

test('an answer that is cut short is asked for over TCP, in pieces as they come', async () => {
  const tcp = (question: Buffer): Buffer[] => {
    const whole = framed(answer(question, fine, here, [10, 77, 0, 12]));
    return [whole.subarray(0, 1), whole.subarray(1, 20), whole.subarray(20)];
  };
  const server = await scripted({ udp: (question) => [answer(question, cutShort, here)], tcp });
  assert.deepEqual(await server.ask(db1), { kind: 'found', values: ['10.77.0.11', '10.77.0.12'], ttlSeconds: 60 });
  assert.deepEqual([server.state().isCutShort, server.state().why], [false, null]);
});

test('an answer that is cut short where TCP is closed, silent, or says something else is no missing record', async () => {
  const udp = (question: Buffer): Buffer[] => [answer(question, cutShort)];
  const closed = await scripted({ udp });
  assert.deepEqual(await closed.ask(db1), { kind: 'silent', why: 'its answer is too long for a datagram, and over TCP nothing listens there' });
  assert.deepEqual(closed.state().isCutShort, true);
  assert.match(JSON.stringify(await (await scripted({ udp, tcp: () => [] })).ask(db1)), /over TCP no answer within 0\.4 s/);
  assert.match(JSON.stringify(await (await scripted({ udp, tcp: (question) => [framed(answer(question, cutShort))] })).ask(db1)), /over TCP what it says is no answer to the question/);
});

test('a datagram that is lost is sent again', async () => {
  const server = await scripted({ udp: (question, asked) => (asked === 2 ? [answer(question, fine, here)] : []) }, 3_000);
  assert.deepEqual(await server.ask(db1), { kind: 'found', values: ['10.77.0.11'], ttlSeconds: 60 });
  assert.equal(server.asked(), 2);
});

test('an answer to another question, with another id, or of no sense at all is not heard', async () => {
  const forged = (question: Buffer): Buffer[] => {
    const [id, name, kind] = [Buffer.from(question), Buffer.from(question), Buffer.from(question)];
    id[0]! ^= 0xff;
    name[13]! ^= 0x01;
    kind[question.length - 3] = 28;
    return [Buffer.from('garbled'), ...[id, name, kind].map((each) => answer(each, fine, [6, 6, 6, 6])), question];
  };
  assert.deepEqual(await (await scripted({ udp: forged })).ask(db1), { kind: 'silent', why: 'no answer within 0.4 s' });
  assert.deepEqual(await (await scripted({ udp: (question) => [...forged(question), answer(question, fine, here)] })).ask(db1), { kind: 'found', values: ['10.77.0.11'], ttlSeconds: 60 });
});

test('a name server that says nothing is dead after its greeting, one that falls silent after five questions, and neither is asked again', async () => {
  const dead = await scripted({ udp: () => [] }, 100);
  assert.equal(await dead.greet(), false);
  assert.deepEqual(dead.state(), { server: dead.name, address: '127.0.0.1', why: 'no answer within 0.1 s', isCutShort: false });
  const asked = dead.asked();
  assert.equal(await dead.ask(db1), undefined);
  assert.equal(dead.asked(), asked);
  const failed = await scripted({ udp: (question, n) => (n === 1 ? [answer(question, failing)] : []) }, 50);
  assert.equal(await failed.greet(), true, 'one that fails at a name is there');
  for (let n = 0; n < 5; n++) assert.equal((await failed.ask(db1))?.kind, 'silent');
  assert.equal(await failed.ask(db1), undefined);
  assert.equal(failed.state().why, 'no answer within 0.05 s');
});

test('where nothing listens that is known at once', async () => {
  const socket = createSocket('udp4');
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve));
  const { port } = socket.address();
  await new Promise<void>((resolve) => socket.close(resolve));
  const server = openNameServer({ address: '127.0.0.1', port });
  assert.equal(await server.greet(), false);
  assert.equal(server.state().why, 'nothing listens there');
});
