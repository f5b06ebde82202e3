import type { SetMember } from './topology.ts';

/**
 * The order in which members are asked for their oplog: secondaries close behind (lowest priority, then non-voting,
 * then lowest id; hidden ones are welcome), then the primary, then secondaries that lag.
 * Arbiters, delayed members and those that are neither primary nor secondary are never asked.
 */
export function orderForOplog(members: readonly SetMember[], lagLimitSeconds = 30): SetMember[] {
  const rank = (member: SetMember): number => {
    const close = (member.lagSeconds ?? Number.POSITIVE_INFINITY) < lagLimitSeconds;
    if (member.state === 'secondary') return close ? 0 : 2;
    return 1;
  };
  return members
    .filter((member) => member.health && member.delaySeconds === 0 && (member.state === 'primary' || member.state === 'secondary'))
    .sort((a, b) => rank(a) - rank(b) || a.priority - b.priority || a.votes - b.votes || a.id - b.id);
}

/**
 * Why a member that is being read should be left for another; undefined while it is fit, or the best there is.
 * A primary is left for a secondary only after a while (`readMs`): it is often chosen because the others are just starting.
 */
export function whyLeave(members: readonly SetMember[], current: string, readMs: number, lagLimitSeconds = 30): string | undefined {
  const member = members.find((one) => one.name === current);
  if (member === undefined) return 'it is no longer a member of the set';
  if (member.state !== 'primary' && member.state !== 'secondary') return `it is ${member.state}`;
  const close = orderForOplog(members, lagLimitSeconds).filter((one) => one.name !== current && (one.lagSeconds ?? 0) < lagLimitSeconds);
  if (member.state === 'primary') return readMs >= 30_000 && close.length > 0 ? 'a secondary can be read instead of the primary' : undefined;
  return (member.lagSeconds ?? 0) < lagLimitSeconds || close.length === 0 ? undefined : `it is ${member.lagSeconds?.toFixed(0)} s behind`;
}
