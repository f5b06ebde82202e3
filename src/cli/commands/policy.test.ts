import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { policyDocument, type GivenPolicy, type Policy } from '../../contract/policies.ts';
import { readPolicies } from '../policy-problems.ts';
import { openCommandLine } from '../../../test/kit/command-line.ts';
import { openRestServer } from '../../../test/kit/rest-server.ts';

const policyOf = (given: GivenPolicy, more: Partial<Policy> = {}): Policy => ({ id: 'p1', isEnabled: true, document: policyDocument.parse(given), addedAtMs: 0, nextRunAtMs: 1_795_464_567_000, protects: ['rs0'], lastRun: null, ...more });
const noRuns = { runs: [{ atMs: 1_795_464_567_000, opensAtMs: 1_795_464_567_000, closesAtMs: null }], says: [] };
const asGiven = ({ body: { document } }: { body: { document: GivenPolicy } }) => ({ ...noRuns, document: policyDocument.parse(document) });

test('the words of a policy become its document, and its next runs are said before it is saved', async () => {
  const asked: GivenPolicy[] = [];
  await using server = await openRestServer({ 'policy.preview': asGiven, 'policy.add': ({ body }) => (asked.push(body), policyOf(body)) });
  await using cli = await openCommandLine(server);
  const added = await cli.run('policy', 'add', 'nightly', '--set', 'rs0', '--group', 'shop', '--schedule', '22:30', '--days', 'mon,fri', '--keep', '14', '--weekly', '4@sat', '--yearly', '5', '--prefer', 'rs0=db2:27017', '--no-fail-over', '--window', '22:00-06:00', '--retry', '1');
  assert.equal(added.code, 0, added.stderr);
  assert.match(added.stderr, /mon, fri at 22:30, Europe\/Copenhagen; the next 1 run:\n.*2026-11-23T21:09:27\+01:00/);
  const document = policyDocument.parse(asked.pop());
  assert.deepEqual([document.sets, document.groups, document.schedule, document.timeZone], [['rs0'], ['shop'], { kind: 'daily', at: '22:30', days: ['mon', 'fri'] }, 'Europe/Copenhagen']);
  assert.deepEqual(document.retention, { keep: { kind: 'days', days: 14 }, weekly: { count: 4, day: 'sat' }, monthly: null, yearly: { count: 5, month: 1 }, oplog: { kind: 'points' } });
  assert.deepEqual([document.overrides, document.source.failOver, document.window?.to, document.retry], [{ rs0: { preferredNode: 'db2:27017' } }, false, '06:00', { times: 1, minutes: 10 }]);
  for (const [when, schedule] of [
    ['first sat 21:00', { kind: 'monthly', at: '21:00', on: { kind: 'weekday', nth: 1, weekday: 'sat' }, months: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] }],
    ['day last 21:00', { kind: 'monthly', at: '21:00', on: { kind: 'day', day: 'last' }, months: [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12] }],
    ['every 4h', { kind: 'every', minutes: 240, hours: null, days: ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] }],
    ['continuous', { kind: 'continuous', hours: null }],
    ['after nightly', { kind: 'after', policy: 'nightly' }],
    ['manual', { kind: 'manual' }],
  ] as const) {
    assert.equal((await cli.run('policy', 'add', 'x', '--schedule', when)).code, 0, when);
    assert.deepEqual(policyDocument.parse(asked.pop()).schedule, schedule);
  }
});

test('an edit changes what is given and nothing else', async () => {
  const before = policyOf({ name: 'nightly', sets: ['rs0'], retention: { keep: { kind: 'points', points: 9 }, monthly: { count: 2, week: 3 } } });
  const asked: GivenPolicy[] = [];
  await using server = await openRestServer({ 'policy.preview': asGiven, 'policy.show': () => before, 'policy.edit': ({ body }) => (asked.push(body), policyOf(body)) });
  await using cli = await openCommandLine(server);
  assert.equal((await cli.run('policy', 'edit', 'nightly', '--weekly', '4', '--monthly', 'none')).code, 0);
  assert.deepEqual(policyDocument.parse(asked.pop()), { ...before.document, retention: { ...before.document.retention, weekly: { count: 4, day: 'sun' }, monthly: null } });
});

