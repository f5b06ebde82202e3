import type { SetMember } from './topology.ts';

/** What a policy says of the node, and which computers are no source at all. */
export type OplogRules = {
  readonly primaryAllowed: boolean;
  readonly hiddenFirst: boolean;
  readonly lagLimitSeconds: number;
  /** The name of a member. */
  readonly preferred: string | null;
  /** Hosts, as members name them. */
  readonly leftOut: readonly string[];
};

export const anyNode: OplogRules = { primaryAllowed: true, hiddenFirst: false, lagLimitSeconds: 30, preferred: null, leftOut: [] };

/** A secondary that is further behind has not the oplog that is to be archived, whatever the policy says of the primary. */
const uselessLagSeconds = 600;

const isData = ({ state, isArbiter }: SetMember): boolean => state !== 'arbiter' && !isArbiter;
const lagOf = ({ lagSeconds }: SetMember): number => lagSeconds ?? Number.POSITIVE_INFINITY;

/** Whether the primary is the last to be asked; it is a source as any other where it alone has data. */
export function isPrimaryAvoided(members: readonly SetMember[], { primaryAllowed }: OplogRules): boolean {
  return !primaryAllowed && members.filter(isData).length > 1;
}

function rankOf(member: SetMember, rules: OplogRules, isAvoided: boolean): number {
  if (member.state === 'primary') return isAvoided ? 2 : 1;
  if (lagOf(member) < rules.lagLimitSeconds) return 0;
  return isAvoided && lagOf(member) < Math.max(uselessLagSeconds, rules.lagLimitSeconds) ? 1 : 3;
}

/**
 * The order in which members are asked for their oplog: secondaries close behind (the preferred one, hidden ones where they come first, lowest
 * priority, then non-voting, then lowest id), then the primary, then secondaries that lag. Where the primary is not allowed, secondaries that lag
 * by less than ten minutes come before it: it is read only when nobody else has the oplog.
 * Arbiters, delayed members, those that are neither primary nor secondary and those that are left out are never asked.
 */
export function orderForOplog(members: readonly SetMember[], rules: OplogRules = anyNode): SetMember[] {
  const isAvoided = isPrimaryAvoided(members, rules);
  const rank = (member: SetMember): number => rankOf(member, rules, isAvoided);
  const wanted = (member: SetMember): number => (member.name === rules.preferred ? 0 : rules.hiddenFirst && member.hidden ? 1 : 2);
  return members
    .filter((member) => member.health && member.delaySeconds === 0 && (member.state === 'primary' || member.state === 'secondary') && !rules.leftOut.includes(member.host))
    .sort((a, b) => rank(a) - rank(b) || wanted(a) - wanted(b) || a.priority - b.priority || a.votes - b.votes || a.id - b.id);
}

/**
 * Why a member that is being read should be left for another; undefined while it is fit, or the best there is.
 * A primary is left for a secondary only after a while (`readMs`): it is often chosen because the others are just starting.
 */
export function whyLeave(members: readonly SetMember[], current: string, readMs: number, rules: OplogRules = anyNode): string | undefined {
  const member = members.find((one) => one.name === current);
  if (member === undefined) return 'it is no longer a member of the set';
  if (member.state !== 'primary' && member.state !== 'secondary') return `it is ${member.state}`;
  const isAvoided = isPrimaryAvoided(members, rules);
  const [best] = orderForOplog(members, rules).filter((one) => one.name !== current).map((one) => rankOf(one, rules, isAvoided)).sort((a, b) => a - b);
  if (member.state === 'primary') return readMs >= 30_000 && best === 0 ? 'a secondary can be read instead of the primary' : undefined;
  const isWorse = member.lagSeconds !== null && best !== undefined && best < rankOf(member, rules, isAvoided);
  return isWorse ? `it is ${member.lagSeconds?.toFixed(0)} s behind` : undefined;
}
