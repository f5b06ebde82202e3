import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { DirectorySettings } from '../../contract/directory.ts';
import { openCommandLine } from '../../../test/kit/command-line.ts';
import { openRestServer } from '../../../test/kit/rest-server.ts';

const kept: DirectorySettings = {
  kind: 'active-directory', servers: [{ host: 'dc1.comp.test', port: 389 }], encryption: 'starttls', caPem: 'PEM', bindUser: 'svc@comp.test', base: 'DC=comp,DC=test', realm: 'comp.test', domain: 'COMPAD',
  userFilter: '(&(objectCategory=person)(objectClass=user))', nameAttribute: 'sAMAccountName', groupFilter: '(objectClass=group)', roles: [{ group: 'CN=Ops,DC=comp,DC=test', role: 'viewer' }],
};

test('a directory is set with what is given and what is usual, and changed by what is given alone', async () => {
  const given: object[] = [];
  let before: DirectorySettings | null = null;
  await using server = await openRestServer({ 'directory.show': () => ({ directory: before }), 'directory.set': ({ body }) => (given.push(body), { ...kept }) });
  await using cli = await openCommandLine(server);
  const file = async (name: string, text: string): Promise<string> => {
    await writeFile(join(cli.directory, name), text);
    return join(cli.directory, name);
  };
  const [password, ca] = [await file('pw', 'hush\n'), await file('dir-ca', 'PEM\n')];
  const set = await cli.run('directory', 'set', '--directory-server', 'dc1.comp.test', '--directory-server', '[fd00::1]:3389', '--directory-ca-file', ca, '--bind-user', 'svc@comp.test', '--bind-password-file', password, '--base', 'DC=comp,DC=test', '--domain', 'COMPAD', '--role', 'CN=Ops,DC=comp,DC=test=viewer');
  assert.equal(set.code, 0, set.stderr);
  assert.doesNotMatch(`${set.stdout}${set.stderr}`, /hush/);
  before = kept;
  await cli.run('directory', 'set', '--encryption', 'ldaps', '--directory-server', 'dc2');
  await cli.run('directory', 'set', '--kind', 'ldap', '--base', 'o=x', '--role', 'cn=a,o=x=viewer', '--role', 'cn=b,o=x=administrator');
  assert.deepEqual(given, [
    { ...kept, servers: [{ host: 'dc1.comp.test', port: 389 }, { host: 'fd00::1', port: 3389 }], bindPassword: 'hush' },
    { ...kept, encryption: 'ldaps', servers: [{ host: 'dc2', port: 636 }] },
    {
      ...kept, kind: 'ldap', base: 'o=x', realm: 'directory', nameAttribute: 'uid', userFilter: '(|(objectClass=inetOrgPerson)(objectClass=posixAccount))',
      groupFilter: '(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup))', roles: [{ group: 'cn=a,o=x', role: 'viewer' }, { group: 'cn=b,o=x', role: 'administrator' }],
    },
  ]);
});

test('settings that say too little or are no words of ours are refused before the server keeps anything', async () => {
  await using server = await openRestServer({ 'directory.show': () => ({ directory: null }) });
  await using cli = await openCommandLine(server);
  const enough = ['--base', 'DC=x', '--bind-user', 'svc@x'];
  for (const [words, says] of [
    [enough, /give --directory-server, --base/],
    [[...enough, '--directory-server', 'a:b:c'], /--directory-server takes HOST/],
    [[...enough, '--directory-server', 'dc1', '--role', 'Ops=viewer'], /--role takes the DN of a group/],
  ] as const) {
    const { code, stderr } = await cli.run('directory', 'set', ...words);
    assert.equal(code, 2);
    assert.match(stderr, says);
  }
  assert.deepEqual(new Set(server.asked), new Set(['directory.show']));
});

test('a test shows each step of each server, and some that failed are a part', async () => {
  const good = { server: 'dc1:389', ok: true, steps: [{ step: 'connect', ok: true, ms: 3, says: 'reached' }] } as const;
  const bad = { server: 'dc2:389', ok: false, steps: [{ step: 'connect', ok: true, ms: 3, says: 'reached' }, { step: 'encrypt', ok: false, ms: 9, says: 'of another authority' }] } as const;
  await using server = await openRestServer({});
  await using cli = await openCommandLine(server);
  for (const [servers, code] of [[[good], 0], [[good, bad], 3], [[bad], 1]] as const) {
    server.answers = { 'directory.test': () => ({ ok: code === 0, servers: servers.map((one) => ({ ...one, steps: [...one.steps] })) }) };
    const said = await cli.run('directory', 'test');
    assert.equal(said.code, code);
    if (code !== 0) assert.match(said.stdout, /^dc2:389 {2}FAILED\n {2}connect {2}ok {10}3 ms {2}reached\n {2}encrypt {2}FAILED +9 ms {2}of another authority$/m);
  }
});

test('computers are listed with their addresses', async () => {
  await using server = await openRestServer({ 'directory.computers': ({ query }) => ({ computers: [{ name: 'DB1', address: 'db1.comp.test', system: 'Debian 12', dn: `CN=DB1,${query.base}` }], isCut: true }) });
  await using cli = await openCommandLine(server);
  assert.match((await cli.run('directory', 'computers', '--base', 'OU=DB,DC=x')).stdout, /^DB1 +db1\.comp\.test {2}Debian 12\nthere are more/m);
});
