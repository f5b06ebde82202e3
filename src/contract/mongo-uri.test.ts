import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFailure } from '../base/failure.ts';
import { uriNotUnderstood } from './failures.ts';
import { takeUriApart } from './mongo-uri.ts';

test('hosts, user, password and options of a connection string become fields', () => {
  const { target } = takeUriApart('mongodb://tide:p%40ss%3A%2F@db1.example:27018,[::1]:27019,db3/?replicaSet=rs0&authSource=staff&tls=true');
  assert.deepEqual(target, {
    hosts: [
      { host: 'db1.example', port: 27018 },
      { host: '::1', port: 27019 },
      { host: 'db3', port: 27017 },
    ],
    replicaSet: 'rs0',
    credential: { kind: 'scram', user: 'tide', password: 'p@ss:/', authSource: 'staff' },
    tls: {},
  });
});

test('the database in the path is where the user is known, unless authSource says otherwise', () => {
  const { target } = takeUriApart('mongodb://tide:secret@db1/staff');
  assert.deepEqual(target.credential, { kind: 'scram', user: 'tide', password: 'secret', authSource: 'staff' });
});

test('files for TLS are named to the client, which reads them; they do not become fields', () => {
  const apart = takeUriApart('mongodb://db1/?authMechanism=MONGODB-X509&tlsCAFile=/etc/ca.pem&tlsCertificateKeyFile=/etc/me.pem');
  assert.equal(apart.caFile, '/etc/ca.pem');
  assert.equal(apart.certificateKeyFile, '/etc/me.pem');
  assert.deepEqual(apart.target.credential, { kind: 'x509' });
});

for (const [uri, why] of [
  ['mongodb+srv://cluster.example/', /DNS/],
  ['http://db1', /mongodb:\/\//],
  ['mongodb://db1:99999', /99999/],
  ['mongodb://db 1', /HOST/],
  ['mongodb://a%ZZ:b@db1', /percent/],
] as const) {
  test(`the string ${uri} is refused with a reason and without repeating a password`, () => {
    assert.throws(
      () => takeUriApart(uri),
      (error: unknown) => isFailure(error, uriNotUnderstood) && why.test(error.message),
    );
  });
}
