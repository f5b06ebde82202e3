/** Sign-in with a real Active Directory (Samba) of 1,500 users and nested groups, and with a real LDAP server (slapd). */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { systemClock } from '../../src/base/clock.ts';
import type { DirectorySettings } from '../../src/contract/directory.ts';
import { openDirectory } from '../../src/directory/directory.ts';
import { adPassword, domain, openActiveDirectory, whyNoActiveDirectory, type ActiveDirectory, type LdifEntry } from '../kit/active-directory.ts';
import { openNetwork, whyNoNetwork, type TestNetwork } from '../kit/namespaces.ts';
import { openServerPlatform, type ServerPlatform } from '../kit/server-platform.ts';
import { openTestAuthority, type TestAuthority } from '../kit/test-authority.ts';

const password = 'Violet-Lantern-77';
const everybody = async (): Promise<boolean> => await Promise.resolve(true);
const group = (name: string): string => `CN=${name},${domain.people}`;
const userDn = (name: string): string => `CN=${name},${domain.people}`;

function person(name: string, more: Record<string, string | string[]> = {}): LdifEntry {
  return { dn: userDn(name), objectClass: 'user', sAMAccountName: name, userPrincipalName: `${name}@${domain.realm}`, userAccountControl: '544', ...more };
}
/** 65536: a password that does not expire. Those of others do after two days. */
const withPassword = { userAccountControl: '66048', unicodePwd: adPassword(password) };

/** `Nested0` has a role; `Nested1` is in it, `Nested2` in that one; who is timed is in the last. */
const timed = Array.from({ length: 21 }, (_, n) => `timed${n}`);
const entries: readonly LdifEntry[] = [
  { dn: domain.people, objectClass: 'organizationalUnit' },
  { dn: domain.computers, objectClass: 'organizationalUnit' },
  ...Array.from({ length: 1_500 - timed.length }, (_, n) => person(`user${n}`)),
  ...timed.map((name) => person(name, withPassword)),
  person('anna', withPassword),
  person('boss', withPassword),
  person('loner', withPassword),
  person('guessed', withPassword),
  person('off', { ...withPassword, userAccountControl: '66050' }),
  person('over', { ...withPassword, accountExpires: '131000000000000000' }),
  person('mustreset', { ...withPassword, userAccountControl: '512', pwdLastSet: '0' }),
  person('old', { ...withPassword, userAccountControl: '512' }),
  person('svc_backup', withPassword),
  { dn: group('Nested2'), objectClass: 'group', sAMAccountName: 'Nested2', member: ['anna', 'off', 'over', 'mustreset', 'old', 'guessed', ...timed, ...Array.from({ length: 100 }, (_, n) => `user${n}`)].map(userDn) },
  { dn: group('Nested1'), objectClass: 'group', sAMAccountName: 'Nested1', member: group('Nested2') },
  { dn: group('Nested0'), objectClass: 'group', sAMAccountName: 'Nested0', member: group('Nested1') },
  { dn: group('Bosses'), objectClass: 'group', sAMAccountName: 'Bosses', member: userDn('boss') },
  ...Array.from({ length: 20 }, (_, n) => ({ dn: group(`Other${n}`), objectClass: 'group', sAMAccountName: `Other${n}`, member: Array.from({ length: 25 }, (_unused, m) => userDn(`user${n * 25 + m}`)) })),
  ...Array.from({ length: 505 }, (_, n) => ({ dn: `CN=DB${n},${domain.computers}`, objectClass: 'computer', sAMAccountName: `DB${n}$`, dNSHostName: `db${n}.${domain.realm}`, operatingSystem: 'Debian 12', userAccountControl: n === 0 ? '4130' : '4128' })),
];

