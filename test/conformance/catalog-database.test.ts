/** The way to a shared catalog: whom a server believes to be its database, and which ones it refuses (docs/design/catalog.md). */
import assert from 'node:assert/strict';
import { chownSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { until } from '../../src/base/deadline.ts';
import { isFailure } from '../../src/base/failure.ts';
import { openCatalogAt } from '../../src/catalog/catalog.ts';
import { catalogPlaceBad, databaseNotTrusted, databaseTooOld } from '../../src/catalog/failures.ts';
import { databasePassword, openPostgres, whyNoPostgres, type Postgres } from '../kit/postgres.ts';
import { openTestAuthority, type TestAuthority } from '../kit/test-authority.ts';

describe('the way to the database', { skip: whyNoPostgres() }, () => {
  let postgres: Postgres;
  let authority: TestAuthority;
  let stranger: TestAuthority;
  before(async () => {
    [postgres, authority, stranger] = [await openPostgres(), await openTestAuthority(), await openTestAuthority()];
    postgres.create('shared');
  });
  after(async () => {
    await postgres[Symbol.asyncDispose]();
    await authority[Symbol.asyncDispose]();
    await stranger[Symbol.asyncDispose]();
  });

  /** From here on the database shows a certificate for these names; answers the file of its authority. */
  const certified = async (by: TestAuthority, hosts: readonly string[]): Promise<string> => {
    const { keyPem, certificatePem, caPem } = await by.issue('server', 'database', hosts);
    const { uid, gid } = statSync(postgres.folder);
    for (const [name, text] of [['server.key', keyPem], ['server.crt', certificatePem], ['ca.pem', caPem]] as const) {
      writeFileSync(join(postgres.folder, name), text, { mode: 0o600 });
      chownSync(join(postgres.folder, name), uid, gid);
    }
    const before = postgres.sql('select pg_conf_load_time()');
    for (const setting of [`ssl_cert_file = '${postgres.folder}/server.crt'`, `ssl_key_file = '${postgres.folder}/server.key'`, 'ssl = on']) postgres.sql(`alter system set ${setting}`);
    postgres.sql('select pg_reload_conf()');
    await until('the database to read its settings', 10_000, () => (postgres.sql('select pg_conf_load_time()') === before ? undefined : true));
    return join(postgres.folder, 'ca.pem');
  };
  const at = (host: string, query: string) => ({ kind: 'postgres', url: `postgres://tide@${host}:${postgres.port}/shared${query}`, passwordFile: postgres.passwordFile }) as const;
  const whyDistrusted = async (host: string, query: string): Promise<string> => {
    const error = await openCatalogAt(at(host, query)).then(async (catalog) => await catalog.close(), (thrown: unknown) => thrown);
    assert.ok(isFailure(error, databaseNotTrusted), String(error));
    assert.ok(!JSON.stringify([error.message, error.hint, error.details]).includes(databasePassword));
    return error.message;
  };
  const safely = (): string => postgres.sql("select count(*) > 0 and bool_and(s.ssl) from pg_stat_ssl s join pg_stat_activity a using (pid) where a.application_name = 'tidemark-server'");

  test('one that speaks no TLS is not believed where TLS is asked for, and no password is sent to it', async () => {
    assert.match(await whyDistrusted('127.0.0.1', '?sslmode=verify-full'), /127\.0\.0\.1:\d+\/shared does not prove who it is: The server does not support SSL connections$/);
  });

  test('a certificate of the authority that is named, for the name or address that is given, opens it, over TLS alone', async () => {
    const file = await certified(authority, ['127.0.0.1', 'localhost']);
    for (const [host, query] of [['127.0.0.1', `?sslmode=verify-full&sslrootcert=${file}`], ['localhost', `?sslrootcert=${file}`]] as const) {
      await using catalog = await openCatalogAt(at(host, query));
      await catalog.settings.put('k', host);
      assert.equal(await catalog.settings.get('k'), host);
      assert.equal(safely(), 't', 'each connection of the server is encrypted');
    }
  });

  test('a certificate of another authority is refused in words, and so is one that no authority of the machine made', async () => {
    const file = await certified(authority, ['127.0.0.1']);
    const other = join(postgres.folder, 'other.pem');
    writeFileSync(other, (await stranger.issue('server', 'x')).caPem);
    assert.match(await whyDistrusted('127.0.0.1', `?sslrootcert=${other}`), /does not prove who it is: .*certificate/);
    assert.match(await whyDistrusted('127.0.0.1', '?sslmode=verify-full'), /does not prove who it is: .*certificate/);
    await certified(stranger, ['127.0.0.1']);
    writeFileSync(file, (await authority.issue('server', 'x')).caPem);
    assert.match(await whyDistrusted('127.0.0.1', `?sslrootcert=${file}`), /does not prove who it is: .*certificate/);
  });

  test('a certificate of the right authority for another name is refused, for an address as for a name', async () => {
    const file = await certified(authority, ['localhost']);
    assert.match(await whyDistrusted('127.0.0.1', `?sslrootcert=${file}`), /IP: 127\.0\.0\.1 is not in the cert's list/);
    const again = await certified(authority, ['127.0.0.1', 'db.example']);
    assert.match(await whyDistrusted('localhost', `?sslrootcert=${again}`), /Host: localhost\. is not in the cert's altnames/);
  });

  test('an authority that cannot be read, or is none, is named before the database is asked', async () => {
    const none = join(postgres.folder, 'none.pem');
    writeFileSync(none, 'no certificate');
    for (const [query, why] of [['?sslrootcert=/nowhere/ca.pem', /sslrootcert \/nowhere\/ca\.pem cannot be read \(ENOENT\)/], [`?sslrootcert=${none}`, /none\.pem has no certificate in it/], [`?sslmode=disable&sslrootcert=${none}`, /sslrootcert is for sslmode=verify-full/]] as const) {
      await assert.rejects(openCatalogAt(at('127.0.0.1', query)), (error) => isFailure(error, catalogPlaceBad) && why.test(error.message));
    }
  });

  test('a database older than 15 is refused by its version, and nothing is made in it', async () => {
    const place = postgres.create('older');
    // What an older one answers: a function of that name stands before that of the database.
    const says = (number: number, version: string): void => void postgres.sql(`create or replace function public.current_setting(text) returns text language sql as $$ select case $1 when 'server_version_num' then '${number}' when 'server_version' then '${version}' else pg_catalog.current_setting($1) end $$`, 'older');
    postgres.sql('alter database older set search_path = public, pg_catalog');
    says(140_022, '14.22 (Debian 14.22-1)');
    await assert.rejects(openCatalogAt(place), (error) => isFailure(error, databaseTooOld) && error.message.endsWith('is PostgreSQL 14.22 (Debian 14.22-1), and a catalog needs 15 or newer'));
    assert.equal(postgres.sql("select count(*) from pg_catalog.pg_tables where schemaname = 'public'", 'older'), '0');
    says(150_000, '15.0');
    await (await openCatalogAt(place)).close();
  });
});