test('words that make no sense are refused before anybody is asked', async () => {
  await using server = await openRestServer({});
  await using cli = await openCommandLine(server);
  for (const words of [['--schedule', '25:00'], ['--schedule', 'day 31 21:00'], ['--days', 'mon'], ['--schedule', 'manual', '--days', 'mon'], ['--schedule', '22:00', '--hours', '08:00-10:00'], ['--weekly', '4@someday'], ['--keep', '3', '--keep-points', '4'], ['--prefer', 'db2:27017'], ['--window', '8-9']]) {
    assert.equal((await cli.run('policy', 'add', 'x', ...words)).code, 2, words.join(' '));
  }
  assert.deepEqual(server.asked, []);
});

test('what is exported is applied without a difference, a change is shown first, and a second time there is nothing to do', async () => {
  const known = [policyOf({ name: 'nightly', sets: ['rs0'] }), policyOf({ name: 'other', groups: ['shop'] })];
  await using server = await openRestServer({
    'policy.list': () => ({ policies: known }),
    'policy.preview': asGiven,
    'policy.edit': ({ params, body }) => (known[known.findIndex(({ document }) => document.name === params.policy)] = policyOf(body)),
    'policy.add': ({ body }) => (known.push(policyOf(body)), known.at(-1)!),
  });
  await using cli = await openCommandLine(server);
  const file = join(cli.directory, 'policies.yaml');
  const { stdout } = await cli.run('policy', 'export');
  await writeFile(file, stdout);
  assert.match((await cli.run('policy', 'apply', file)).stdout, /^nightly is so already\nother is so already$/m);
  await writeFile(file, `${stdout.replace('days: 7', 'days: 9')}\n---\nname: third\nsets: [rs0]\n`);
  const plan = await cli.run('policy', 'apply', file);
  assert.match(plan.stdout, /nightly would be changed\n {2}retention\.keep\.days: 7 → 9\nother is so already\nthird would be added\n {2}daily at 22:00, UTC; the next 1 run[^\n]*:\n {4}2026-11-23T20:09:27Z\nNothing was changed/);
  assert.equal(known.length, 2);
  assert.match((await cli.run('policy', 'apply', file, '--apply')).stdout, /nightly changed[^]*third added/);
  assert.match((await cli.run('policy', 'apply', file, '--apply')).stdout, /^nightly is so already\nother is so already\nthird is so already$/m);
});

const unfit = (policy: string, problems: string[]) => Object.assign(new Error(`policy ${policy} cannot be like this`), { name: 'Failure', code: 'server.policy-unfit', hint: '', retry: 'never', details: { policy, problems } });

