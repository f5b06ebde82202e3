import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { RouteAnswer } from '../../contract/routes.ts';
import { openCommandLine } from '../../../test/kit/command-line.ts';
import { openRestServer } from '../../../test/kit/rest-server.ts';

type Row = RouteAnswer<'ports.matrix'>['rows'][number];
const party = (name: string, kind: Row['from']['kind'] = 'host'): Row['from'] => ({ kind, name, dial: name, addresses: [] });
const row: Row = { row: 13, from: party('db1'), to: party('store'), protocol: 'tcp', ports: [{ from: 2500, to: 3300 }], service: 'data', purpose: 'data channels, one port for each TCP connection', changedBy: 'range of the host', optional: false };
const checked = (outcome: RouteAnswer<'ports.check'>['rows'][number]['outcome'], says: string): RouteAnswer<'ports.check'>['rows'][number] => ({ ...row, outcome, port: outcome === 'good' ? null : 2500, says });

test('the plan is a table for people and the rows for programs', async () => {
  await using server = await openRestServer({ 'ports.matrix': ({ query }) => ({ rows: query?.host === 'db9' ? [] : [row] }) });
  await using cli = await openCommandLine(server);
  const { code, stdout } = await cli.run('ports', 'matrix');
  assert.equal(code, 0);
  assert.equal(stdout, 'ROW  FROM  TO     PORTS          CHANGED BY         FOR\n 13  db1   store  tcp 2500-3300  range of the host  data channels, one port for each TCP connection\n');
  assert.deepEqual((await cli.run('ports', 'matrix', '--json')).json, { rows: [row] });
  assert.equal((await cli.run('ports', 'matrix', '--host', 'db9')).stdout, 'no machine has to reach another\n');
});

test('a check ends with 0 when all is well, with 3 when something is not, and lists what it is', async () => {
  const name = { machine: 'db2', kind: 'missing-reverse', name: 'db2', address: '10.0.0.12', says: '10.0.0.12 leads to no name', record: '12.0.0.10.in-addr.arpa. IN PTR db2.' } as const;
  let answer: RouteAnswer<'ports.check'> = { ok: true, checkedAtMs: 1, rows: [checked('good', 'transport store'), checked('not-tried', 'nothing there takes orders')], names: [] };
  const asked: unknown[] = [];
  await using server = await openRestServer({ 'ports.check': ({ body }) => { asked.push(body); return answer; } });
  await using cli = await openCommandLine(server);
  const good = await cli.run('ports', 'check');
  assert.equal(good.code, 0);
  assert.match(good.stdout, /\n1 of 2 rows good, 1 that could not be tried; nothing is wrong\n$/);
  assert.doesNotMatch(good.stdout, /transport store/);
  assert.match((await cli.run('ports', 'check', '--all')).stdout, /good +transport store/);

  answer = { ok: false, checkedAtMs: 1, rows: [checked('timed-out', 'no answer within 4 s')], names: [name] };
  const bad = await cli.run('ports', 'check', '--row', '13', '--row', '18', '--wait', '2.5', '--host', 'db1');
  assert.equal(bad.code, 3);
  assert.match(bad.stdout, /^ROW .*\n 13 {2}db1 {3}store {2}tcp 2500-3300 {2}timed-out {2}port 2500: no answer within 4 s {2}\(data channels, one port for each TCP connection\)\n\nname {3}missing-reverse: 10\.0\.0\.12 leads to no name\n {9}mend it with {3}12\.0\.0\.10\.in-addr\.arpa\. IN PTR db2\.\n\n0 of 1 row good; the lines above say what is not\n$/);
  assert.deepEqual(asked.at(-1), { host: 'db1', rows: [13, 18], eachMs: 2500 });
  assert.equal((await cli.run('ports', 'check', '--json')).json.ok, false);
  assert.equal((await cli.run('ports', 'check', '--row', 'one')).code, 2);
});

test('an export is printed as it is, or written to a file, or to a directory with a file for each machine', async () => {
  await using server = await openRestServer({
    'ports.export': ({ query }) => ({ format: query!.format, texts: query!.format === 'csv' ? [{ machine: null, text: 'a,b\r\n' }] : (query!.host === undefined ? ['db1', '../store'] : ['db1']).map((machine) => ({ machine, text: `rules of ${machine}\n` })) }),
  });
  await using cli = await openCommandLine(server);
  assert.equal((await cli.run('ports', 'export', '--format', 'ufw')).stdout, 'rules of db1\n\nrules of ../store\n');
  const out = join(cli.directory, 'rules');
  assert.deepEqual((await cli.run('ports', 'export', '--format', 'nftables', '--out', out, '--json')).json, { format: 'nftables', files: [join(out, 'db1.nft'), join(out, '__store.nft')] });
  assert.equal(await readFile(join(out, 'db1.nft'), 'utf8'), 'rules of db1\n');
  assert.equal((await cli.run('ports', 'export', '--format', 'nftables', '--host', 'db1', '--out', join(cli.directory, 'one.nft'))).stdout, `wrote ${join(cli.directory, 'one.nft')}\n`);
  assert.equal((await cli.run('ports', 'export', '--format', 'csv', '--out', join(cli.directory, 'all.csv'))).code, 0);
  assert.equal((await cli.run('ports', 'export', '--format', 'csv', '--out', join(cli.directory, 'all.csv', 'below'))).code, 1);
  assert.equal((await cli.run('ports', 'export')).code, 2);
  assert.equal((await cli.run('ports', 'export', '--format', 'pf')).code, 2);
});
