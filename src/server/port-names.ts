/** Asks the name servers of the settings about every machine, in both directions. */
import { Resolver } from 'node:dns/promises';
import { isIPv6 } from 'node:net';
import type { NameFinding } from '../contract/ports.ts';
import { judgeNames, nameOf, reverseName, type NameAnswer } from '../domain/name-records.ts';
import { isLoopback, type Machine, type OutsideService } from '../domain/port-inventory.ts';

/** Each question is asked twice at most; a name server that is not there costs this much, all machines side by side. */
const askMs = 2_000;

export async function checkNames(machines: readonly Machine[], nameServers: readonly OutsideService[]): Promise<NameFinding[]> {
  const resolver = new Resolver({ timeout: askMs, tries: 2, maxTimeout: askMs });
  if (nameServers.length > 0) resolver.setServers(nameServers.map(({ dial, port }) => `${isIPv6(dial) ? `[${dial}]` : dial}:${port}`));
  const found = await Promise.all(
    machines.map(async (machine) => {
      const name = nameOf(machine);
      const forward = name === undefined ? undefined : await addressesOf(resolver, name);
      const reverse = await Promise.all(machine.addresses.filter((address) => !isLoopback(address)).map(async (address) => [address, await answerOf(resolver.resolvePtr(reverseName(address)))] as const));
      return judgeNames(machine, forward, new Map(reverse));
    }),
  );
  return found.flat();
}

async function addressesOf(resolver: Resolver, name: string): Promise<NameAnswer> {
  const answers = await Promise.all([answerOf(resolver.resolve4(name)), answerOf(resolver.resolve6(name))]);
  const values = answers.flatMap((answer) => (answer.kind === 'found' ? answer.values : []));
  return answers.find((answer) => answer.kind === 'silent' && values.length === 0) ?? { kind: 'found', values };
}

/** No such record is an answer. */
async function answerOf(asked: Promise<string[]>): Promise<NameAnswer> {
  try {
    return { kind: 'found', values: await asked };
  } catch (error) {
    const { code = 'no code' } = error as NodeJS.ErrnoException;
    return code === 'ENOTFOUND' || code === 'ENODATA' ? { kind: 'found', values: [] } : { kind: 'silent', why: code };
  }
}