test('a file with anything in it that does not fit changes nothing, and each line of what is wrong names file, policy, field and rule', async () => {
  const asked: string[] = [];
  const known = [policyOf({ name: 'nightly', sets: ['rs0'] })];
  await using server = await openRestServer({
    'policy.list': () => ({ policies: known }),
    'policy.preview': ({ body: { document, besides, policy } }) => {
      asked.push(`${policy ?? 'new'} ${document.name} ${besides?.join()}`);
      if (document.name === 'bad') throw unfit('bad', ['sets[0]: no protected set is called nope; "tidemark set list" shows those there are']);
      return { ...noRuns, says: [`${document.name} changes much`], document: policyDocument.parse(document.name === 'by-id' ? { ...document, sets: ['rs0'] } : document) };
    },
    'policy.add': ({ body }) => (asked.push(`add ${body.name}`), policyOf(body)),
    'policy.edit': ({ body }) => (asked.push(`edit ${body.name}`), policyOf(body)),
  });
  await using cli = await openCommandLine(server);
  const file = join(cli.directory, 'policies.yaml');
  await writeFile(file, 'name: nightly\nsets: [rs0]\nretentoin: {}\n---\nname: a b\n');
  const spelled = await cli.run('policy', 'apply', file, '--apply');
  assert.equal(spelled.code, 1);
  assert.match(spelled.stderr, /nothing was changed:\n {2}\S+policies\.yaml:3: policy nightly: retentoin is not known: did you mean "retention"\?\n {2}\S+policies\.yaml:5: policy a b: name is "a b": it takes up to 64[^\n]*cli\.policy-file-unfit/);
  assert.deepEqual(asked, []);

  await writeFile(file, 'name: nightly\nsets: []\n---\nname: bad\nsets: [nope]\n');
  const refused = await cli.run('policy', 'apply', file, '--apply');
  assert.match(refused.stderr, /\n {2}\S+policies\.yaml:5: policy bad: sets\[0\]: no protected set is called nope; "tidemark set list"/);
  assert.deepEqual(asked.splice(0), ['nightly nightly nightly,bad', 'new bad nightly,bad'], 'and the one that fits is not changed');

  await writeFile(file, 'name: then\nschedule: { kind: after, policy: first }\n---\nname: first\nhooks: [{ when: before, program: quiet }]\n---\nname: nightly\nsets: [rs0]\nhooks: [{ when: after, program: wake }]\n');
  const plan = await cli.run('policy', 'apply', file);
  assert.match(plan.stdout, /first would be added\n {2}daily at 22:00[^\n]*\n {4}\S+\n {2}note: first changes much\nnightly would be changed\n {2}hooks\[0\]: nothing → \{"when":"after","on":"local","program":"wake"[^\n]*\n {2}note: nightly changes much\nthen would be added\n {2}after policy first[^\n]*\n {4}\S+\n {2}note: then changes much\n/);
  assert.equal((await cli.run('policy', 'apply', file, '--apply')).code, 0);
  assert.deepEqual(asked.filter((one) => /^(add|edit) /.test(one)), ['add first', 'edit nightly', 'add then']);
  known.push(policyOf({ name: 'by-id', sets: ['rs0'] }));
  await writeFile(file, 'name: by-id\nsets: [65a1b2c3d4e5f60718293a4b]\n');
  assert.equal((await cli.run('policy', 'apply', file)).stdout, 'by-id is so already\n', 'what is named by its id is no difference');
  known.push(policyOf({ name: 'then', schedule: { kind: 'after', policy: 'nightly' } }));
  await writeFile(file, 'name: nightly\nschedule: { kind: after, policy: between }\n---\nname: between\nschedule: { kind: after, policy: then }\n---\nname: then\n');
  asked.splice(0);
  assert.equal((await cli.run('policy', 'apply', file, '--apply')).code, 0);
  assert.deepEqual(asked.filter((one) => /^(add|edit) /.test(one)), ['edit then', 'add between', 'edit nightly'], 'who runs after whom is turned around');
  await writeFile(file, 'name: nightly\nschedule: { kind: after, policy: then }\n');
  assert.match((await cli.run('policy', 'apply', file)).stderr, /policies nightly, then would run after each other/);
  await writeFile(file, 'name: a\nschedule: { kind: after, policy: b }\n---\nname: b\nschedule: { kind: after, policy: a }\n');
  assert.match((await cli.run('policy', 'apply', file)).stderr, /policies a, b would run after each other/);
});

test('the example is applied as it is, has every field there is, and the default of each', async () => {
  await using server = await openRestServer({});
  await using cli = await openCommandLine(server);
  const { stdout } = await cli.run('policy', 'example');
  const { documents: [example], problems } = readPolicies('example.yaml', stdout);
  assert.deepEqual(problems, []);
  assert.deepEqual(example, policyDocument.parse({ name: 'example' }));
  for (const field of Object.keys(policyDocument.shape)) assert.match(stdout, new RegExp(`^${field}:`, 'm'), `${field} is not in src/cli/policy-example.ts`);
});

test('a preview says whose runs it shows: of a policy as it is, with a change, of a name that is not there, of none', async () => {
  const known = policyOf({ name: 'nightly', sets: ['rs0'] });
  await using server = await openRestServer({ 'policy.list': () => ({ policies: [known] }), 'policy.preview': (asked) => ({ ...asGiven(asked), says: ['much changes'] }) });
  await using cli = await openCommandLine(server);
  const first = async (...words: string[]): Promise<string> => (await cli.run('policy', 'preview', ...words)).stdout.split('\n')[0]!;
  assert.equal(await first('nightly'), 'policy nightly, as it is');
  assert.equal(await first('nightly', '--schedule', '23:00'), 'hypothetical: policy nightly with what was given here; nothing is saved');
  assert.equal(await first('nigthly'), 'hypothetical: no policy is called nigthly; this is one of what was given here and the defaults, and nothing is saved');
  assert.match(await first(), /^hypothetical: a policy without a name/);
  assert.match((await cli.run('policy', 'preview')).stdout, /note: much changes/);
});
