/**
 * A repository that the database's host can reach through a gateway alone: its firewall and the repository's forbid the direct
 * way, and are opened by nothing but what `ports export` printed.
 */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { after, before, test } from 'node:test';
import { MongoClient, type Timestamp } from 'mongodb';
import { until } from '../../src/base/deadline.ts';
import { hashAll } from '../../src/mongo/dbhash.ts';
import { endStates } from '../kit/killed-platform.ts';
import { mongodPort, openHostedPlatform, repositoryOn, whyNoWholeHosts, type HostedPlatform, type HostedSet } from '../kit/hosted-platform.ts';
import { isSilent, scanFrom } from '../kit/port-scan.ts';
import { cut, nextBackup } from '../kit/struck-hosts.ts';
import type { WholeHost } from '../kit/whole-host.ts';

const skip = whyNoWholeHosts();
const limits = { skip, timeout: 280_000 };
const window = ['--window-seconds', '600'];

let hosted: HostedPlatform;
let set: HostedSet;
let [db, gate, vault]: WholeHost[] = [];

before(async () => {
  if (skip !== undefined) return;
  hosted = await openHostedPlatform(['db', 'gate', 'vault'], { restores: ['db'], sizeMb: 1500 });
  [db, gate, vault] = ['db', 'gate', 'vault'].map((name) => hosted.hosts[name]!);
  set = await hosted.startSet(['db'], { flags: ['--syncdelay', '600'] });
  await hosted.addRepository('vault');
  await hosted.platform.ok('repository', 'gateway', 'vault', 'gate');
  await hosted.platform.ok('set', 'add', set.uri, '--repository', 'vault');
});
after(async () => {
  await set?.[Symbol.asyncDispose]();
  await hosted?.[Symbol.asyncDispose]();
});

/** Nothing comes in but what the exported rules let in, answers, and this test. */
async function closeFirewalls(): Promise<void> {
  const { texts } = (await hosted.platform.ok('ports', 'export', '--format', 'nftables')) as { texts: { machine: string; text: string }[] };
  const bridge = hosted.tide.address.replace(/\d+$/, '1');
  for (const [name, host] of Object.entries(hosted.hosts)) {
    await host.ok('nft', ['-f', '-'], { input: texts.find(({ machine }) => machine === name)!.text });
    await host.ok('nft', ['-f', '-'], { input: `table inet filter {\n chain input {\n type filter hook input priority 0; policy drop;\n ct state established,related accept; iifname "lo" accept; ip saddr ${bridge} accept;\n jump tidemark\n }\n}\n` });
  }
}

type Shown = { state: string; failure: { code: string; message: string } | null; steps: { name: string }[] };
const show = async (id: string): Promise<Shown> => (await hosted.platform.ok('session', 'show', id)) as Shown;
const ended = async (id: string, ms: number): Promise<Shown> => await until(`session ${id} to end`, ms, async () => {
  const session = await show(id);
  return endStates.has(session.state) ? session : undefined;
}, { everyMs: 300 });

const rows = async (bytes: number): Promise<void> => {
  const documents = Array.from({ length: bytes / 48e3 }, () => ({ bytes: randomBytes(48e3) }));
  await set.client.db('shop').collection('blobs').insertMany(documents as never[], { writeConcern: { w: 'majority', journal: true } });
};
const storedBytes = async (): Promise<number> => Number((await vault!.ok('du', ['-sb', repositoryOn])).split('\t')[0]);

/** New data, sent slowly enough to be struck in its middle; answers the session when some of it has arrived. */
async function struckBackup(): Promise<string> {
  await db!.ok('tc', ['qdisc', 'replace', 'dev', 'eth0', 'root', 'tbf', 'rate', '40mbit', 'burst', '64kb', 'latency', '200ms']);
  await rows(16e6);
  const { session } = (await hosted.platform.ok('backup', 'run', 'rs0', '--source', set.members[0]!, ...window, '--detach')) as { session: string };
  await until('the copy', 60_000, async () => (/^(pre-copy|store) /.test((await show(session)).steps.at(-1)?.name ?? '') ? true : undefined), { everyMs: 100 });
  const first = await storedBytes();
  await until('bytes to arrive', 30_000, async () => ((await storedBytes()) > first + 2e6 ? true : undefined), { everyMs: 50 });
  return session;
}

