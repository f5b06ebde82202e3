import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isFailure } from '../base/failure.ts';
import { uriNotUnderstood } from './failures.ts';
import { srvNameOf, takeUriApart } from './mongo-uri.ts';

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

const found = { hosts: [{ host: 'db1.a.test', port: 27018 }], replicaSet: 'rs0', authSource: 'staff' };

test('members behind mongodb+srv come from DNS, with TLS and what the text says, unless the string says otherwise', () => {
  assert.equal(srvNameOf('mongodb://db1'), undefined);
  assert.equal(srvNameOf('mongodb+srv://tide:p%40ss@rs.a.test/shop?tls=false'), 'rs.a.test');
  assert.deepEqual(takeUriApart('mongodb+srv://tide:secret@rs.a.test', found).target, { hosts: found.hosts, srv: 'rs.a.test', replicaSet: 'rs0', credential: { kind: 'scram', user: 'tide', password: 'secret', authSource: 'staff' }, tls: {} });
  const { target } = takeUriApart('mongodb+srv://tide:secret@rs.a.test/?replicaSet=rs1&authSource=admin&ssl=false', found);
  assert.deepEqual([target.replicaSet, target.credential, target.tls], ['rs1', { kind: 'scram', user: 'tide', password: 'secret', authSource: 'admin' }, undefined]);
});

for (const [uri, why] of [
  ['mongodb+srv://rs.a.test:27017/', /without a port/],
  ['mongodb+srv://rs.a.test,rs.b.test/', /one name/],
  ['mongodb+srv://localhost/', /in full/],
  ['mongodb+srv://rs.a.test/?srvServiceName=other', /other/],
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