describe('Active Directory', { skip: whyNoNetwork() ?? whyNoActiveDirectory() }, () => {
  let network: TestNetwork;
  let authority: TestAuthority;
  let directory: ActiveDirectory;
  let platform: ServerPlatform;
  let settings: DirectorySettings;
  before(async () => {
    authority = await openTestAuthority();
    network = await openNetwork(['dc1']);
    const machine = network.machine('dc1');
    const identity = await authority.issue('server', 'dc1', ['dc1.comp.test', machine.address]);
    directory = await openActiveDirectory(machine, identity, entries, { stored: `dn: ${userDn('old')}\nchangetype: modify\nreplace: pwdLastSet\npwdLastSet: 132223104000000000\n` });
    await directory.modify(`dn: ${domain.base}\nchangetype: modify\nreplace: lockoutThreshold\nlockoutThreshold: 3\n-\nreplace: maxPwdAge\nmaxPwdAge: -1728000000000\n`);
    platform = await openServerPlatform();
    settings = {
      kind: 'active-directory', servers: [{ host: directory.address, port: 389 }], encryption: 'starttls', caPem: identity.caPem, bindUser: `svc_backup@${domain.realm}`, base: domain.base, realm: domain.realm, domain: domain.netbios,
      userFilter: '(&(objectCategory=person)(objectClass=user))', nameAttribute: 'sAMAccountName', groupFilter: '(objectClass=group)', roles: [{ group: group('Nested0'), role: 'backup-operator' }, { group: group('Bosses'), role: 'administrator' }],
    };
    await platform.ask('directory.set', { body: { ...settings, bindPassword: password } });
  });
  after(async () => {
    await platform?.[Symbol.asyncDispose]();
    await directory?.[Symbol.asyncDispose]();
    await network?.[Symbol.asyncDispose]();
    await authority?.[Symbol.asyncDispose]();
  });

  const set = async (change: Partial<DirectorySettings>): Promise<string> => {
    const answer = await platform.raw('PUT', '/api/v1/directory', { body: { ...settings, ...change, bindPassword: password } });
    return answer.status < 400 ? 'done' : `${answer.json.code} ${answer.json.message}`;
  };
  const signIn = async (user: string, given = password): Promise<{ code: string; token: string; roles: string[]; user: string }> => {
    const { status, json } = await platform.raw('POST', '/api/v1/sign-in', { token: null, body: { user, password: given } });
    return status === 201 ? { code: 'done', ...json } : { code: json.code, token: '', roles: [], user: '' };
  };

  test('a user signs in by name, DOMAIN\\name and user@suffix, with the role of a group three groups up', async () => {
    for (const typed of ['anna', 'COMPAD\\anna', 'anna@comp.test', 'ANNA']) {
      const { code, user, roles } = await signIn(typed);
      assert.deepEqual([code, user, roles], ['done', 'anna@comp.test', ['backup-operator']], typed);
    }
    assert.deepEqual((await signIn('boss')).roles, ['administrator']);
    assert.equal((await signIn('loner')).code, 'server.sign-in-no-role');
  });

  test('why an account is refused is told apart; that it is unknown is not', async () => {
    const codes = async (names: string[]): Promise<string[]> => {
      const told: string[] = [];
      for (const name of names) told.push((await signIn(name)).code.replace('server.sign-in-', ''));
      return told;
    };
    assert.deepEqual(await codes(['off', 'over', 'mustreset', 'old']), ['account-disabled', 'account-expired', 'password-reset', 'password-expired']);
    const asked = openDirectory({ settings, bindPassword: password, clock: systemClock });
    for (const name of ['nobody', 'anna', 'guessed', 'guessed', 'guessed']) assert.deepEqual(await asked.prove(name, 'wrong', AbortSignal.timeout(10_000), everybody), { kind: 'refused', why: 'wrong' }, name);
    assert.deepEqual(await codes(['guessed']), ['account-locked'], 'the directory itself has locked it');
  });

  test('a group that is a user\'s primary group counts as any other', async () => {
    assert.equal(await set({ roles: [{ group: `CN=Domain Users,CN=Users,${domain.base}`, role: 'viewer' }] }), 'done');
    assert.deepEqual((await signIn('loner')).roles, ['viewer']);
    assert.equal(await set({}), 'done');
  });

  test('names that would be filters elsewhere are nobody', async () => {
    const { address } = directory;
    const asked = openDirectory({ settings: { ...settings, servers: [{ host: address, port: 389 }] }, bindPassword: password, clock: systemClock });
    for (const name of ['*', 'ann*', 'anna)(objectClass=*', '*)(|(objectClass=*', 'anna\\2a', 'anna\0', 'anna)(userAccountControl=512', 'CN=anna']) {
      assert.deepEqual(await asked.prove(name, password, AbortSignal.timeout(10_000), everybody), { kind: 'refused', why: 'wrong' }, name);
    }
  });

  test('LDAPS works, StartTLS of another authority does not, and plain LDAP is refused by the directory itself', async () => {
    assert.equal(await set({ encryption: 'ldaps', servers: [{ host: directory.address, port: 636 }] }), 'done');
    assert.equal((await signIn('anna')).code, 'done');
    const other = await openTestAuthority();
    const { caPem } = await other.issue('server', 'x');
    await other[Symbol.asyncDispose]();
    assert.match(await set({ caPem }), /^directory\.not-trusted .*its certificate is of another authority/);
    assert.match(await set({ caPem, encryption: 'ldaps', servers: [{ host: directory.address, port: 636 }] }), /^directory\.not-trusted /);
    assert.match(await set({ encryption: 'none' }), /^directory\.bind-refused .*wants an encrypted connection/);
    assert.match(await set({ servers: [{ host: directory.address, port: 636 }] }), /^directory\.not-reached /, 'StartTLS on a port for TLS');
    assert.match(await set({ base: 'DC=nowhere' }), /^directory\.search-refused .*the base/);
    assert.match(await set({ roles: [{ group: 'CN=No Such Group,DC=comp,DC=test', role: 'viewer' }] }), /^directory\.search-refused .*not there: CN=No Such Group/);
    assert.equal(await set({}), 'done');
  });

  test('a server that is away is passed over, and the test says which step of which server failed', async () => {
    assert.equal(await set({ servers: [{ host: directory.address, port: 9 }, ...settings.servers] }), 'done');
    assert.equal((await signIn('anna')).code, 'done');
    const { ok, servers } = await platform.ask('directory.test', {});
    assert.equal(ok, false);
    assert.deepEqual(servers.map(({ steps }) => steps.map(({ step, ok: passed }) => `${step} ${passed}`).join(', ')), ['connect false', 'connect true, encrypt true, bind true, base true, users true, groups true']);
    assert.equal(await set({}), 'done');
  });

  test('computers of an OU come in pages, without those that are disabled', async () => {
    const { computers, isCut } = await platform.ask('directory.computers', { query: { base: domain.computers } });
    assert.deepEqual([computers.length, isCut], [504, false]);
    assert.ok(computers.some(({ address, system }) => address === 'db504.comp.test' && system === 'Debian 12') && !computers.some(({ name }) => name === 'DB0'));
  });

  test('1,500 users and nested groups: the median of sign-ins is printed', async (t) => {
    const each: number[] = [];
    for (const name of timed) {
      const atMs = performance.now();
      assert.equal((await signIn(name)).code, 'done');
      each.push(performance.now() - atMs);
    }
    each.sort((a, b) => a - b);
    t.diagnostic(`sign-in: median ${each[Math.floor(each.length / 2)]!.toFixed(0)} ms, slowest ${each.at(-1)!.toFixed(0)} ms of ${each.length}`);
  });

  test('an account that is disabled or removed there is not heard from the next check on', async () => {
    const [boss, anna] = [await signIn('boss'), await signIn('anna')];
    const heard = async (token: string): Promise<number> => (await platform.raw('GET', '/api/v1/sets', { token })).status;
    assert.deepEqual([await heard(boss.token), await heard(anna.token)], [200, 200]);
    await directory.modify(`dn: ${userDn('boss')}\nchangetype: modify\nreplace: userAccountControl\nuserAccountControl: 66050\n\ndn: ${userDn('anna')}\nchangetype: delete\n`);
    // Setting the directory checks its users at once, as the schedule does every two minutes.
    assert.equal(await set({}), 'done');
    assert.deepEqual([await heard(boss.token), await heard(anna.token)], [401, 401]);
    const users = (await platform.ask('user.list', {})).users;
    assert.deepEqual(['boss', 'anna'].map((name) => users.find((user) => user.name === `${name}@comp.test`)?.says), ['it is disabled in the directory', 'it is no longer in the directory']);
    assert.equal(await set({}), 'done');
    assert.deepEqual((await platform.ask('user.tokens', { params: { user: 'boss@comp.test' } })).tokens, []);
    assert.deepEqual([(await signIn('boss')).code, (await signIn('anna')).code], ['server.sign-in-account-disabled', 'server.sign-in-refused']);
  });

  test('no password is in the log, the audit or the catalog, and the audit is whole', async () => {
    const shown = JSON.stringify([await platform.ask('audit.list', { query: { limit: 1_000 } }), await platform.ask('directory.show', {}), platform.logged]);
    assert.ok(!shown.includes(password));
    assert.equal((await platform.ask('audit.verify', {})).isWhole, true);
  });
});

