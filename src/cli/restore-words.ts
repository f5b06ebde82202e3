import { resolve } from 'node:path';
import { listOf, textOf, type Given, type Invocation } from './command.ts';
import { usageOf } from './numbers.ts';

export type MemberPlace = { readonly directory: string; readonly host: string; readonly port: number };

/** `--to-dir /data/r1:27117`, once for each member; `--host` is how the members reach each other. */
export function readMembers(invocation: Given & Pick<Invocation, 'command'>): MemberPlace[] {
  const host = textOf(invocation, 'host') ?? '127.0.0.1';
  const members = listOf(invocation, 'toDir').map((word) => {
    const match = /^(.+):(\d{1,5})$/.exec(word);
    const port = Number(match?.[2]);
    if (match === null || port < 1 || port > 65535) throw usageOf(invocation, `--to-dir ${word} is not DIRECTORY:PORT, such as /data/r1:27117`);
    return { directory: resolve(match[1]!), host, port };
  });
  for (const what of ['directory', 'port'] as const) {
    if (new Set(members.map((member) => member[what])).size < members.length) throw usageOf(invocation, `two members have the same ${what}`);
  }
  return members;
}

export type MemberOnHost = MemberPlace & { readonly node: string | undefined };

/** `--member db1.example:27017@db1:/data/r`: the address that members reach it by, the host it is on, and its directory there. */
export function readMembersOnHosts(invocation: Given & Pick<Invocation, 'command'>): MemberOnHost[] {
  return listOf(invocation, 'member').map((word) => {
    const match = /^(\[[0-9a-fA-F:]+\]|[^:@/]+):(\d{1,5})(?:@([^:@/]+))?:(\/.*)$/.exec(word);
    const [, host = '', digits, node, directory = ''] = match ?? [];
    const port = Number(digits);
    if (match === null || port < 1 || port > 65535) throw usageOf(invocation, `--member ${word} is not HOST:PORT@NODE:DIRECTORY, such as db1.example:27017@db1:/data/r`);
    return { directory: resolve(directory), host: host.replace(/^\[(.*)\]$/, '$1'), port, node };
  });
}

/** `shop.orders` or `shop.orders=shop.orders_restored`. Collection names may contain "=": the last one before a database name divides. */
export function readNamespaces(invocation: Pick<Invocation, 'command'>, words: readonly string[]): { from: string; to: string }[] {
  return words.map((word) => {
    const divider = word.lastIndexOf('=');
    const [from, to] = divider < 0 ? [word, word] : [word.slice(0, divider), word.slice(divider + 1)];
    if (![from, to].every((name) => /^[^.=]+\..+$/.test(name))) throw usageOf(invocation, `--ns ${word} is not DB.COLL or DB.COLL=DB.COLL`);
    return { from, to };
  });
}
