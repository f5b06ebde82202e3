/** SIGKILL of the server process at moments of a backup. What the host does goes on; the next server tells the truth. */
import assert from 'node:assert/strict';
import { fork, type ChildProcess } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { request } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { until, withDeadline } from '../../src/base/deadline.ts';
import { openFakeTransport, type FakeTransport } from '../kit/fake-transport.ts';
import { freePort } from '../kit/free-port.ts';
import { target } from '../kit/server-platform.ts';

const program = new URL('../../src/main/server.ts', import.meta.url).pathname;

type Running = { readonly child: ChildProcess; kill9(): Promise<void>; ask(method: string, path: string, body?: unknown): Promise<any> };

async function start(data: string, port: number, transport: number): Promise<Running> {
  const child = fork(program, ['--data', data, '--listen', `127.0.0.1:${port}`, '--transport', `127.0.0.1:${transport}`], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'], env: {} });
  const ready = new Promise<{ url: string; tokenFile: string; caFile: string }>((resolve, reject) => {
    child.once('message', (message) => resolve(message as never));
    child.once('close', (code) => reject(new Error(`the server ended with ${code}`)));
  });
  return {
    child,
    kill9: async () => {
      const ended = new Promise((resolve) => child.once('close', resolve));
      child.kill('SIGKILL');
      await ended;
    },
    ask: async (method, path, body) => {
      const { url, tokenFile, caFile } = await withDeadline('the server to be ready', 60_000, async () => await ready);
      const [token, ca] = [(await readFile(tokenFile, 'utf8')).trim(), await readFile(caFile, 'utf8')];
      return await new Promise((resolve, reject) => {
        const sent = request(new URL(path, url), { method, ca, agent: false, headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' } }, (response) => {
          let text = '';
          response.on('data', (part: Buffer) => (text += part.toString()));
          response.on('end', () => resolve(JSON.parse(text)));
        });
        sent.on('error', reject);
        sent.end(body === undefined ? undefined : JSON.stringify(body));
      });
    },
  };
}

/** Where the server is when it is killed: the moment this resolves. */
const moments: Record<string, (fake: FakeTransport) => Promise<void>> = {
  'as the backup task is begun': async (fake) => await seen(fake, 'backup'),
  'while the copy is made': async (fake) => {
    await seen(fake, 'backup');
    await until('the source in the log', 10_000, () => (fake.answered.filter((name) => name === 'task.watch').length >= 2 ? true : undefined), { everyMs: 5 });
  },
  'as the proof is begun': async (fake) => await seen(fake, 'prove'),
  'as the proof is written down': async (fake) => void (await until('the proof', 20_000, () => (fake.proofs.length > 0 ? true : undefined), { everyMs: 1 })),
};

async function seen(fake: FakeTransport, kind: string): Promise<void> {
  await until(`a ${kind} task`, 20_000, () => (fake.begun.some((task) => task.kind === kind) ? true : undefined), { everyMs: 1 });
}

for (const [moment, reached] of Object.entries(moments)) {
  test(`a server killed ${moment} leaves a session that ends in success, with one copy and one proof made`, async () => {
    const data = await mkdtemp(join(tmpdir(), 'tm-server-kill-'));
    const [rest, port] = [await freePort(), await freePort()];
    let server = await start(data, rest, port);
    const fake = await openFakeTransport({ identityFile: join(data, 'transport.json'), port });
    try {
      const added = await server.ask('POST', '/api/v1/sets', { target });
      assert.equal(added.name, 'rs0', JSON.stringify(added));
      const { id } = await server.ask('POST', '/api/v1/sets/rs0/backups', {});
      await reached(fake);
      await server.kill9();
      server = await start(data, rest, port);
      const session = await until('the session to end', 60_000, async () => {
        const found = await server.ask('GET', `/api/v1/sessions/${id}`);
        return found.endedAtMs === null ? undefined : found;
      });
      assert.equal(session.state, 'success', JSON.stringify(session.failure));
      const count = (kind: string): number => fake.begun.filter((task) => task.kind === kind).length;
      assert.deepEqual([count('backup'), count('prove'), count('oplog')], [1, 1, 1]);
      const { points } = await server.ask('GET', '/api/v1/points');
      assert.deepEqual(points.map((point: { proof: { ok: boolean } }) => point.proof.ok), [true]);
    } finally {
      await server.kill9();
      await fake.close();
      await rm(data, { recursive: true, force: true });
    }
  });
}
