import assert from 'node:assert/strict';
import { test } from 'node:test';
import { exitCodeOf, exitCodeOfSession } from './exit-codes.ts';

const codes: [code: string, exit: number][] = [
  ['cli.usage', 2],
  ['domain.moment-without-zone', 2],
  ['domain.moment-not-understood', 2],
  ['contract.uri-not-understood', 2],
  ['server.not-signed-in', 4],
  ['server.not-allowed', 4],
  ['server.point-held', 4],
  ['server.set-busy', 5],
  ['server.repository-busy', 5],
  ['agent.too-many-tasks', 5],
  ['cli.data-directory-in-use', 5],
  ['domain.moment-unreachable', 1],
  ['cli.server-unreachable', 1],
  ['base.unexpected', 1],
];
for (const [code, exit] of codes) {
  test(`${code} ends with ${exit}`, () => assert.equal(exitCodeOf({ code }), exit));
}

test('a session ends with 0 for success, 3 for warnings, and by its failure otherwise', () => {
  const ended = (state: string, code?: string): number => exitCodeOfSession({ state, failure: code === undefined ? null : { code } });
  assert.equal(ended('success'), 0);
  assert.equal(ended('warning'), 3);
  assert.equal(ended('failed', 'server.set-busy'), 5);
  assert.equal(ended('failed', 'agent.proof-failed'), 1);
  assert.equal(ended('failed'), 1);
  assert.equal(ended('stopped'), 1);
  assert.equal(ended('working'), 1);
});
