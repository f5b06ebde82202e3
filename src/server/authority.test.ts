import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { isFailure } from '../base/failure.ts';
import { systemClock, type Clock } from '../base/clock.ts';
import { openAuthority, type Issued } from './authority.ts';
import { secretUnreadable } from './failures.ts';
import { openSealer, sealerWith } from './sealing.ts';

const directory = mkdtempSync(join(tmpdir(), 'tm-authority-'));
after(() => rmSync(directory, { recursive: true }));

const dayMs = 86_400_000;
const turned = (days: number): Clock => ({ ...systemClock, now: () => systemClock.now() + days * dayMs });
const what = { part: 'transport', name: 'local', hosts: ['localhost', '127.0.0.1', '::1'] } as const;

test('a certificate is of the authority, for its part and addresses, for thirty days, and on the list', async () => {
  const listed: Issued[] = [];
  const authority = await openAuthority(join(directory, 'a'), systemClock, async (issued) => void listed.push(issued));
  const { certificatePem, caPem, serial } = await authority.issue(what);
  const [certificate, ca] = [new X509Certificate(certificatePem), new X509Certificate(caPem)];
  assert.ok(certificate.verify(ca.publicKey) && certificate.checkIssued(ca));
  assert.ok(ca.ca && !certificate.ca);
  assert.match(certificate.subject, /O=Tidemark\nOU=transport\nCN=local/);
  for (const name of ['127.0.0.1', '::1']) assert.ok(certificate.checkIP(name), name);
  assert.ok(certificate.checkHost('localhost'));
  assert.equal(Math.round((certificate.validToDate.getTime() - systemClock.now()) / dayMs), 30);
  assert.deepEqual(listed.map((issued) => [issued.serial, issued.part, issued.name]), [[serial, 'transport', 'local']]);
  assert.equal(statSync(join(directory, 'a', 'ca.json')).mode & 0o777, 0o600);
});

test('the authority stays the same from start to start', async () => {
  const first = await openAuthority(join(directory, 'b'), systemClock, async () => {});
  const second = await openAuthority(join(directory, 'b'), systemClock, async () => {});
  assert.equal(second.fingerprint, first.fingerprint);
  assert.match(first.fingerprint, /^[0-9a-f]{64}$/);
});

test('an identity is kept for two thirds of its life and then issued again, on both sides of that day', async () => {
  const path = join(directory, 'identity.json');
  const at = async (days: number) => await (await openAuthority(join(directory, 'c'), turned(days), async () => {})).keep(path, what);
  assert.equal((await at(0)).renewed, true);
  assert.equal((await at(19)).renewed, false);
  assert.equal((await at(21)).renewed, true);
  assert.equal((await at(21)).renewed, false);
  assert.equal((await at(400)).renewed, true);
});

test('an identity of another authority, or one that lacks an address, is issued again', async () => {
  const path = join(directory, 'moved.json');
  const ours = await openAuthority(join(directory, 'd'), systemClock, async () => {});
  await ours.keep(path, what);
  assert.equal((await ours.keep(path, { ...what, hosts: [...what.hosts, 'db.example'] })).renewed, true);
  const other = await openAuthority(join(directory, 'e'), systemClock, async () => {});
  const renewed = await other.keep(path, what);
  assert.ok(renewed.renewed && renewed.caPem === other.caPem);
});

test('a sealed secret opens only with its key, in its place and unchanged', async () => {
  const sealer = await openSealer(join(directory, 'master.key'));
  const sealed = sealer.seal('hunter2 ✓', 'sets.target:1');
  assert.ok(!sealed.includes('hunter2'));
  assert.equal((await openSealer(join(directory, 'master.key'))).open(sealed, 'sets.target:1'), 'hunter2 ✓');
  assert.notEqual(sealer.seal('hunter2 ✓', 'sets.target:1'), sealed);
  const flipped = Buffer.from(sealed.slice(2), 'base64');
  flipped[14]! ^= 1;
  for (const attempt of [
    () => sealer.open(sealed, 'sets.target:2'),
    () => sealerWith(Buffer.alloc(32)).open(sealed, 'sets.target:1'),
    () => sealer.open(`1.${flipped.toString('base64')}`, 'sets.target:1'),
    () => sealer.open('1.', 'sets.target:1'),
    () => sealer.open('hunter2', 'sets.target:1'),
  ]) {
    assert.throws(attempt, (error) => isFailure(error, secretUnreadable) && !error.message.includes('hunter2'));
  }
});
