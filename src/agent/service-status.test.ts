import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { scratch } from '../../test/kit/scratch.ts';
import { answerStatus, askStatus, type ServiceStatus } from './service-status.ts';

let place: string;
before(() => void (place = mkdtempSync(join(scratch, 'tidemark-status-'))));
after(() => rmSync(place, { recursive: true }));

const status: ServiceStatus = { version: '1.0.0', pid: 812, state: 'listening', port: 6162, tasks: [{ taskId: 't', kind: 'backup' }] };

/** Whoever has taken the name of the service. */
async function impostor(answer: RequestListener) {
  const path = join(place, 'impostor.sock');
  const http = createServer(answer);
  await new Promise<void>((resolve) => http.listen(path, resolve));
  return {
    path,
    async [Symbol.asyncDispose]() {
      http.closeAllConnections();
      await new Promise<void>((resolve) => http.close(() => resolve()));
    },
  };
}

test('a service is asked how it fares and told to take no new task', async () => {
  const path = join(place, 'status.sock');
  const told: boolean[] = [];
  const service = await answerStatus(path, { status: () => status, drain: (on) => void told.push(on) });
  assert.deepEqual(await askStatus(path), status);
  assert.deepEqual(await askStatus(path, { order: { drain: true }, pid: 812 }), status);
  assert.deepEqual(told, [true]);
  await service.close();
  assert.equal(await askStatus(path), undefined);
});

test('an answer that goes on and on counts as none when its time is over, however often something comes', { timeout: 20_000 }, async () => {
  await using other = await impostor((_, answer) => {
    const timer = setInterval(() => answer.write(' '), 20);
    answer.on('close', () => clearInterval(timer));
  });
  const startedMs = performance.now();
  assert.equal(await askStatus(other.path, { deadlineMs: 300 }), undefined);
  assert.ok(performance.now() - startedMs < 5_000);
});

test('an answer of too many bytes counts as none, and the rest of it is not waited for', { timeout: 20_000 }, async () => {
  let isClosed: (value: true) => void;
  const closed = new Promise<true>((resolve) => (isClosed = resolve));
  await using other = await impostor((_, answer) => {
    answer.on('close', () => isClosed(true));
    const text = JSON.stringify(status);
    answer.write(`${text.slice(0, -1)},"more":"${'x'.repeat(2 << 20)}"}`);
    answer.end();
  });
  assert.equal(await askStatus(other.path, { deadlineMs: 10_000 }), undefined);
  assert.equal(await closed, true);
});

test('what another process says than the one that is asked for counts as nothing', async () => {
  await using other = await impostor((_, answer) => void answer.end(JSON.stringify(status)));
  assert.equal(await askStatus(other.path, { pid: 813 }), undefined);
  assert.deepEqual(await askStatus(other.path, { pid: 812 }), status);
});
