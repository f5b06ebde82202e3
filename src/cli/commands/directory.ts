import { isIPv6 } from 'node:net';
import { directoryServer, type DirectoryComputer, type DirectorySettings, type DirectoryTest } from '../../contract/directory.ts';
import { isGiven, listOf, textOf, type Invocation } from '../command.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { usageOf } from '../numbers.ts';
import { readFileOf } from '../secret-file.ts';
import { showFields, showTable } from '../table.ts';

const usual = {
  'active-directory': { nameAttribute: 'sAMAccountName', userFilter: '(&(objectCategory=person)(objectClass=user))', groupFilter: '(objectClass=group)' },
  ldap: { nameAttribute: 'uid', userFilter: '(|(objectClass=inetOrgPerson)(objectClass=posixAccount))', groupFilter: '(|(objectClass=groupOfNames)(objectClass=groupOfUniqueNames)(objectClass=posixGroup))' },
} as const;

export async function setDirectory(invocation: Invocation): Promise<ExitCode> {
  const client = await invocation.client();
  const { directory: before } = await client.call('directory.show');
  const passwordFile = textOf(invocation, 'bindPasswordFile');
  const settings = await settingsOf(invocation, before);
  const kept = await client.call('directory.set', { body: { ...settings, ...(passwordFile !== undefined && { bindPassword: await readFileOf('bind password', passwordFile) }) } });
  invocation.answer(kept, () => `the directory is set, and was asked:\n${show(kept)}`);
  return exitCodes.done;
}

async function settingsOf(invocation: Invocation, before: DirectorySettings | null): Promise<DirectorySettings> {
  const given = (name: string): string | undefined => textOf(invocation, name);
  const kind = (given('kind') as DirectorySettings['kind'] | undefined) ?? before?.kind ?? 'active-directory';
  const encryption = (given('encryption') as DirectorySettings['encryption'] | undefined) ?? before?.encryption ?? 'starttls';
  const servers = listOf(invocation, 'directoryServer').map((text) => serverOf(invocation, text, encryption));
  const base = given('base') ?? before?.base;
  const bindUser = given('bindUser') ?? before?.bindUser;
  if (base === undefined || bindUser === undefined || (servers.length === 0 && before === null)) throw usageOf(invocation, 'give --directory-server, --base, --bind-user and --bind-password-file');
  const sameKind = before?.kind === kind ? before : undefined;
  const caFile = given('directoryCaFile');
  const roles = listOf(invocation, 'role').map((text) => roleOf(invocation, text));
  return {
    kind,
    encryption,
    servers: servers.length > 0 ? servers : before!.servers,
    caPem: caFile === undefined ? (before?.caPem ?? null) : caFile === 'system' ? null : await readFileOf('certificate authority', caFile),
    bindUser,
    base,
    realm: given('realm') ?? (given('base') === undefined ? before?.realm : undefined) ?? realmOf(base),
    domain: given('domain') ?? before?.domain ?? null,
    nameAttribute: given('nameAttribute') ?? sameKind?.nameAttribute ?? usual[kind].nameAttribute,
    userFilter: given('userFilter') ?? sameKind?.userFilter ?? usual[kind].userFilter,
    groupFilter: given('groupFilter') ?? sameKind?.groupFilter ?? usual[kind].groupFilter,
    roles: roles.length > 0 ? roles : (before?.roles ?? []),
  };
}

function serverOf(invocation: Invocation, text: string, encryption: DirectorySettings['encryption']): DirectorySettings['servers'][number] {
  const match = /^\[([^\]]+)\](?::(\d+))?$/.exec(text) ?? /^([^:]+)(?::(\d+))?$/.exec(text) ?? (isIPv6(text) ? [undefined, text, undefined] : []);
  const server = directoryServer.safeParse({ host: match[1], port: match[2] === undefined ? (encryption === 'ldaps' ? 636 : 389) : Number(match[2]) });
  if (!server.success) throw usageOf(invocation, `--directory-server takes HOST or HOST:PORT, IPv6 as [fd00::1]:636, not "${text}"`);
  return server.data;
}

