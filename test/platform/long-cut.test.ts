/** A network that stays away longer than a session waits. The server's deadlines are seconds here; what happens is the same as after minutes. */
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { whyNoWholeHosts } from '../kit/hosted-platform.ts';
import { openStruckHosts, type StruckHosts } from '../kit/struck-hosts.ts';

const skip = whyNoWholeHosts();
/** A link that falls silent is noticed after 6 s, and then 8 s are waited; the usual 25 s are met in survive-cuts.test.ts. */
const endMs = 60_000;

let struck: StruckHosts;
before(async () => {
  if (skip === undefined) struck = await openStruckHosts({ isHasty: true });
});
after(async () => await struck?.[Symbol.asyncDispose]());

for (const host of ['db', 'vault'] as const) {
  test(`the network of ${host} stays away: the session fails with that reason while it is away, and all is well when it is back`, { skip, timeout: 280_000 }, async () => {
    const session = await struck.begin();
    await struck.at(session, /^(pre-copy|store) /);
    const mend = await struck.cut(struck[host]);
    try {
      const { state, failure } = await struck.ended(session, endMs);
      assert.deepEqual([state, failure?.code], ['failed', 'server.host-lost']);
      assert.match(failure!.message, new RegExp(`\\b${host}\\b`));
    } finally {
      await mend();
    }
    await struck.isWell(`the network of ${host} was away`);
  });
}