/** Of data sessions, only the one of the oplog, with its gateway. */
async function isClean(): Promise<void> {
  const movers = async (host: WholeHost): Promise<number> => (await host.run('sh', ['-c', "pgrep -f '[/]lib/main/mover' || true"])).stdout.split('\n').filter((line) => line !== '').length;
  const tasks = async (host: WholeHost): Promise<number> => (await host.ok('ls', ['/var/lib/tidemark-transport/tasks'])).split('\n').filter((line) => line !== '').length;
  let left = '';
  await until('the oplog alone to be followed', 60_000, async () => {
    const counts = await Promise.all([db!, gate!, vault!].map(async (host) => [await tasks(host), await movers(host)] as const));
    left = JSON.stringify(counts);
    return counts.every(([directories, processes]) => directories === 1 && processes <= 2) ? true : undefined;
  }, { everyMs: 500 }).catch((error: Error) => assert.fail(`${error.message}: ${left}`));
  const ports = await gate!.ok('ss', ['-Hltn']);
  assert.ok(ports.split('\n').filter((line) => /:(2[5-9]\d\d|3[0-2]\d\d|3300) /.test(line)).length <= 4, ports);
}

/** Ports that answer over TLS to peers without a certificate: people with a token, hosts that enrol, installers. */
const answersWithout = new Set([9419, 10002, 11731]);

test('a scan of all ports of each host finds those of the plan alone, and nothing is said on them before mutual TLS', limits, async (t) => {
  const { rows: matrix } = (await hosted.platform.ok('ports', 'matrix')) as { rows: { to: { name: string; addresses: string[] }; protocol: string; ports: { from: number; to: number }[]; service: string }[] };
  const counts: Record<string, number> = {};
  for (const [to, from] of [[db!, gate!], [gate!, db!], [vault!, db!], [hosted.tide, vault!]] as const) {
    const planned = matrix.filter((row) => row.protocol === 'tcp' && row.to.addresses.includes(to.address));
    const found = await scanFrom(from, to);
    t.diagnostic(`${to.name}, ${to.address}: ${found.map(({ port }) => port).join(', ')}`);
    counts[to.name] = found.length;
    for (const { port, toGarbage, toHttp, insideTls } of found) {
      const rowsOfPort = planned.filter(({ ports }) => ports.some((range) => range.from <= port && port <= range.to));
      assert.ok(rowsOfPort.length > 0, `${to.address} listens on ${port}, which is not planned`);
      if (rowsOfPort.some(({ service }) => service === 'mongod')) continue;
      assert.ok(isSilent(toGarbage), `${to.address}:${port} answers garbage: ${toGarbage}`);
      assert.ok(isSilent(toHttp), `${to.address}:${port} answers HTTP: ${toHttp}`);
      if (!answersWithout.has(port)) assert.equal(insideTls, '', `${to.address}:${port} answers without a certificate`);
    }
  }
  // The oplog's data session, on both sides of the gateway, was there to be found.
  assert.ok(counts[gate!.name]! >= 3 && counts[vault!.name]! >= 3, JSON.stringify(counts));
});

