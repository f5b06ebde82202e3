import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { basename } from 'node:path';
import { test } from 'node:test';
import { parseAddress, parseNameServer, requireFreePort } from './address.ts';
import { findPortOwner } from '../../base/port-owner.ts';

for (const host of ['127.0.0.1', '::1']) {
  test(`a taken port on ${host} is refused with the process that has it, and a free one is not`, async (context) => {
    const server = createServer().listen(0, host).unref();
    const failed = await Promise.race([once(server, 'listening').then(() => undefined), once(server, 'error')]);
    if (failed !== undefined) return context.skip(`this machine has no ${host}`);
    const { port } = server.address() as AddressInfo;
    const name = `node ${basename(process.argv[1]!)}`;
    assert.deepEqual(await findPortOwner(port), { pid: process.pid, name });
    await assert.rejects(requireFreePort({ host, port }, '--transport-listen'), { hint: 'Stop it, or choose another port with --transport-listen.', code: 'cli.port-in-use', message: `port ${port} is in use by pid ${process.pid} (${name})` });
    await new Promise((resolve) => server.close(resolve));
    await requireFreePort({ host, port }, '--listen');
  });
}

test('addresses are HOST:PORT, with brackets for IPv6', () => {
  assert.deepEqual(parseAddress('127.0.0.1:9419', '--listen'), { host: '127.0.0.1', port: 9419 });
  assert.deepEqual(parseAddress('[::1]:9419', '--listen'), { host: '::1', port: 9419 });
  for (const text of ['9419', '127.0.0.1', '127.0.0.1:', '127.0.0.1:0', '127.0.0.1:70000', '::1:9419', 'a b:1']) {
    assert.throws(() => parseAddress(text, '--listen'), { code: 'cli.usage' }, text);
  }
});

test('a name server is an address, on port 53 unless another is given', () => {
  assert.deepEqual(['10.0.0.53', 'fd00::53', '10.0.0.53:5353', '[fd00::53]:5353'].map(parseNameServer), [
    { host: '10.0.0.53', port: 53 },
    { host: 'fd00::53', port: 53 },
    { host: '10.0.0.53', port: 5353 },
    { host: 'fd00::53', port: 5353 },
  ]);
  for (const text of ['ns.example', 'ns.example:53', '10.0.0.53:0', '']) assert.throws(() => parseNameServer(text), { code: 'cli.usage' }, text);
});
