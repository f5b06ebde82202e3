import assert from 'node:assert/strict';
import { test } from 'node:test';
import { AndFilter, FilterParser, type Filter } from 'ldapts';
import type { DirectorySettings } from '../contract/directory.ts';
import { filterOfName, findAccounts, findEntry } from './accounts.ts';
import type { Conversation, Search } from './conversation.ts';
import { followedGroups, plainDn } from './memberships.ts';
import { refusalOf } from './refusal.ts';

const settings: DirectorySettings = {
  kind: 'active-directory',
  servers: [{ host: 'dc1', port: 389 }],
  encryption: 'starttls',
  caPem: null,
  bindUser: 'svc@comp.test',
  base: 'DC=comp,DC=test',
  realm: 'comp.test',
  domain: 'COMPAD',
  userFilter: '(objectClass=user)',
  nameAttribute: 'sAMAccountName',
  groupFilter: '(objectClass=group)',
  roles: [{ group: 'CN=Admins,DC=comp,DC=test', role: 'administrator' }],
};

const text = (typed: string, given = settings): string | undefined => filterOfName(given, typed)?.toString();

test('a name is looked for by what it is typed as, and one of another domain is nobody\'s', () => {
  assert.equal(text('anna'), '(sAMAccountName=anna)');
  assert.equal(text('compad\\anna'), '(sAMAccountName=anna)');
  assert.equal(text('anna@comp.test'), '(|(userPrincipalName=anna@comp.test)(sAMAccountName=anna))');
  assert.equal(text('anna@other.test'), '(|(userPrincipalName=anna@other.test))');
  for (const nobody of ['anna\0', 'anna\0x@comp.test', 'OTHER\\anna', 'COMPAD\\', '\\anna', '@comp.test', 'anna@', 'COMPAD\\anna@comp.test']) assert.equal(text(nobody), undefined, nobody);
  assert.equal(text('anna@other.test', { ...settings, kind: 'ldap', nameAttribute: 'uid' }), undefined);
});

test('nothing that is typed becomes part of a filter', () => {
  const typed = ['*', 'anna)(objectClass=*', 'anna*', '*)(|(sAMAccountName=*', 'anna\\2a', 'a\0b', '\u{1F600}', ')(&', 'anna))(|(cn=*'];
  for (const name of typed) {
    const filter = filterOfName(settings, name);
    if (filter === undefined) continue;
    const whole = new AndFilter({ filters: [FilterParser.parseString(settings.userFilter), filter] });
    // Read again as a server would read it: one value, equal to what was typed.
    const again = FilterParser.parseString(whole.toString()) as AndFilter;
    const [, own] = again.filters as [Filter, { attribute: string; value: string | Buffer }];
    assert.equal(again.filters.length, 2, name);
    assert.equal(own.attribute.toLowerCase(), 'samaccountname', name);
    assert.equal(own.value.toString(), name.includes('\\') ? name.split('\\')[1] : name);
  }
});

type Group = { members: string[]; memberOf?: string[] };

/** A directory of groups that answers searches as a server would: by members, or the entry itself. */
function talkOf(groups: Record<string, Group>, found: readonly { dn: string }[] = []): Conversation & { asked: number } {
  const talk = {
    server: 'test:389',
    asked: 0,
    bind: async () => {},
    prove: async () => await Promise.resolve(undefined),
    async search(base: string, { scope, filter, what }: Search) {
      talk.asked++;
      await Promise.resolve();
      if (what === 'users') return found.map((entry) => ({ ...entry }));
      if (scope === 'base') return groups[base] === undefined ? [] : [{ dn: base, memberOf: groups[base].memberOf ?? [] }];
      const wanted = filter.toString().toLowerCase();
      return Object.entries(groups).filter(([, { members }]) => members.some((member) => wanted.includes(`=${member.toLowerCase()})`))).map(([dn]) => ({ dn }));
    },
    [Symbol.asyncDispose]: async () => {},
  };
  return talk as never;
}

const ldap: DirectorySettings = { ...settings, kind: 'ldap', nameAttribute: 'uid', roles: ['CN=top', 'CN=other', 'CN=posix'].map((group) => ({ group, role: 'viewer' })) };

test('groups of groups are followed upwards, by what either side says, and a cycle ends', async () => {
  const talk = talkOf({
    'CN=team': { members: ['CN=anna'] },
    'CN=middle': { members: ['CN=team', 'CN=top'] },
    'CN=far': { members: [], memberOf: ['CN=top'] },
    'CN=top': { members: ['CN=middle'], memberOf: [] },
    'CN=other': { members: ['CN=bert'] },
    'CN=posix': { members: ['anna'] },
  });
  assert.deepEqual(await followedGroups(talk, ldap, { dn: 'CN=anna', uid: 'anna', memberOf: 'CN=far' }), ['CN=top', 'CN=posix']);
  assert.deepEqual(await followedGroups(talk, ldap, { dn: 'CN=carl', uid: 'carl' }), []);
  assert.deepEqual(await followedGroups(talkOf({ 'CN=top': { members: [], memberOf: [] } }), ldap, { dn: 'CN=anna', uid: 'anna', memberOf: ['cn=TOP'] }), ['CN=top']);
});

test('a name that fits two entries is nobody', async () => {
  assert.equal(await findEntry(talkOf({}, [{ dn: 'CN=a' }, { dn: 'CN=b' }]), settings, 'anna'), undefined);
  assert.equal((await findEntry(talkOf({}, [{ dn: 'CN=a' }]), settings, 'anna'))?.dn, 'CN=a');
});

test('an account that is disabled, has expired or is locked is found so', async () => {
  const guid = Buffer.alloc(16, 7);
  const state = async (attributes: object): Promise<unknown> => {
    const found = await findAccounts(talkOf({}, [{ dn: 'CN=a', objectGUID: guid, sAMAccountName: 'Anna', ...attributes } as never]), { ...settings, roles: [] }, [`guid:${guid.toString('hex')}`], 1_800_000_000_000);
    const [account] = found.values();
    assert.equal(account?.name, 'anna@comp.test');
    return account?.state;
  };
  assert.equal(await state({ userAccountControl: '512' }), 'fine');
  assert.equal(await state({ userAccountControl: '514' }), 'disabled');
  assert.equal(await state({ accountExpires: '132000000000000000' }), 'expired');
  assert.equal(await state({ accountExpires: '9223372036854775807' }), 'fine');
  assert.equal(await state({ accountExpires: '0', 'msDS-User-Account-Control-Computed': '16' }), 'locked');
});

test('what Active Directory refuses for is told apart, and an unknown name is not', () => {
  const kind = (data: string): string => refusalOf({ code: 49, message: `80090308: LdapErr: DSID-0C09042F, comment: AcceptSecurityContext error, data ${data}, v4f7c Code: 0x31` }).kind;
  assert.deepEqual(['525', '52e', '530', '532', '533', '701', '773', '775', 'fff'].map(kind), ['wrong', 'wrong', 'not-now', 'password-expired', 'disabled', 'expired', 'password-reset', 'locked', 'wrong']);
  assert.equal(refusalOf({ code: 49, message: 'Invalid Credentials' }).kind, 'wrong');
  assert.equal(refusalOf({ code: 53, message: 'unwilling' }).kind, 'disabled');
});

test('two ways of writing a name of an entry are one', () => {
  assert.equal(plainDn('CN=Backup Admins , OU=IT,DC=Comp'), plainDn('cn=backup admins,ou=it,dc=comp'));
  assert.notEqual(plainDn('CN=a,DC=b'), plainDn('CN=b,DC=b'));
});
