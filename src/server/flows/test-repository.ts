import * as z from 'zod';
import type { Archives } from '../archives.ts';
import type { Flow } from '../flow.ts';
import type { Hosts } from '../hosts.ts';

/** `host` is the id of the one that tries the place. */
const wish = z.object({ repository: z.string(), host: z.string(), megabytes: z.number() });
export type TestRepositoryWish = z.infer<typeof wish>;

/** Proves the place of a repository from one host. A promise that is not kept is an answer of the test and a warning of the session. */
export function testRepositoryFlow({ archives, hosts }: { archives: Archives; hosts: Hosts }): Flow<TestRepositoryWish> {
  return {
    wish,
    async run({ repository, host, megabytes }, context) {
      await archives.writable(repository);
      const { name } = await hosts.find(host);
      const output = await context.hostTask('test', 'test-storage', host, { ...(await archives.place(repository)), megabytes }, { name, stop: context.signal });
      for (const { what, level, says } of output.findings) if (level !== 'good') await context.say(`${what}: ${says}`, 'warning');
      const isGood = output.findings.every(({ level }) => level === 'good');
      return { state: isGood ? 'success' : 'warning', result: { kind: 'test', host: name, ...output } };
    },
  };
}
