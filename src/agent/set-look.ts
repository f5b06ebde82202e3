import type { MemberLook, MongoTarget, SetLook } from '../contract/values.ts';
import { isFailure } from '../base/failure.ts';
import { openClient, runCommand, toMember } from '../mongo/connect.ts';
import { unreachable } from '../mongo/failures.ts';
import { oplogReach } from '../mongo/oplog-reach.ts';
import { discoverAny, discoverSet, type SetMember, type SetView } from '../mongo/topology.ts';

const eachMs = 5_000;

/** A replica set over the wire: as the members that were named see it, and each member by itself, on the port it has. */
export async function lookAtSet(target: MongoTarget): Promise<SetLook> {
  const set = await viewOf(target);
  const members = await Promise.all(set.members.map(async (member) => await lookAtMember(target, member)));
  return { setId: set.setId, name: set.name, featureCompatibilityVersion: set.featureCompatibilityVersion, members };
}

async function viewOf(target: MongoTarget): Promise<SetView> {
  try {
    return await discoverAny(target, eachMs);
  } catch (error) {
    if (!isFailure(error, unreachable)) throw error;
    // Once more, with a look for the reason: a standalone, another set, a member that asks for TLS.
    await using client = await openClient(target, { deadlineMs: eachMs });
    return await discoverSet(client);
  }
}

async function lookAtMember(target: MongoTarget, { id, host, port, state, health, priority, votes, hidden, delaySeconds, lagSeconds, isArbiter, tags }: SetMember): Promise<MemberLook> {
  const told = { id, host, port, state, health, priority, votes, hidden, delaySeconds, lagSeconds, isArbiter, tags: { ...tags } };
  if (state === 'down') return { ...told, version: null, oplogSeconds: null, oplogReachSeconds: null, says: 'the set says that it is down' };
  try {
    // An arbiter knows no users.
    const address = toMember(isArbiter ? { ...target, credential: { kind: 'none' } } : target, { host, port });
    await using client = await openClient(address, { member: { host, port }, deadlineMs: eachMs, undiagnosed: true });
    const build = await runCommand(client, 'admin', { buildInfo: 1 }, { deadlineMs: eachMs });
    const reach = isArbiter ? null : await oplogReach(client).catch(() => null);
    return { ...told, version: String(build['version']), oplogSeconds: reach?.heldSeconds ?? null, oplogReachSeconds: reach?.reachSeconds ?? null, says: null };
  } catch (error) {
    return { ...told, version: null, oplogSeconds: null, oplogReachSeconds: null, says: error instanceof Error ? error.message : String(error) };
  }
}
