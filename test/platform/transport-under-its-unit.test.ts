/**
 * The rights of the transport's unit are enough, and no more than it needs: on a whole host, as its own user, it finds
 * the mongod of another user, makes a restore point of it and proves the point on a FUSE mount, and runs hooks, which can do less.
 */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import { compareTimes, type ClusterTime } from '../../src/base/cluster-time.ts';
import { until } from '../../src/base/deadline.ts';
import { fromWire } from '../../src/base/failure.ts';
import { randomId } from '../../src/base/ids.ts';
import type { Caller } from '../../src/contract/link/caller.ts';
import { dialOrders } from '../../src/contract/link/dial.ts';
import { taskKinds, type TaskKind, type TaskOutput } from '../../src/contract/tasks.ts';
import { openAuthority } from '../../src/server/authority.ts';
import { putHook, showingHook, startMongodOn } from '../kit/mongod-on-host.ts';
import { openPackages } from '../kit/packages.ts';
import { openWholeHosts, whyNoWholeHosts, type WholeHost } from '../kit/whole-host.ts';

async function runTask<K extends TaskKind>(transport: Caller, kind: K, input: unknown, said: string[] = []): Promise<TaskOutput<K>> {
  const taskId = randomId();
  await transport.call('task.start', { taskId, kind, input });
  const state = await transport.call('task.watch', { taskId, after: 0 }, { onEvent: ({ event }) => void (event.kind === 'line' && said.push(event.text)) });
  if (state.state === 'failed') throw Object.assign(fromWire(state.failure), { said });
  return taskKinds[kind].output.parse(state.state === 'finished' ? state.output : undefined) as TaskOutput<K>;
}

/** What docs/design/hooks.md says that a hook may do under the unit. */
async function hooksRun(host: WholeHost, transport: Caller): Promise<void> {
  const run = async (program: string, deadlineSeconds = 20): Promise<{ ok: boolean; status: string; said: string[] }> => {
    const said: string[] = [];
    return { ...(await runTask(transport, 'run-hook', { program, args: ['a b'], environment: { TIDEMARK_HOOK: 'before', TIDEMARK_SET: 'rs0' }, deadlineSeconds }, said)), said: said.map((line) => line.replace(/^[^:]+: /, '').trim()) };
  };
  const shown = await run(putHook(host, 'show', showingHook));
  assert.deepEqual([shown.ok, shown.status], [true, 'exit code 0']);
  assert.deepEqual(shown.said, [
    'user tidemark, moment before, set rs0, state , argument a b', 'CapEff: 0000000000000000 CapBnd: 0000000000280004 NoNewPrivs: 1',
    'not /etc/tidemark', 'not /usr/local', 'not /opt/tidemark', 'not /root', 'not /home', 'not /srv', 'not /var/lib', 'writes /var/lib/tidemark-transport', 'writes /run/tidemark-transport', 'writes /tmp',
    'does not read the data',
  ]);
  assert.equal((await host.run('test', ['-e', '/tmp/from-a-hook'])).code, 1, 'its /tmp is that of the service');
  const late = await run(putHook(host, 'late', 'sleep 100'), 1);
  assert.deepEqual([late.ok, late.status], [false, 'it was not done within 1 s']);
  assert.deepEqual((await run(putHook(host, 'fails', 'exit 3'))).status, 'exit code 3');
  putHook(host, 'loose', 'exit 0', 0o777);
  await assert.rejects(run('loose'), { code: 'agent.hook-not-trusted' });
}

test('a transport under its unit backs up the mongod of another user and opens what it made on a mount', { skip: whyNoWholeHosts(), timeout: 90_000 }, async (context) => {
  const place = await mkdtemp(join(tmpdir(), 'tidemark-unit-'));
  await using packages = await openPackages();
  const deb = await packages.deb('tidemark-transport', '1.0.0');
  await using wholeHosts = await openWholeHosts(1);
  const host = wholeHosts.hosts[0]!;
  const authority = await openAuthority(place, systemClock, async () => {});
  context.after(async () => await rm(place, { recursive: true }));

  host.copyIn(deb, '/root/transport.deb');
  await host.ok('dpkg', ['-i', '/root/transport.deb'], { deadlineMs: 60_000 });
  await startMongodOn(host);
  const { keyPem, certificatePem, caPem } = await authority.issue({ part: 'transport', name: host.name, hosts: [host.address] });
  host.write('/var/lib/tidemark-transport/identity.json', JSON.stringify({ keyPem, certificatePem, caPem }), 0o600);
  await host.ok('chown', ['tidemark', '/var/lib/tidemark-transport/identity.json']);
  const server = await authority.issue({ part: 'server', name: 'server', hosts: [] });
  const transport = await until('the transport', 30_000, async () => await dialOrders({ host: host.address, port: 6162, identity: server, version: 'test' }).catch(() => undefined), { everyMs: 300 });
  try {
    const member = { host: host.address, port: 27117 };
    const target = { hosts: [member], credential: { kind: 'none' as const } };
    const { setId, local } = await transport.call('set.discover', { target });
    assert.deepEqual(local.map(({ member }) => member), [`${host.address}:27117`]);
    // From a mount namespace of its own, which the unit's rights ask for, it is seen through the mongod's root.
    assert.match(local[0]!.dbPath, /^(\/proc\/\d+\/root)?\/srv\/mongod$/);
    const location = { kind: 'directory', path: '/var/lib/tidemark-transport/repository' } as const;
    const { keyHex } = await transport.call('repository.open', { location, passphrase: 'for a test', create: true });
    const opened = await transport.call('archive.open', { location, repositoryKeyHex: keyHex, setId, setName: 'rs0' });
    const archive = { location, secret: null, setId, keyHex: opened.keyHex };
    // The keeper of the oplog, as the server has one for each set: a point is proved against what was archived.
    const follower = randomId();
    await transport.call('task.start', { taskId: follower, kind: 'oplog', input: { archive, target, setName: 'rs0', flushSeconds: 1 } });
    const reached = async (wanted?: ClusterTime): Promise<unknown> =>
      await until('the archived oplog', 60_000, async () => {
        const { to, spans } = await transport.call('archive.window', { archive });
        const end = spans.at(-1)?.through ?? to;
        return end !== null && (wanted === undefined || compareTimes(end, wanted) >= 0) ? true : undefined;
      }, { everyMs: 300 });
    await reached();
    const { point } = await runTask(transport, 'backup', { archive, target, source: member });
    await reached(point.top);
    const proof = await runTask(transport, 'prove', { archive, point: point.id, level: 'open', at: null });
    context.diagnostic(`method ${point.method}, mount ${proof.mount}`);
    assert.equal(proof.collections.find(({ ns }) => ns === 'shop.orders')?.documents, 1_000);
    assert.equal(proof.mount, 'fuse');
    await hooksRun(host, transport);
  } finally {
    transport.close();
  }
});
