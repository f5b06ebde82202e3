import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { requireProgram } from '../../src/base/child-process.ts';
import { isFailure } from '../../src/base/failure.ts';
import { openClient, type MongoAddress } from '../../src/mongo/connect.ts';
import { startMongod } from '../../src/mongo/mongod.ts';
import { freePorts } from '../kit/free-port.ts';
import { findMongod } from '../kit/mongod.ts';

type Papers = { readonly directory: string; readonly ca: string; readonly server: string; readonly client: string; readonly subject: string };

/** A certificate authority, a member's certificate and a client's, as an administrator would make them. */
async function papers(t: TestContext): Promise<Papers> {
  const directory = mkdtempSync(join(tmpdir(), 'tm-tls-'));
  t.after(() => rmSync(directory, { recursive: true, force: true }));
  const openssl = async (...args: string[]): Promise<string> => await requireProgram('openssl', args, { deadlineMs: 60_000 });
  const at = (name: string): string => join(directory, name);
  await openssl('req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=tidemark test CA', '-keyout', at('ca.key'), '-out', at('ca.pem'));
  for (const [name, subject] of [['server', '/O=tide/OU=members/CN=localhost'], ['client', '/O=tide/OU=clients/CN=backup']] as const) {
    await openssl('req', '-newkey', 'rsa:2048', '-nodes', '-subj', subject, '-keyout', at(`${name}.key`), '-out', at(`${name}.csr`));
    writeFileSync(at(`${name}.ext`), 'subjectAltName=DNS:localhost,IP:127.0.0.1');
    await openssl('x509', '-req', '-in', at(`${name}.csr`), '-CA', at('ca.pem'), '-CAkey', at('ca.key'), '-CAcreateserial', '-days', '2', '-extfile', at(`${name}.ext`), '-out', at(`${name}.crt`));
    writeFileSync(at(`${name}.pem`), readFileSync(at(`${name}.crt`), 'utf8') + readFileSync(at(`${name}.key`), 'utf8'));
  }
  return { directory, ca: readFileSync(at('ca.pem'), 'utf8'), server: at('server.pem'), client: readFileSync(at('client.pem'), 'utf8'), subject: 'CN=backup,OU=clients,O=tide' };
}

test('a client signs in by its certificate, and what is wrong with a connection by TLS is said', async (t) => {
  const made = await papers(t);
  const dbPath = join(made.directory, 'db');
  mkdirSync(dbPath);
  const [port] = await freePorts(1);
  const tls = ['--tlsMode', 'requireTLS', '--tlsCertificateKeyFile', made.server, '--tlsCAFile', join(made.directory, 'ca.pem'), '--wiredTigerCacheSizeGB', '0.25'];
  const host = { host: 'localhost', port: port! };
  const trusted: MongoAddress = { hosts: [host], tls: { caPem: made.ca, certificatePem: made.client } };
  await using mongod = await startMongod({
    binary: (await findMongod()).path, dbPath, port, socketDir: join(made.directory, 's'), logPath: join(made.directory, 'log'), args: tls, address: trusted,
  });
  assert.ok(mongod.pid > 0);
  await using admin = await openClient(trusted);
  await admin.db('$external').command({ createUser: made.subject, roles: [{ role: 'clusterMonitor', db: 'admin' }] });

  await using client = await openClient({ ...trusted, credential: { kind: 'x509' } });
  const status = await client.db('admin').command({ connectionStatus: 1 });
  assert.deepEqual((status['authInfo'] as { authenticatedUsers: { user: string }[] }).authenticatedUsers.map((one) => one.user), [made.subject]);

  const short = { deadlineMs: 2_000 };
  const code = async (address: MongoAddress): Promise<string> => await openClient(address, short).then(async (open) => (await open.close(), 'opened'), (error: unknown) => (isFailure(error) ? `${error.code}: ${error.message}` : String(error)));
  assert.match(await code({ hosts: [host], tls: { certificatePem: made.client } }), /^mongo\.tls-failed: .*certificate/);
  assert.match(await code({ hosts: [host], tls: { caPem: made.ca } }), /^mongo\.unreachable: .*it may ask for a client certificate$/);
  assert.match(await code({ hosts: [host] }), /^mongo\.unreachable: .*it may ask for TLS$/);
});
