import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readPolicies } from './policy-problems.ts';

/** What is said of one document, behind file, line and policy. */
const said = (text: string): string[] => readPolicies('p.yaml', `name: x\n${text}\n`).problems.map((line) => line.replace('policy x: ', ''));

for (const [text, line] of [
  ['schedule: { kind: dayly }', 'p.yaml:2: schedule.kind is "dayly": it takes one of manual, daily, monthly, every, continuous, after'],
  ['schedule: { kind: every }', 'p.yaml:2: schedule.minutes is missing: it takes a whole number from 1 to 1440'],
  ['schedule: { kind: daily, at: 25:00 }', 'p.yaml:2: schedule.at is "25:00": it takes a time of the day, such as "22:00"'],
  ['schedule: { kind: daily, at: "22:00", minutes: 5 }', 'p.yaml:2: schedule.minutes is not known: there are kind, at, days'],
  ['retention:\n  keep: { kind: days, days: 0 }', 'p.yaml:3: retention.keep.days is 0: it takes a whole number from 1 to 36500'],
  ['retention: { monthly: { count: 1, week: 7 } }', 'p.yaml:2: retention.monthly.week is 7: it takes one of 1, 2, 3, 4, last'],
  ['retention: { weakly: null }', 'p.yaml:2: retention.weakly is not known: did you mean "weekly"?'],
  ['sets: rs0', 'p.yaml:2: sets is "rs0": it takes a list, each text that is not empty'],
  ['highPriority: yes', 'p.yaml:2: highPriority is "yes": it takes true or false'],
  ['compression: zip', 'p.yaml:2: compression is "zip": it takes one of none, fast, balanced, strong'],
  ['constructor: 1', /^p\.yaml:2: constructor is not known: there are name, description, /],
  ['hooks:\n  - { when: before, program: quiet }\n  - { when: before, program: /bin/sh }', 'p.yaml:4: hooks[1].program is "/bin/sh": it takes the name of a file in /etc/tidemark/hooks.d, without a path'],
  ['hooks: [{ when: before, program: quiet, deadlinSeconds: 5 }]', 'p.yaml:2: hooks[0].deadlinSeconds is not known: did you mean "deadlineSeconds"?'],
  ['overrides: { rs0: { preferedNode: "db2:27017" } }', 'p.yaml:2: overrides.rs0.preferedNode is not known: did you mean "preferredNode"?'],
  ['verification: { checks: [{ name: a, collection: a.b, count: {}, expect: {} }] }', /^p\.yaml:2: verification\.checks\[0\] does not fit: check a expects either/],
] as const) {
  test(`it is said of ${text.replaceAll('\n', ' ')} which line, field, value and rule`, () => {
    const lines = said(text);
    assert.equal(lines.length, 1, lines.join('\n'));
    if (typeof line === 'string') assert.equal(lines[0], line);
    else assert.match(lines[0]!, line);
  });
}

test('all that is wrong in a file is told, by line; a name that comes twice, and what is no YAML, too', () => {
  const { documents, problems } = readPolicies('p.yaml', 'name: a\nproof: some\nnewBase: 1\n---\nname: b\n---\nname: b\n---\n[rs0]\n');
  assert.deepEqual(documents.map(({ name }) => name), ['b']);
  assert.deepEqual(problems.map((line) => line.split(':').slice(0, 3).join(':')), ['p.yaml:2: policy a', 'p.yaml:3: policy a', 'p.yaml:7: policy b', 'p.yaml:9: policy 4']);
  assert.match(readPolicies('p.yaml', 'name: [').problems[0]!, /^p\.yaml: .*line 1/);
});

test('filters and projections of checks may have any field', () => {
  assert.deepEqual(said('verification: { checks: [{ name: a, collection: a.b, find: { filter: { anything: { $gt: 1 } } }, expect: { atLeast: 1 } }] }'), []);
});
