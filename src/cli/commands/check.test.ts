import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { policyDocument, type GivenPolicy, type Policy } from '../../contract/policies.ts';
import { openCommandLine } from '../../../test/kit/command-line.ts';
import { openRestServer } from '../../../test/kit/rest-server.ts';

const guide = new URL('../../../docs/guide/verification.md', import.meta.url);
const policyOf = (given: GivenPolicy): Policy => ({ id: 'p1', isEnabled: true, document: policyDocument.parse(given), addedAtMs: 0, nextRunAtMs: null, protects: ['rs0'], lastRun: null });

test('the checks of the guide are applied as they stand there, a change is shown first, and a second time there is nothing to do', async () => {
  let policy = policyOf({ name: 'nightly', sets: ['rs0'], verification: { checks: [{ name: 'an old one', collection: 'shop.orders', count: {}, expect: { atLeast: 1 } }] } });
  await using server = await openRestServer({ 'policy.show': () => policy, 'policy.edit': ({ body }) => (policy = policyOf(body)) });
  await using cli = await openCommandLine(server);
  const file = join(cli.directory, 'checks.yaml');
  const text = /```yaml\n([^]*?)```/.exec(await readFile(guide, 'utf8'))![1]!;
  await writeFile(file, text);
  const plan = await cli.run('check', 'apply', file);
  assert.match(plan.stdout, /"orders are there" would be added[^]*"an old one" would be removed\nNothing was changed/, plan.stderr);
  assert.equal(policy.document.verification.checks.length, 1);
  assert.match((await cli.run('check', 'apply', file, '--apply')).stdout, /"no order without a customer" is added/);
  assert.deepEqual(policy.document.verification.checks.map(({ name, deadlineSeconds }) => [name, deadlineSeconds]), [['orders are there', 60], ['an order of the last hour', 60], ['the plans are these', 60], ['no order without a customer', 600]]);
  assert.match((await cli.run('check', 'apply', file, '--apply')).stdout, /^nightly is so already$/m);
  for (const [wrong, why] of [[text.replace('atLeast: 1000', 'atLast: 1000'), /atLast/], [text.replace('{ state: paid }', '{ $where: "1" }'), /\$where: a check only reads/], ['policy: nightly', /checks/], ['policy: [', /does not hold checks/]] as const) {
    await writeFile(file, wrong);
    const refused = await cli.run('check', 'apply', file, '--apply');
    assert.deepEqual([refused.code, why.test(refused.stderr)], [1, true], refused.stderr);
  }
});

test('checks are listed with how they went last, and one that was added since was not asked yet', async () => {
  const check = (name: string) => ({ name, collection: 'shop.orders', count: {}, expect: { atLeast: 1 }, deadlineSeconds: 60 });
  const last = { atMs: 1_795_464_567_000, ok: false, session: 's1', point: 'p1', moment: { t: 1_795_464_000, i: 1 }, says: '1 of 1 own checks does not hold', checks: [{ name: 'a', ok: false, says: '0 documents, expected at least 1', seconds: 1 }] };
  await using server = await openRestServer({ 'check.list': () => ({ verifications: [{ policy: 'nightly', set: 'rs0', setId: 'x', isEnabled: true, nextAtMs: null, checks: [check('a'), check('b')], last }] }) });
  await using cli = await openCommandLine(server);
  const { stdout } = await cli.run('check', 'list', 'rs0');
  assert.match(stdout, /rs0 +nightly +2 +by hand +FAILED, 2026-11-23/);
  assert.match(stdout, /"a": FAILED, 0 documents, expected at least 1\n {2}"b": not asked yet/);
});

test('when sets are verified is chosen in words, and what makes no sense is refused before anybody is asked', async () => {
  const asked: GivenPolicy[] = [];
  await using server = await openRestServer({ 'policy.preview': ({ body: { document } }) => ({ runs: [], says: [], document: policyDocument.parse(document) }), 'policy.add': ({ body }) => (asked.push(body), policyOf(body)) });
  await using cli = await openCommandLine(server);
  for (const [when, schedule] of [
    ['sun,wed 04:00', { kind: 'daily', at: '04:00', days: ['wed', 'sun'] }],
    ['every 12h', { kind: 'every', minutes: 720, hours: null, days: ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] }],
    ['manual', { kind: 'manual' }],
  ] as const) {
    assert.equal((await cli.run('policy', 'add', 'x', '--verify', when)).code, 0, when);
    assert.deepEqual(policyDocument.parse(asked.pop()).verification.schedule, schedule);
  }
  assert.equal((await cli.run('policy', 'add', 'x')).code, 0);
  assert.deepEqual(policyDocument.parse(asked.pop()).verification, { schedule: { kind: 'daily', at: '03:00', days: ['sun'] }, checks: [] });
  for (const when of ['someday 04:00', 'after nightly', 'sun 25:00']) assert.equal((await cli.run('policy', 'add', 'x', '--verify', when)).code, 2, when);
});
