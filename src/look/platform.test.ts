import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HostLook } from '../contract/host-look.ts';
import { platformVerdict } from './platform.ts';

const good: HostLook = { hostname: 'db1', system: '', kernel: 'Linux 6.1', machine: 'x86_64', glibc: '2.28', systemd: 252, asRoot: true, space: [{ path: '/', freeBytes: 1e9 }], mongods: [] };

test('a machine that will do is told its package, and each lack of another is said with its numbers', () => {
  assert.deepEqual(platformVerdict(good, 1e8), { kind: 'fit', platform: 'linux-x64' });
  assert.deepEqual(platformVerdict({ ...good, machine: 'aarch64', glibc: '3.0' }, 1e8), { kind: 'fit', platform: 'linux-arm64' });
  for (const [change, why] of [
    [{ kernel: 'FreeBSD 14' }, /FreeBSD 14/],
    [{ machine: 'ppc64le' }, /ppc64le/],
    [{ glibc: null }, /no glibc/],
    [{ glibc: '2.17' }, /glibc is 2\.17, and 2\.28/],
    [{ systemd: null }, /not run by systemd/],
    [{ systemd: 219 }, /systemd is 219/],
    [{ space: [{ path: '/opt', freeBytes: 5 << 20 }] }, /\/opt has 5 MiB free and 95 MiB are needed/],
  ] as const) {
    const verdict = platformVerdict({ ...good, ...change, space: [...('space' in change ? change.space : good.space)] }, 1e8);
    assert.match(verdict.kind === 'unfit' ? verdict.why : '', why);
  }
});
