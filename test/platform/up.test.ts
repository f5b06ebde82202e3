/** `tidemark up` as an operator and a service manager meet it: one ready line, nothing left behind. */
import assert from 'node:assert/strict';
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, test } from 'node:test';
import { until, withDeadline } from '../../src/base/deadline.ts';
import { freePort } from '../kit/free-port.ts';
import { descendants } from '../kit/platform.ts';

const launcher = join(import.meta.dirname, '../../bin/tidemark');
const place = mkdtempSync(join(tmpdir(), 'tm-up-'));
const started: ChildProcess[] = [];
after(() => {
  for (const child of started) child.kill('SIGKILL');
  rmSync(place, { recursive: true, force: true, maxRetries: 5 });
});

type Ready = { url: string; tokenFile: string; caFile: string; dataDir: string; pid: number };
type Up = { child: ChildProcess; ready: Ready; stderr: () => string; ended: Promise<number | string> };

async function ports(): Promise<string[]> {
  return ['--listen', `127.0.0.1:${await freePort()}`, '--transport-listen', `127.0.0.1:${await freePort()}`];
}

async function startUp(data: string, addresses: readonly string[]): Promise<Up> {
  const child = spawn(launcher, ['up', '--data', data, ...addresses, '--json'], { stdio: ['ignore', 'pipe', 'pipe'] });
  started.push(child);
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text));
  const ended = new Promise<number | string>((resolve) => child.once('close', (code, signal) => resolve(code ?? signal!)));
  const line = new Promise<string>((resolve) => createInterface({ input: child.stdout }).once('line', resolve));
  const early = ended.then((how) => assert.fail(`up ended with ${how}: ${said}`));
  early.catch(() => {});
  const ready = JSON.parse(await withDeadline('the ready line', 90_000, async () => await Promise.race([line, early]))) as Ready;
  return { child, ready, stderr: () => said, ended };
}

async function run(words: string[]): Promise<{ code: number; stdout: string; stderr: string }> {
  return await new Promise((resolve) => {
    const child = execFile(launcher, words, { timeout: 120_000 }, (_, stdout, stderr) => resolve({ code: child.exitCode ?? -1, stdout, stderr }));
  });
}

function isRunning(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
}

test('up prints one ready line, keeps its secrets to its owner, answers commands, and ends whole at SIGTERM', async () => {
  const data = join(place, 'one');
  const addresses = await ports();
  const up = await startUp(data, addresses);
  assert.equal(up.ready.dataDir, data);
  assert.equal(up.ready.url, `https://${addresses[1]}`);
  assert.equal(statSync(data).mode & 0o777, 0o700);
  assert.equal(statSync(up.ready.tokenFile).mode & 0o777, 0o600);

  const list = await run(['repository', 'list', '--json', '--server', up.ready.url, '--token-file', up.ready.tokenFile]);
  assert.equal(list.code, 0, list.stderr);
  const { repositories } = JSON.parse(list.stdout) as { repositories: { isDefault: boolean }[] };
  assert.deepEqual(repositories.map((repository) => repository.isDefault), [true]);
  const token = readFileSync(up.ready.tokenFile, 'utf8').trim();
  const words = [up.child.pid!, ...descendants(up.child.pid!)].map((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8')).join('\n');
  assert.ok(!words.includes(token), 'no secret stands on a command line');

  const below = descendants(up.child.pid!);
  assert.ok(below.length >= 2);
  up.child.kill('SIGTERM');
  assert.equal(await withDeadline('up to end', 60_000, async () => await up.ended), 0);
  assert.deepEqual(below.filter(isRunning), []);
});

test('a second up on the same data directory, and a taken port, are refused by name', async () => {
  const data = join(place, 'two');
  const up = await startUp(data, await ports());
  const second = await run(['up', '--data', data, ...(await ports())]);
  assert.equal(second.code, 5);
  assert.match(second.stderr, new RegExp(`another "tidemark up" \\(pid ${up.ready.pid}\\) uses the data directory`));

  const listener = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => listener.once('listening', resolve));
  const { port } = listener.address() as AddressInfo;
  const refused = await run(['up', '--data', join(place, 'three'), '--listen', `127.0.0.1:${port}`, '--transport-listen', `127.0.0.1:${await freePort()}`]);
  listener.close();
  assert.equal(refused.code, 1);
  assert.match(refused.stderr, new RegExp(`port ${port} is in use by pid ${process.pid} \\(`));

  up.child.kill('SIGTERM');
  await withDeadline('up to end', 60_000, async () => await up.ended);
});

test('a killed part is started again, and up killed itself leaves nothing running and starts again', async () => {
  const data = join(place, 'four');
  const addresses = await ports();
  const up = await startUp(data, addresses);
  const server = descendants(up.child.pid!).find((pid) => readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('/server.ts'))!;
  process.kill(server, 'SIGKILL');
  await until('the server to run again', 60_000, () => (up.stderr().includes('server runs again') ? true : undefined));
  assert.match(up.stderr(), /^server ended with SIGKILL; it is started again in 0\.5 s$/m);

  const below = descendants(up.child.pid!);
  up.child.kill('SIGKILL');
  await up.ended;
  await until('the parts to end', 60_000, () => (below.some(isRunning) ? undefined : true));

  const again = await startUp(data, addresses);
  assert.equal(again.ready.tokenFile, up.ready.tokenFile);
  again.child.kill('SIGTERM');
  await withDeadline('up to end', 60_000, async () => await again.ended);
});