test('with the direct way forbidden: backup, proof, oplog and restore to a moment go through the gateway, on the rows of the plan', limits, async (t) => {
  await closeFirewalls();
  const direct = await db!.run('timeout', ['1', 'bash', '-c', `exec 3<>/dev/tcp/${vault!.address}/6162`]);
  assert.notEqual(direct.code, 0, 'the direct way is closed');
  const { rows: matrix } = (await hosted.platform.ok('ports', 'matrix')) as { rows: { row: number; from: { name: string }; to: { name: string } }[] };
  const pairs = matrix.filter(({ row, to }) => [13, 16, 20, 28].includes(row) && to.name in hosted.hosts).map(({ row, from, to }) => `${row} ${from.name} > ${to.name}`);
  assert.deepEqual(pairs, ['13 gate > vault', '16 db > gate']);
  const { json: checked } = await hosted.platform.tidemark('ports', 'check', '--row', '13', '--row', '16');
  const outcomes = (checked.rows as { row: number; to: { name: string }; outcome: string }[]).filter(({ to }) => to.name in hosted.hosts).map(({ row, outcome }) => `${row} ${outcome}`);
  assert.deepEqual(outcomes, ['13 good', '16 good']);

  await rows(8e6);
  const made = await hosted.platform.ok('backup', 'run', 'rs0', ...window);
  assert.equal(made.verified, true);
  await set.client.db('shop').collection<{ _id: number }>('late').insertOne({ _id: 1 }, { writeConcern: { w: 'majority' } });
  const { operationTime } = await set.client.db('shop').command({ ping: 1 });
  const [seconds, nth] = [(operationTime as Timestamp).getHighBits(), (operationTime as Timestamp).getLowBits()];
  const wanted = await hashAll(set.client);
  const restored = await hosted.platform.ok('restore', 'set', 'rs0', '--at', `${seconds},${nth}`, '--name', 'back', '--node', 'db', '--host', db!.address, '--to-dir', '/srv/back:27117', '--start', '--apply');
  assert.equal(restored.applied, true);
  assert.notEqual(mongodPort, 27117);
  await db!.ok('nft', ['insert', 'rule', 'inet', 'filter', 'input', 'tcp', 'dport', '27117', 'accept']);
  const client = await MongoClient.connect(`mongodb://${db!.address}:27117/?directConnection=true`, { serverSelectionTimeoutMS: 30_000 });
  t.after(async () => await client.close());
  assert.deepEqual(await hashAll(client), wanted);
});

test('the gateway\'s network is away for 5 s: the session goes on where it was, and so does the oplog', limits, async () => {
  const session = await struckBackup();
  const { chain } = (await hosted.platform.ok('set', 'show', 'rs0')).oplog as { chain: string };
  const mend = await cut(gate!);
  await gate!.ok('sleep', ['5']);
  await mend();
  const { state, failure } = await ended(session, 90_000);
  assert.deepEqual([state, failure], ['success', null]);
  assert.equal((await hosted.platform.ok('set', 'show', 'rs0')).oplog.chain, chain, 'the oplog has no gap');
  await isClean();
});

test('the gateway\'s services are killed: the session fails with that reason, nothing stays behind, and the next backup works', limits, async () => {
  const session = await struckBackup();
  await gate!.ok('systemctl', ['kill', '-s', 'KILL', 'tidemark-transport']);
  const { state, failure } = await ended(session, 60_000);
  assert.equal(state, 'failed');
  assert.equal(failure?.code, 'server.task-lost');
  assert.match(failure.message, /gate/);
  await hosted.connected('gate');
  await until('the oplog to be followed', 90_000, async () => ((await hosted.platform.ok('set', 'show', 'rs0')).oplog.state === 'following' ? true : undefined), { everyMs: 500 });
  const made = await nextBackup(hosted, 'the services of the gateway were killed', window, 90_000);
  assert.equal(made.verified, true);
  await isClean();
});

test('in single-port mode data comes to the ports of the transport services alone, on the gateway and behind it', limits, async () => {
  for (const name of ['gate', 'vault']) await hosted.platform.ok('node', 'configure', name, '--single-port', 'on');
  const { rows: matrix } = (await hosted.platform.ok('ports', 'matrix')) as { rows: { row: number; from: { name: string }; to: { name: string }; ports: object[] }[] };
  const planned = matrix.filter(({ row, to }) => [13, 16, 20].includes(row) && to.name in hosted.hosts);
  assert.deepEqual(planned.map(({ row, from, to, ports }) => [`${row} ${from.name} > ${to.name}`, ports]), [['16 db > gate', [{ from: 6162, to: 6162 }]], ['20 gate > vault', [{ from: 6162, to: 6162 }]]]);
  await closeFirewalls();
  const made = await nextBackup(hosted, 'single-port mode was set', window, 90_000);
  assert.equal(made.verified, true);
});