/** The last = parts them: a DN is full of others. */
function roleOf(invocation: Invocation, text: string): DirectorySettings['roles'][number] {
  const at = text.lastIndexOf('=');
  const [group, role] = [text.slice(0, at), text.slice(at + 1)];
  if (!group.includes('=') || !/^[a-z][a-z0-9-]*$/.test(role)) throw usageOf(invocation, `--role takes the DN of a group, = and a role, not "${text}"`);
  return { group, role };
}

/** `DC=comp,DC=test` is comp.test; a base of other parts has no such name. */
function realmOf(base: string): string {
  const parts = [...base.matchAll(/(?:^|,)\s*dc\s*=\s*([^,]+)/gi)].map((match) => match[1]!.trim().toLowerCase());
  return parts.length === 0 ? 'directory' : parts.join('.');
}

function show(settings: DirectorySettings): string {
  return showFields([
    ['kind', settings.kind],
    ['servers', settings.servers.map(({ host, port }) => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`)).join('\n')],
    ['encryption', settings.encryption === 'none' ? 'NONE: passwords cross the network in the clear' : settings.encryption],
    ['trusts', settings.caPem === null ? 'the authorities of the server\'s machine' : 'its own authority'],
    ['account', settings.bindUser],
    ['base', settings.base],
    ['names', `${settings.nameAttribute}@${settings.realm}${settings.domain === null ? '' : `, ${settings.domain}\\${settings.nameAttribute}`}`],
    ['users', settings.userFilter],
    ['groups', settings.groupFilter],
    ['roles', settings.roles.map(({ group, role }) => `${role}: ${group}`).join('\n') || 'none: nobody can sign in'],
  ]);
}

export async function showDirectory(invocation: Invocation): Promise<ExitCode> {
  const answer = await (await invocation.client()).call('directory.show');
  invocation.answer(answer, () => (answer.directory === null ? 'no directory is set; set one with "tidemark directory set"' : show(answer.directory)));
  return exitCodes.done;
}

export async function testDirectory(invocation: Invocation): Promise<ExitCode> {
  const test = await (await invocation.client()).call('directory.test');
  invocation.answer(test, () => test.servers.map(showServer).join('\n'));
  if (test.ok) return exitCodes.done;
  return test.servers.some(({ ok }) => ok) ? exitCodes.part : exitCodes.failed;
}

function showServer({ server, ok, steps }: DirectoryTest['servers'][number]): string {
  return [`${server}  ${ok ? 'good' : 'FAILED'}`, ...steps.map((step) => `  ${step.step.padEnd(8)} ${step.ok ? 'ok    ' : 'FAILED'}  ${String(step.ms).padStart(5)} ms  ${step.says}`)].join('\n');
}

export async function listComputers(invocation: Invocation): Promise<ExitCode> {
  const answer = await (await invocation.client()).call('directory.computers', { query: { base: textOf(invocation, 'base')! } });
  invocation.answer(answer, () =>
    answer.computers.length === 0
      ? 'no enabled computer with a name in DNS is there'
      : `${showTable<DirectoryComputer>(
          [
            { title: 'COMPUTER', cell: ({ name }) => name },
            { title: 'ADDRESS', cell: ({ address }) => address },
            { title: 'SYSTEM', cell: ({ system }) => system ?? '' },
          ],
          answer.computers,
        )}${answer.isCut ? '\nthere are more; give a base further down' : ''}`,
  );
  return exitCodes.done;
}

export async function removeDirectory(invocation: Invocation): Promise<ExitCode> {
  const answer = await (await invocation.client()).call('directory.remove', { query: { apply: isGiven(invocation, 'apply') ? 'true' : 'false' } });
  invocation.answer(answer, () => (answer.applied ? 'the directory is forgotten' : [...answer.plan, 'Nothing was changed; add --apply to do it.'].join('\n')));
  return exitCodes.done;
}
