/** People on a catalog in memory, with cheap hashes, a clock that the test turns and a directory that it writes. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { openLog } from '../../src/base/log.ts';
import { openCatalog, type Catalog } from '../../src/catalog/catalog.ts';
import type { DirectorySettings } from '../../src/contract/directory.ts';
import type { Account } from '../../src/directory/accounts.ts';
import type { Refusal } from '../../src/directory/refusal.ts';
import type { OpenDirectory } from '../../src/server/people/directory-accounts.ts';
import { openPeople } from '../../src/server/people/people.ts';
import type { SignIn } from '../../src/server/people/reach.ts';
import { sealerWith } from '../../src/server/sealing.ts';
import { openGate, type Gate } from '../../src/server/sign-in.ts';
import { turnedClock, type TurnedClock } from './turned-clock.ts';

export const cheap = { log2N: 4, r: 1, p: 1 };
export const goodPassword = 'violet lantern barge';

/** Accounts by typed name; what is asked of it is counted. `isAway`: no server answers. */
export type WrittenDirectory = { accounts: Map<string, Account & { password: string; refusal?: Refusal }>; isAway: Error | undefined; proofs: number; /** Runs before keys are answered for. */ onKeys?: (keys: readonly string[]) => Promise<void> };

export const writtenSettings: DirectorySettings = {
  kind: 'active-directory', servers: [{ host: 'dc1.comp.test', port: 389 }], encryption: 'starttls', caPem: null, bindUser: 'svc@comp.test', base: 'DC=comp,DC=test', realm: 'comp.test', domain: 'COMPAD',
  userFilter: '(objectClass=user)', nameAttribute: 'sAMAccountName', groupFilter: '(objectClass=group)', roles: [{ group: 'CN=Ops,DC=comp,DC=test', role: 'backup-operator' }, { group: 'CN=Boss,DC=comp,DC=test', role: 'administrator' }],
};

export function accountOf(name: string, more: Partial<Account> & { password?: string; refusal?: Refusal } = {}): Account & { password: string; refusal?: Refusal } {
  return { key: `guid:${name}`, dn: `CN=${name},DC=comp,DC=test`, name: `${name}@comp.test`, state: 'fine', groups: ['CN=Ops,DC=comp,DC=test'], password: goodPassword, ...more };
}

export function writtenDirectory(directory: WrittenDirectory): OpenDirectory {
  const reached = async (): Promise<void> => {
    await Promise.resolve();
    if (directory.isAway !== undefined) throw directory.isAway;
  };
  return () => ({
    async prove(typed, password, _, admit) {
      directory.proofs++;
      await reached();
      const plain = typed.toLowerCase().replace(/^compad\\/, '').replace(/@comp\.test$/, '');
      const account = directory.accounts.get(plain) ?? [...directory.accounts.values()].find(({ name }) => name === `${plain}@comp.test`);
      if (account !== undefined && !(await admit(account.key))) return { kind: 'refused', why: 'wrong' };
      if (account?.refusal !== undefined) return { kind: 'refused', why: account.refusal };
      return account === undefined || account.password !== password ? { kind: 'refused', why: 'wrong' } : { kind: 'proven', account };
    },
    async accounts(keys) {
      await reached();
      await directory.onKeys?.(keys);
      return new Map([...directory.accounts.values()].filter(({ key }) => keys.includes(key)).map((account) => [account.key, account]));
    },
    computers: async () => await Promise.resolve({ computers: [], isCut: false }),
    verify: reached,
    test: async () => await Promise.resolve({ ok: true, servers: [] }),
  });
}

export type TestPeople = ReturnType<typeof openPeople> & AsyncDisposable & { readonly catalog: Catalog; readonly clock: TurnedClock; readonly gate: Gate; readonly logged: string[]; readonly data: string; readonly directoryWritten: WrittenDirectory; readonly admin: SignIn };

export async function openTestPeople(): Promise<TestPeople> {
  const data = await mkdtemp(join(tmpdir(), 'tm-people-'));
  const catalog = await openCatalog(':memory:');
  const clock = turnedClock();
  const logged: string[] = [];
  const log = openLog((line) => logged.push(line));
  const directoryWritten: WrittenDirectory = { accounts: new Map(), isAway: undefined, proofs: 0 };
  const people = openPeople({ catalog, clock, log, sealer: sealerWith(Buffer.alloc(32, 3)), data }, { cost: cheap, openDirectory: writtenDirectory(directoryWritten) });
  const admin: SignIn = { who: 'admin', kind: 'admin-token', userId: null, tokenId: null, expiresAtMs: null, layers: [await people.roles.grants(['administrator'])] };
  return {
    ...people,
    catalog,
    clock,
    gate: openGate(catalog, clock, people.roles),
    logged,
    data,
    directoryWritten,
    admin,
    async [Symbol.asyncDispose]() {
      await catalog.close();
      await rm(data, { recursive: true, force: true });
    },
  };
}
