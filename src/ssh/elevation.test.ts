import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { test } from 'node:test';
import fc from 'fast-check';
import type { HostCredential } from '../contract/credentials.ts';
import { commandLine, timesAsked, waysOf, whyNotRoot } from './elevation.ts';
import { algorithmsFor, hostKeyOf } from './host-key.ts';
import { wordsOf } from './words.ts';

const talk = (text: string, asked = 0, isAnswered = false) => ({ text, asked, isAnswered });
const ask = '0123abcd-';

test('what sudo and su say when they refuse becomes a sentence', () => {
  const rows: [string, RegExp][] = [
    ['We trust you have received the usual lecture\n0123abcd-Sorry, try again.\n0123abcd-', /password was not accepted/],
    ['0123abcd-anna is not in the sudoers file.\n', /not in the sudoers file/],
    ['0123abcd-Sorry, user anna is not allowed to execute \'/bin/sh -c x\' as root on db1.\n', /do not allow/],
    ['Sorry, user anna may not run sudo on db1.\n', /it said: Sorry, user anna may not run sudo on db1/],
    ['sudo: sorry, you must have a tty to run sudo\n', /requiretty/],
    ['su: must be run from a terminal\n', /requiretty/],
    ['sudo: Account or password is expired, reset your password and try again\n', /expired/],
    ['/bin/sh: 1: exec: sudo: not found\n', /not installed/],
    ['Password: su: Authentication failure\n', /password was not accepted/],
    ['Verification code: ', /it said: Verification code:/],
    ['', /it said nothing/],
  ];
  for (const [text, says] of rows) assert.match(whyNotRoot(talk(text), ask, []), says);
  assert.match(whyNotRoot(talk(ask, 1), ask, []), /asks for a password and the credential has none/);
});

test('a question for a password is seen once for each time it is asked', () => {
  assert.equal(timesAsked({ kind: 'sudo', password: 'x' }, `lecture\n${ask}`, ask), 1);
  assert.equal(timesAsked({ kind: 'sudo', password: 'x' }, `${ask}Sorry\n${ask}`, ask), 2);
  assert.equal(timesAsked({ kind: 'su', password: 'x' }, 'Password: ', ask), 1);
  assert.equal(timesAsked({ kind: 'su', password: 'x' }, 'Your code: ', ask), 0);
  assert.equal(timesAsked({ kind: 'plain' }, `Password: ${ask}`, ask), 0);
});

test('any script arrives at the shell of the user as it was written', () => {
  fc.assert(
    fc.property(fc.stringMatching(/^[ -~\n]{0,80}$/), (text) => {
      const script = `printf '%s' '${text.replaceAll("'", `'\\''`)}'`;
      const line = commandLine({ kind: 'plain' }, script, ask);
      assert.doesNotMatch(line, /[!\n]/);
      assert.equal(spawnSync('/bin/sh', ['-c', line], { encoding: 'utf8' }).stdout, text);
    }),
    { numRuns: 30 },
  );
});

test('words of a host hold no secret and no control character and are never long', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 60 }), fc.stringMatching(/^[a-z0-9]{4,20}$/), fc.string(), (before, secret, after) => {
      const words = wordsOf(`${before}${secret}${after}`, [secret], 50);
      assert.ok(!words.includes(secret));
      // eslint-disable-next-line no-control-regex
      assert.doesNotMatch(words, /[\u0000-\u001f\u007f]/);
      assert.ok(words.length <= 51);
    }),
    { numRuns: 50 },
  );
});

test('the order of ways follows the credential', () => {
  const credential = (elevation: HostCredential['elevation'], signIn: HostCredential['signIn'] = { kind: 'password', password: 'p' }): HostCredential => ({ user: 'u', port: 22, signIn, elevation });
  assert.deepEqual(waysOf(credential({ kind: 'none' })), []);
  assert.deepEqual(waysOf(credential({ kind: 'sudo', rootPassword: 'r' })), [{ kind: 'sudo', password: 'p' }, { kind: 'su', password: 'r' }]);
  assert.deepEqual(waysOf(credential({ kind: 'sudo' }, { kind: 'key', privateKey: 'k' })), [{ kind: 'sudo', password: undefined }]);
});

test('a host key is read whatever its bytes are, and the recorded type is asked for first', () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => assert.match(hostKeyOf(bytes).fingerprint, /^SHA256:[A-Za-z0-9+/]{43}$/)));
  assert.deepEqual(algorithmsFor({ type: 'ssh-rsa', fingerprint: '' }).slice(0, 2), ['rsa-sha2-512', 'rsa-sha2-256']);
  assert.equal(algorithmsFor({ type: 'ecdsa-sha2-nistp521', fingerprint: '' })[0], 'ecdsa-sha2-nistp521');
  assert.equal(new Set(algorithmsFor(null)).size, 6);
});
