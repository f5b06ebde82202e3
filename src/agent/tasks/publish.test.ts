import assert from 'node:assert/strict';
import { createServer, type AddressInfo } from 'node:net';
import { test } from 'node:test';
import { portInUse } from '../failures.ts';
import { publish } from './publish.ts';

test('a port that somebody has is refused before anything is opened', async () => {
  const holder = createServer();
  await new Promise<void>((resolve) => holder.listen(0, '127.0.0.1', resolve));
  const { port } = holder.address() as AddressInfo;
  const input = { archive: { location: { kind: 'directory' as const, path: '/nonexistent' }, secret: null, setId: '0'.repeat(24), keyHex: '0'.repeat(64) }, point: 'p', at: { t: 1, i: 1 }, port, expiresMs: 1_000, withUsers: false };
  const context = { clock: { monotonicMs: () => 0 }, step: () => assert.fail('it went on') } as never;
  await assert.rejects(publish(input, context), { code: portInUse.code, message: `port ${port} is in use on this host` });
  await new Promise((resolve) => holder.close(resolve));
});
