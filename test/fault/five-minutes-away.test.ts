/**
 * A network that is away for five minutes is survived by a session between hosts. Nobody waits five minutes here: every
 * wait that such a cut meets is shown to be longer, and the logic is shown with the same waits made short.
 */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until, withDeadline } from '../../src/base/deadline.ts';
import { silentMs } from '../../src/mover/beats.ts';
import { sessionKeptMs } from '../../src/mover/serve-archive.ts';
import { leaseMs } from '../../src/repository/lease.ts';
import { usualTiming } from '../../src/server/session-engine.ts';
import { openCuttingProxy } from '../kit/cutting-proxy.ts';
import { openDataSession, openHosts, servedSet } from '../kit/data-session.ts';

const root = `sets/${servedSet}`;
const cutMs = 5 * 60_000;
/** The longest pause between two dials, and a dial that runs into the end of the cut. */
const redialMs = { channel: 5_000 + 10_000, link: 15_000 + 10_000 };

test('every wait that a cut of five minutes meets is longer, with the time to find each other again', () => {
  assert.ok(sessionKeptMs > cutMs + redialMs.channel + silentMs, 'the data session, on both of its ends');
  assert.ok(usualTiming.hostLostMs > cutMs + redialMs.link, 'the task that a session follows');
  // Renewed up to a minute before the cut; half of its time may pass in silence.
  assert.ok(leaseMs / 2 > cutMs + 60_000 + redialMs.channel, 'the lease of a writer');
});

for (const [what, awayMs, outcome] of [
  ['a shorter cut than the session is kept is survived by both ends', 2_000, 'stored'],
  ['a longer one ends both, each with its reason', 8_000, 'mover.session-lost'],
] as const) {
  test(what, async (t) => {
    const hosts = await openHosts(t);
    const session = await openDataSession(t, hosts, { keepMs: 4_000 });
    const proxy = await openCuttingProxy(t, session.location.ports);
    const storage = await session.open({ ports: proxy.ports }, { keptMs: 4_000 });
    assert.equal(await storage.put(`${root}/points/p1`, Buffer.from('x'), 'new'), 'stored');
    proxy.setOpen(false);
    proxy.cutAll();
    const startedMs = performance.now();
    const during = storage.put(`${root}/points/p2`, Buffer.from('y'), 'new').catch((error: { code: string }) => error.code);
    const served = session.served.ended;
    if (outcome === 'stored') await until('the cut to have lasted', 60_000, () => (performance.now() - startedMs >= awayMs ? true : undefined));
    else assert.equal(await withDeadline('the serving end', 60_000, async () => await served), 'left alone');
    proxy.setOpen(true);
    assert.equal(await withDeadline('the answer', 60_000, async () => await during), outcome);
  });
}
