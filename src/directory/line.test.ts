/** Servers that are none, on the loopback address: what they send is refused, and nothing is said to them before they have proved themselves. */
import assert from 'node:assert/strict';
import { createServer, type AddressInfo, type Socket } from 'node:net';
import { createServer as createTlsServer, TLSSocket } from 'node:tls';
import { after, before, test } from 'node:test';
import { systemClock } from '../base/clock.ts';
import { isFailure, type FailureMaker } from '../base/failure.ts';
import type { DirectorySettings } from '../contract/directory.ts';
import { openTestAuthority, type TestAuthority } from '../../test/kit/test-authority.ts';
import { openDirectory } from './directory.ts';
import { bindRefused, notReached, notTrusted } from './failures.ts';

const everybody = async (): Promise<boolean> => await Promise.resolve(true);

let authority: TestAuthority;
let other: TestAuthority;
before(async () => {
  [authority, other] = [await openTestAuthority(), await openTestAuthority()];
});
after(async () => {
  await authority[Symbol.asyncDispose]();
  await other[Symbol.asyncDispose]();
});

type Fake = AsyncDisposable & { readonly port: number; readonly heard: () => string };

/** Gives every connection to `act`; remembers all that was said to it, before and inside TLS. */
async function openFake(act: (socket: Socket, heard: Buffer[]) => void, tls?: { key: string; cert: string }): Promise<Fake> {
  const heard: Buffer[] = [];
  const sockets = new Set<Socket>();
  const serve = (socket: Socket): void => {
    sockets.add(socket);
    socket.on('error', () => {}).on('data', (bytes: Buffer) => heard.push(bytes));
    act(socket, heard);
  };
  const server = tls === undefined ? createServer(serve) : createTlsServer(tls, serve);
  server.on('tlsClientError', () => {});
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    port: (server.address() as AddressInfo).port,
    heard: () => Buffer.concat(heard).toString('latin1'),
    async [Symbol.asyncDispose]() {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

const bindAnswer = (code: number, says = ''): Buffer => Buffer.from([0x30, 12 + says.length, 2, 1, 2, 0x61, 7 + says.length, 0x0a, 1, code, 4, 0, 4, says.length, ...Buffer.from(says)]);
const tlsGranted = Buffer.from([0x30, 0x0c, 2, 1, 1, 0x78, 7, 0x0a, 1, 0, 4, 0, 4, 0]);

function directoryAt(ports: readonly number[], more: Partial<DirectorySettings> = {}) {
  const settings: DirectorySettings = {
    kind: 'ldap', servers: ports.map((port) => ({ host: '127.0.0.1', port })), encryption: 'none', caPem: null, bindUser: 'cn=svc,dc=x', base: 'dc=x', realm: 'x', domain: null,
    userFilter: '(objectClass=person)', nameAttribute: 'uid', groupFilter: '(objectClass=group)', roles: [], ...more,
  };
  return openDirectory({ settings, bindPassword: 'bind-secret', clock: systemClock });
}

async function refusedWith(maker: FailureMaker<never>, says: RegExp, ports: readonly number[], more: Partial<DirectorySettings> = {}): Promise<void> {
  await assert.rejects(directoryAt(ports, more).prove('anna', 'hush', AbortSignal.timeout(10_000), everybody), (error) => isFailure(error, maker) && says.test(error.message) && !/hush|bind-secret/.test(error.message), says.source);
}

const failed = (maker: unknown): FailureMaker<never> => maker as FailureMaker<never>;

test('a server of another authority, or with a certificate for another name, hears no password', async () => {
  for (const [identity, says] of [[await other.issue('server', 'x'), /another authority/], [await authority.issue('server', 'x', ['10.9.9.9']), /another name/]] as const) {
    const tls = { key: identity.keyPem, cert: identity.certificatePem };
    const { caPem } = await authority.issue('server', 'y');
    await using ldaps = await openFake(() => {}, tls);
    await refusedWith(failed(notTrusted), says, [ldaps.port], { encryption: 'ldaps', caPem });
    await using starttls = await openFake((socket) => {
      socket.once('data', () => {
        socket.removeAllListeners('data');
        socket.write(tlsGranted, () => new TLSSocket(socket, { isServer: true, ...tls }).on('error', () => {}));
      });
    });
    await refusedWith(failed(notTrusted), says, [starttls.port], { encryption: 'starttls', caPem });
    for (const fake of [ldaps, starttls]) assert.doesNotMatch(fake.heard(), /bind-secret|hush|svc/);
  }
});

test('a server that does not grant StartTLS, or says more in the clear, hears no password', async () => {
  await using refusing = await openFake((socket) => socket.once('data', () => socket.write(Buffer.from([...tlsGranted].map((byte, at) => (at === 9 ? 52 : byte))))));
  await refusedWith(failed(notTrusted), /refuses StartTLS with code 52/, [refusing.port], { encryption: 'starttls' });
  await using injecting = await openFake((socket) => socket.once('data', () => socket.write(Buffer.concat([tlsGranted, bindAnswer(0)]))));
  await refusedWith(failed(notReached), /more than an answer came before TLS/, [injecting.port], { encryption: 'starttls' });
  for (const fake of [refusing, injecting]) assert.doesNotMatch(fake.heard(), /bind-secret|hush|svc/);
});

test('answers that are too large, malformed or none are not read', async () => {
  const junk: [Buffer, RegExp][] = [
    [Buffer.from([0x30, 0x84, 0x7f, 0xff, 0xff, 0xff]), /a message of 2147483653 bytes/],
    [Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), /a message begins with 48/],
    [Buffer.from([0x30, 0x05, 2, 1, 2, 0x61, 0x7f]), /runs over the end/],
    [Buffer.from([0x30, 0x0a, 2, 1, 2, 0x61, 5, 0x04, 0, 4, 0, 4]), /runs over the end|is expected/],
  ];
  for (const [bytes, says] of junk) {
    await using fake = await openFake((socket) => socket.once('data', () => socket.write(bytes)));
    await refusedWith(failed(notReached), says, [fake.port]);
  }
  await using closing = await openFake((socket) => socket.once('data', () => socket.end()));
  await refusedWith(failed(notReached), /127\.0\.0\.1:\d+: /, [closing.port]);
});

test('endless entries are cut off', async () => {
  const entry = Buffer.from([0x30, 0x82, 0x10, 0x11, 2, 1, 3, 0x64, 0x82, 0x10, 0x0a, 4, 2, ...Buffer.from('dc'), 0x30, 0x82, 0x10, 0x02, 0x30, 0x82, 0x0f, 0xfe, 4, 1, 0x61, 0x31, 0x82, 0x0f, 0xf7, 4, 0x82, 0x0f, 0xf3, ...Buffer.alloc(0x0ff3)]);
  await using fake = await openFake((socket) => {
    let questions = 0;
    socket.on('data', () => {
      if (++questions === 1) return void socket.write(bindAnswer(0));
      const pour = (): void => {
        while (!socket.destroyed && socket.write(entry));
      };
      if (questions === 2) socket.on('drain', pour);
      pour();
    });
  });
  await refusedWith(failed(notReached), /more than 67108864 bytes of answers|more than/, [fake.port]);
});

test('servers are asked in turn: one that is away is passed over, and a refusal of one that answers is final', async () => {
  const asked: string[] = [];
  await using away = await openFake((socket) => (asked.push('away'), socket.destroy()));
  await using refusing = await openFake((socket) => socket.once('data', () => (asked.push('refusing'), socket.write(bindAnswer(49, 'AcceptSecurityContext error, data 533, v')))));
  const directory = directoryAt([away.port, refusing.port, 1]);
  for (let n = 0; n < 2; n++) await assert.rejects(directory.prove('anna', 'hush', AbortSignal.timeout(10_000), everybody), (error) => isFailure(error, bindRefused) && /cn=svc,dc=x in: the account is disabled/.test(error.message));
  assert.deepEqual(asked, ['away', 'refusing', 'refusing'], 'the second time the one that was away is asked last');
});

test('a test of the directory says for each server which step failed', async () => {
  await using refusing = await openFake((socket) => socket.once('data', () => socket.write(bindAnswer(49))));
  const { ok, servers } = await directoryAt([refusing.port, 1]).test(AbortSignal.timeout(10_000));
  assert.equal(ok, false);
  assert.deepEqual(servers.map(({ steps }) => steps.map(({ step, ok: passed }) => `${step} ${passed}`)), [['connect true', 'bind false'], ['connect false']]);
  assert.match(servers[0]!.steps[1]!.says, /user or password is wrong {2}\[directory\.bind-refused\]/);
});

test('an answer that no server gives in time is a failure that says so', async () => {
  const at = performance.now();
  await using silent = await openFake(() => {});
  await refusedWith(failed(notReached), /TLS with 127\.0\.0\.1:\d+, in vain/, [silent.port], { encryption: 'ldaps' });
  assert.ok(performance.now() - at < 8_000);
});
