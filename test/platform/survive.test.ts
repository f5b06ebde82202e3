/**
 * Hosts, services and the network go away while a set is backed up from one host to another and its oplog is followed. Each
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

const killServices = async (host: 'db' | 'vault'): Promise<void> => void (await struck[host].ok('systemctl', ['kill', '-s', 'KILL', 'tidemark-transport']));

/** Bytes in the archive grow: the copy is on its way. */
async function onItsWay(): Promise<void> {
  const stored = async (): Promise<number> => Number((await struck.vault.ok('du', ['-sb', '/var/lib/tidemark-transport'])).split('\t')[0]);
  const first = await stored();
  await until('bytes to arrive', 60_000, async () => ((await stored()) > first + 3e6 ? true : undefined), { everyMs: 50 });
}

for (const [host, when, step] of [
  ['db', 'while the copy is made', /^(pre-copy|store) /],
  ['db', 'while the restore point is proved', /^(prove|choose|mount|replay|list|validate)/],
  ['vault', 'while the copy arrives', /^(pre-copy|store) /],
  ['vault', 'while the restore point is proved', /^(prove|choose|mount|replay|list|validate)/],
] as const) {
  test(`the services of ${host} are killed ${when}: the session fails with the reason, and all is well again`, { skip, timeout }, async () => {
    const session = await struck.begin();
    await struck.at(session, step);
    if (when.startsWith('while the copy')) await onItsWay();
    await killServices(host);
    const { state, failure } = await struck.ended(session, endMs);
    assert.equal(state, 'failed');
    assert.match(failure!.code, /^(server\.(task-lost|data-session-ended|host-lost)|mover\.|agent\.mover-died)/);
    assert.ok(failure!.message.length > 20 && failure!.hint.length > 10, JSON.stringify(failure));
    await struck.isWell(`the services of ${host} were killed ${when}`, { vaultDied: host === 'vault' });
  });
}

test('the server is killed while the copy is made: the session goes on behind it and succeeds', { skip, timeout }, async () => {
  const session = await struck.begin();
  await struck.at(session, /^(pre-copy|store) /);
  await onItsWay();
  await struck.hosted.platform.kill9();
  await struck.hosted.platform.start();
  assert.equal((await struck.ended(session, endMs)).state, 'success');
  await struck.isWell('the server was killed');
});

for (const seconds of [5, 25]) {
  test(`the network of the repository's host is away for ${seconds} s: the session goes on where it was`, { skip, timeout }, async () => {
    const session = await struck.begin();
    await struck.at(session, /^(pre-copy|store) /);
    await onItsWay();
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
    await onItsWay();
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
