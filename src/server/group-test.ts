/** Tests a group: every computer in scope and every set at once. Nothing is changed; each says what failed where. */
import type { Catalog } from '../catalog/catalog.ts';
import type { GroupRow } from '../catalog/groups.ts';
import { atOnce } from '../base/at-once.ts';
import { withDeadline } from '../base/deadline.ts';
import { toWire } from '../base/failure.ts';
import type { RouteAnswer } from '../contract/routes.ts';
import { lookOf, optionsOf, type Groups } from './groups.ts';
import type { HostReach } from './host-reach.ts';
import type { LookAtSet } from './set-looks.ts';

/** Below what a client waits for an answer. */
const eachMs = 45_000;
/** As many as one process may well have open at once. */
const limit = 64;

export async function testGroup(group: GroupRow, { catalog, groups, hostReach, lookAtSet }: { catalog: Catalog; groups: Groups; hostReach: HostReach; lookAtSet: LookAtSet }): Promise<RouteAnswer<'group.test'>> {
  const { hostCredential } = optionsOf(group);
  const scope = (await catalog.groups.computers(group.id)).filter(({ in_scope }) => in_scope === 1);
  const computers = atOnce(limit, scope, async (computer) => {
    const base = { computer: computer.name, address: computer.address };
    try {
      const { way, look, notConnected } = await withDeadline(`the answer of ${computer.name}`, eachMs, async (signal) => await hostReach.reach(computer, await hostReach.nodeOf(computer), hostCredential, signal));
      const says = `${look.hostname}, ${look.system}; ${look.mongods.length === 0 ? 'no mongod' : `mongod on port ${look.mongods.map(({ port }) => port).join(', ')}`}`;
      return { ...base, ok: true, way, says: notConnected === null ? says : `${says}; its services are not connected: ${notConnected}`, hint: null };
    } catch (error) {
      const { message, code, hint } = toWire(error);
      return { ...base, ok: false, way: null, says: `${message}  [${code}]`, hint };
    }
  });
  const sets = atOnce(limit, await catalog.groups.sets(group.id), async (set) => {
    const known = lookOf(set);
    const base = { set: known.name, seed: `${set.seed_host}:${set.seed_port}` };
    try {
      const look = await withDeadline(`the answer of ${known.name}`, eachMs, async (signal) => await lookAtSet(await groups.target(set), signal));
      const silent = look.members.filter(({ says }) => says !== null).map(({ host, port, says }) => `${host}:${port} ${says}`);
      return { ...base, ok: silent.length === 0, says: silent.length === 0 ? look.members.length === 1 ? 'its one member answers' : `all ${look.members.length} members answer` : silent.join('; '), hint: null };
    } catch (error) {
      const { message, code, hint } = toWire(error);
      return { ...base, ok: false, says: `${message}  [${code}]`, hint };
    }
  });
  const [tested, asked] = [await computers, await sets];
  return { ok: [...tested, ...asked].every(({ ok }) => ok), computers: tested, sets: asked };
}
