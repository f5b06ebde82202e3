/** Backup data goes from host to host: counted on the interfaces of the server's machine, the database's and the repository's. */
import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test, type TestContext } from 'node:test';
import type { Timestamp } from 'mongodb';
import { compareTimes } from '../../src/base/cluster-time.ts';
import { until } from '../../src/base/deadline.ts';
import { openHostedPlatform, whyNoWholeHosts } from '../kit/hosted-platform.ts';
import type { WholeHost } from '../kit/whole-host.ts';

const dataBytes = 96e6;
const documentBytes = 48_000;
/** Orders and what they answer: sessions, progress, links' signs of life. */
const talkBytes = 300e3;

/** What is for this host and comes in, or goes out of it, by its interface: a bridge may show it frames of others too. */
const counters = `table inet counted {
 counter crossed { }
 chain in { type filter hook input priority -20; iifname "eth0" counter name crossed; }
 chain out { type filter hook output priority -20; oifname "eth0" counter name crossed; }
}
`;

async function crossed(host: WholeHost): Promise<number> {
  const { nftables } = JSON.parse(await host.ok('nft', ['-j', 'list', 'counter', 'inet', 'counted', 'crossed'])) as { nftables: { counter?: { bytes: number } }[] };
  return nftables.find(({ counter }) => counter !== undefined)!.counter!.bytes;
}

test('the server sees no backup byte: not of a full backup, its proof, the oplog or a restore; and a limit of the repository holds', { skip: whyNoWholeHosts(), timeout: 400_000 }, async (context: TestContext) => {
  await using hosted = await openHostedPlatform(['db', 'vault'], { restores: ['db'], sizeMb: 2000 });
  const { platform, tide, hosts } = hosted;
  const [db, vault] = [hosts['db']!, hosts['vault']!];
  for (const host of [tide, vault]) await host.ok('nft', ['-f', '-'], { input: counters });
  await using set = await hosted.startSet(['db']);
  await hosted.addRepository('vault');
  await platform.ok('set', 'add', set.uri, '--repository', 'vault');
  const blobs = set.client.db('shop').collection('blobs');
  const count = Math.ceil(dataBytes / documentBytes);

  const counted = async (what: string, wantedAtVault: number, work: () => Promise<unknown>): Promise<void> => {
    const before = await Promise.all([tide, vault].map(crossed));
    await work();
    const after = await Promise.all([tide, vault].map(crossed));
    const [atServer, atVault] = after.map((bytes, k) => bytes - before[k]!) as [number, number];
    context.diagnostic(`${what}: ${Math.round(atServer / 1e3)} KB through the server's interface, ${(atVault / 1e6).toFixed(1)} MB through the repository's`);
    assert.ok(atVault > wantedAtVault, `${what}: only ${atVault} bytes went to or from the repository's host`);
    assert.ok(atServer < talkBytes + atVault / 100, `${what}: ${atServer} bytes went through the server's interface`);
  };

  await counted('oplog', dataBytes * 0.9, async () => {
    for (let at = 0; at < count; at += 200) {
      await blobs.insertMany(Array.from({ length: Math.min(200, count - at) }, () => ({ bytes: randomBytes(documentBytes) })), { writeConcern: { w: 'majority' } });
    }
    const { operationTime } = await set.client.db('shop').command({ ping: 1 });
    const [t, i] = [(operationTime as Timestamp).getHighBitsUnsigned(), (operationTime as Timestamp).getLowBitsUnsigned()];
    await until('the archived oplog', 120_000, async () => (compareTimes((await platform.ok('set', 'show', 'rs0')).oplog.through ?? { t: 0, i: 0 }, { t, i }) >= 0 ? true : undefined), { everyMs: 500 });
    const covered = await until('the reach of the members', 90_000, async () => {
      const { members } = (await platform.ok('set', 'show', 'rs0')).oplog as { members: { heldSeconds: number | null; reachSeconds: number | null }[] };
      return members.length > 0 ? members : undefined;
    }, { everyMs: 500 });
    for (const { heldSeconds, reachSeconds } of covered) assert.ok(heldSeconds !== null && reachSeconds !== null && reachSeconds >= heldSeconds && reachSeconds > 0, JSON.stringify(covered));
  });
  await counted('full backup and its proof', dataBytes, async () => {
    const made = await platform.ok('backup', 'run', 'rs0', '--source', set.members[0]!);
    assert.equal(made.verified, true);
  });
  await counted('restore of the set', dataBytes, async () => await platform.ok('restore', 'set', 'rs0', '--at', 'latest', '--node', 'db', '--to-dir', '/srv/back:27117', '--apply'));
  assert.ok((await db.ok('ls', ['/srv/back'])).includes('WiredTiger'));

  await platform.ok('repository', 'limit', 'vault', '160');
  await blobs.insertMany(Array.from({ length: 200 }, () => ({ bytes: randomBytes(documentBytes) })), { writeConcern: { w: 'majority' } });
  const slow = await platform.ok('backup', 'run', 'rs0', '--source', set.members[0]!);
  assert.ok(slow.bytes.stored > 8e6, `${slow.bytes.stored} bytes were stored`);
  // 160 Mbit/s are 20 MB a second; a quarter of a second may be saved up.
  assert.ok(slow.seconds > slow.bytes.stored / 20e6 - 1, `a limit of 160 Mbit/s, and ${slow.seconds} s for ${slow.bytes.stored} bytes`);
});
