import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readResolverSettings } from './resolver-settings.ts';

test('name servers, search list and options are read as glibc reads them', () => {
  const text = `# nameserver 192.0.2.1
; a remark
nameserver 10.77.0.2
  nameserver fd00::53
nameserver not-an-address
nameserver fe80::1%eth0
nameserver 10.77.0.5
domain old.test
search a.test b.test.
options ndots:1 timeout:2
options attempts:1 rotate
`;
  assert.deepEqual(readResolverSettings(text), { servers: ['10.77.0.2', 'fd00::53', 'fe80::1%eth0'], search: ['a.test', 'b.test'], timeoutSeconds: 2, attempts: 1 });
});

test('what is not said, or not understood, is as usual', () => {
  const usual = { servers: [], search: [], timeoutSeconds: 5, attempts: 2 };
  assert.deepEqual(readResolverSettings(''), usual);
  assert.deepEqual(readResolverSettings('options timeout:abc attempts:0\nsearch .\n'), usual);
  assert.equal(readResolverSettings('options timeout:900').timeoutSeconds, 30);
});