describe('LDAP', { skip: existsSync('/usr/sbin/slapd') ? undefined : 'not on this machine: slapd' }, () => {
  test('groups of groups are followed by their members, over StartTLS, and a disabled account is not let in', async () => {
    const place = mkdtempSync(join(tmpdir(), 'tm-slapd-'));
    const authority = await openTestAuthority();
    const network = whyNoNetwork() === undefined ? await openNetwork(['ldap1']) : undefined;
    try {
      assert.ok(network, 'namespaces');
      const machine = network.machine('ldap1');
      const identity = await authority.issue('server', 'ldap1', [machine.address]);
      const entry = (dn: string, ...lines: string[]): string => `dn: ${dn}\n${lines.join('\n')}\n`;
      const one = (uid: string): string => entry(`uid=${uid},ou=people,dc=x`, 'objectClass: inetOrgPerson', `cn: ${uid}`, `sn: ${uid}`, `uid: ${uid}`, `userPassword: ${password}`);
      const many = (cn: string, ...members: string[]): string => entry(`cn=${cn},ou=groups,dc=x`, 'objectClass: groupOfNames', `cn: ${cn}`, ...members.map((member) => `member: ${member}`));
      const ldif = [
        entry('dc=x', 'objectClass: dcObject', 'objectClass: organization', 'dc: x', 'o: x'), entry('ou=people,dc=x', 'objectClass: organizationalUnit', 'ou: people'), entry('ou=groups,dc=x', 'objectClass: organizationalUnit', 'ou: groups'),
        one('anna'), one('bert'), many('inner', 'uid=anna,ou=people,dc=x', 'cn=outer,ou=groups,dc=x'), many('middle', 'cn=inner,ou=groups,dc=x'), many('outer', 'cn=middle,ou=groups,dc=x'),
      ];
      for (const [name, text] of Object.entries({ 'key.pem': identity.keyPem, 'cert.pem': identity.certificatePem, 'ca.pem': identity.caPem, 'x.ldif': ldif.join('\n') })) writeFileSync(join(place, name), text, { mode: 0o600 });
      mkdirSync(join(place, 'db'));
      const schemas = ['core', 'cosine', 'inetorgperson'].map((name) => `include /etc/ldap/schema/${name}.schema`);
      writeFileSync(join(place, 'slapd.conf'), [...schemas, `pidfile ${place}/pid`, `TLSCertificateFile ${place}/cert.pem`, `TLSCertificateKeyFile ${place}/key.pem`, `TLSCACertificateFile ${place}/ca.pem`, 'modulepath /usr/lib/ldap', 'moduleload back_mdb', 'security simple_bind=128', 'database mdb', 'suffix dc=x', 'rootdn cn=root,dc=x', `rootpw ${password}`, `directory ${place}/db`, ''].join('\n'));
      const added = spawnSync('/usr/sbin/slapadd', ['-f', join(place, 'slapd.conf'), '-l', join(place, 'x.ldif')], { encoding: 'utf8' });
      assert.equal(added.status, 0, added.stderr);
      await machine.start('/usr/sbin/slapd', ['-f', join(place, 'slapd.conf'), '-h', `ldap://${machine.address}`, '-d', '256'], { ready: /slapd starting/ });
      const settings: DirectorySettings = {
        kind: 'ldap', servers: [{ host: machine.address, port: 389 }], encryption: 'starttls', caPem: identity.caPem, bindUser: 'cn=root,dc=x', base: 'dc=x', realm: 'x', domain: null,
        userFilter: '(objectClass=inetOrgPerson)', nameAttribute: 'uid', groupFilter: '(objectClass=groupOfNames)', roles: [{ group: 'cn=outer,ou=groups,dc=x', role: 'viewer' }],
      };
      const asked = openDirectory({ settings, bindPassword: password, clock: systemClock });
      const signal = AbortSignal.timeout(20_000);
      await asked.verify(signal);
      const proof = await asked.prove('anna', password, signal, everybody);
      assert.ok(proof.kind === 'proven');
      assert.deepEqual([proof.account.name, proof.account.groups], ['anna@x', ['cn=outer,ou=groups,dc=x']]);
      assert.match(proof.account.key, /^(uuid|dn):/);
      assert.deepEqual((await asked.accounts([proof.account.key], signal)).get(proof.account.key)?.groups, ['cn=outer,ou=groups,dc=x']);
      const bert = await asked.prove('bert', password, signal, everybody);
      assert.ok(bert.kind === 'proven' && bert.account.groups.length === 0);
      for (const [name, given] of [['anna', 'wrong'], ['nobody', password], ['*', password]]) assert.deepEqual(await asked.prove(name!, given!, signal, everybody), { kind: 'refused', why: 'wrong' });
      const plain = openDirectory({ settings: { ...settings, encryption: 'none' }, bindPassword: password, clock: systemClock });
      await assert.rejects(plain.verify(signal), /directory.*not|refus|confidentiality/i);
    } finally {
      await network?.[Symbol.asyncDispose]();
      await authority[Symbol.asyncDispose]();
      rmSync(place, { recursive: true, force: true });
    }
  });
});
