/**
 * Hosts and the network go away while a set is backed up from one host to another and its oplog is followed. Each
 * session ends in a true state with its reason within its deadline, or goes on; nothing is left behind; the next backup works.
 */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { until } from '../../src/base/deadline.ts';
import { systemClock } from '../../src/base/clock.ts';
import { openAuthority } from '../../src/server/authority.ts';
import { whyNoWholeHosts } from '../kit/hosted-platform.ts';
import { openStruckHosts, type StruckHosts } from '../kit/struck-hosts.ts';

const skip = whyNoWholeHosts();
const timeout = 280_000;
const endMs = 120_000;

let struck: StruckHosts;
before(async () => {
  if (skip === undefined) struck = await openStruckHosts();
});
after(async () => await struck?.[Symbol.asyncDispose]());

for (const seconds of [5, 25]) {
  test(`the network of the repository's host is away for ${seconds} s: the session goes on where it was`, { skip, timeout }, async () => {
    const session = await struck.begin();
    await struck.at(session, /^(pre-copy|store) /);
    await struck.onItsWay();
    const chain = (await struck.hosted.platform.ok('set', 'show', 'rs0')).oplog.chain as string;
    const mend = await struck.cut(struck.vault);
    await systemClock.wait(seconds * 1000, new AbortController().signal);
    await mend();
    const { state, failure } = await struck.ended(session, endMs);
    assert.deepEqual([state, failure], ['success', null]);
    await struck.isWell(`${seconds} s without a network`);
    assert.equal((await struck.hosted.platform.ok('set', 'show', 'rs0')).oplog.chain, chain, 'the oplog goes on without a gap');
  });
}

for (const host of ['db', 'vault'] as const) {
  test(`${host} is started again in the middle of a backup: the session fails with the reason, and all is well again`, { skip, timeout }, async () => {
    const session = await struck.begin();
    await struck.at(session, /^(pre-copy|store) /);
    await struck.onItsWay();
    await struck[host].reboot();
    const { state, failure } = await struck.ended(session, endMs);
    assert.equal(state, 'failed', failure?.message);
    assert.match(failure!.code, /^(server\.(task-lost|data-session-ended|host-lost)|mover\.|agent\.)/);
    await struck.isWell(`${host} was started again`, { vaultDied: host === 'vault' });
  });
}

test('a host whose certificate ran out while it was off is refused with that reason, and comes back with a new kit', { skip, timeout }, async () => {
  const { hosted, db } = struck;
  const { platform } = hosted;
  const identityFile = '/var/lib/tidemark-transport/identity.json';
  const { hosts } = (await platform.ok('node', 'list')) as { hosts: { id: string; name: string }[] };
  const { id } = hosts.find(({ name }) => name === 'db')!;
  const authority = await openAuthority(platform.dataDir, systemClock, async () => {});
  const { keyPem, certificatePem, caPem } = await authority.issue({ part: 'transport', name: id, hosts: [db.address], days: -1 });
  await db.ok('systemctl', ['stop', 'tidemark-transport']);
  db.write(identityFile, JSON.stringify({ keyPem, certificatePem, caPem }), 0o600);
  await db.ok('chown', ['tidemark:tidemark', identityFile]);
  await db.ok('systemctl', ['start', 'tidemark-transport']);
  const refused = await until('the host to be refused', 90_000, async () => {
    const { hosts: now } = (await platform.ok('node', 'list')) as { hosts: { name: string; link: string; says: string | null }[] };
    const found = now.find(({ name }) => name === 'db')!;
    return found.link === 'refused' ? found : undefined;
  }, { everyMs: 500 });
  assert.match(refused.says ?? '', /CERT_HAS_EXPIRED/);

  const kit = `${hosted.directory}/again.kit`;
  await platform.ok('node', 'kit', 'db', '--kit', kit);
  db.copyIn(kit, '/var/lib/tidemark-transport/kit.json');
  await db.ok('chown', ['tidemark:tidemark', '/var/lib/tidemark-transport/kit.json']);
  await db.ok('systemctl', ['restart', 'tidemark-transport']);
  await struck.isWell('the certificate had run out');
});
