/**
 * Which member a copy is taken from, and why, in words for the session's log.
 *
 *   A member on a computer that was taken out of scope is none of these.
 *   0. the one member that an operator asked for, or none
 *   1. the preferred member of a policy, when one is named and fit; when it is not and there is no fail-over, none
 *   2. the member of the last restore point, when fit and not now primary: it keeps what a small increment needs
 *   3. a fit secondary: data-bearing, healthy, in reach, not delayed, lag below the limit. Hidden ones are welcome, and come
 *      first where a policy says so
 *   4. the primary, when allowed; it always is in a set with a single data member
 *   Ties: lowest priority, then non-voting, then lowest member id.
 *
 * The words in brackets behind the choice name the rule that decided, and what was passed over before it. Where nobody is chosen, each
 * member of the set is named with what keeps it from being one.
 */
export type SourceMember = {
  readonly id: number;
  readonly address: string;
  readonly state: 'primary' | 'secondary' | 'arbiter' | 'recovering' | 'down' | 'other';
  readonly health: boolean;
  readonly priority: number;
  readonly votes: number;
  readonly hidden: boolean;
  readonly delaySeconds: number;
  readonly lagSeconds: number | null;
  /** Whether a copy can be taken there: its host is managed and one way of copying is possible. */
  readonly withinReach: boolean;
  /** Its computer was taken out of the scope of the set's group. */
  readonly isLeftOut?: boolean;
  /** By the set's configuration: one that is down is seen in no other way. */
  readonly isArbiter: boolean;
};

export type SourceWishes = { readonly only?: string; readonly preferred?: string; readonly last?: string; readonly primaryAllowed: boolean; readonly lagLimitSeconds: number; /** Whether another one is taken when the preferred one is not fit. */ readonly failOver?: boolean; readonly hiddenFirst?: boolean };

export type SourceChoice = { readonly kind: 'chosen'; readonly address: string; readonly says: string } | { readonly kind: 'none'; readonly reasons: readonly string[] };

export function chooseSource(members: readonly SourceMember[], wishes: SourceWishes): SourceChoice {
  const data = members.filter((member) => !isArbiter(member));
  const primaryAllowed = wishes.primaryAllowed || data.length === 1;
  const judged = members.map((member) => ({ member, unfit: unfitness(member, wishes, primaryAllowed) }));
  const fit = judged.filter(({ unfit }) => unfit === undefined).map(({ member }) => member);
  const notes: string[] = [];
  const find = (address: string | undefined): SourceMember | undefined => fit.find((member) => member.address === address);

  if (wishes.only !== undefined) {
    const asked = find(wishes.only);
    if (asked !== undefined) return chosen(asked, 'as asked');
    const unfit = judged.find(({ member }) => member.address === wishes.only)?.unfit;
    return { kind: 'none', reasons: [`${wishes.only}, which was asked for, ${unfit ?? `is no member; those with data are ${data.map(({ address }) => address).join(', ')}`}`] };
  }

  const preferred = find(wishes.preferred);
  if (preferred !== undefined) return chosen(preferred, 'as preferred');
  if (wishes.preferred !== undefined) {
    const why = `the preferred ${wishes.preferred} ${judged.find(({ member }) => member.address === wishes.preferred)?.unfit ?? 'is no member'}`;
    if (wishes.failOver === false) return { kind: 'none', reasons: [`${why}, and the policy allows no other`] };
    notes.push(why);
  }

  const secondaries = fit.filter(({ state }) => state === 'secondary');
  const last = find(wishes.last);
  const gone = judged.find(({ member }) => member.address === wishes.last)?.unfit;
  if (gone !== undefined) notes.push(`${wishes.last} of the last point ${gone}`);
  if (last !== undefined && (last.state === 'secondary' || secondaries.length === 0)) return chosen(last, ['same node as the last point', ...notes].join('; '));
  if (last !== undefined) notes.push(`${last.address} of the last point is primary now`);

  const hidden = wishes.hiddenFirst === true ? secondaries.filter((member) => member.hidden) : [];
  const able = hidden.length > 0 ? hidden : secondaries.length > 0 ? secondaries : fit;
  const [best, next] = able.toSorted((a, b) => a.priority - b.priority || a.votes - b.votes || a.id - b.id);
  if (best === undefined) return { kind: 'none', reasons: judged.map(({ member, unfit }) => `${member.address} ${unfit ?? 'is fit'}`) };
  if (hidden.length > 0) notes.push('hidden ones come first');
  notes.push(best.state === 'primary' ? (data.length === 1 ? 'no other member has data' : 'no secondary is fit') : decidedBy(best, next, able.length));
  return chosen(best, notes.join('; '));
}

function decidedBy(best: SourceMember, next: SourceMember | undefined, count: number): string {
  if (next === undefined) return 'the only one that is fit';
  if (best.priority < next.priority) return `lowest priority of ${count} that are fit`;
  return best.votes < next.votes ? `no vote, of ${count} that are fit` : `lowest member id of ${count} that are fit`;
}

function chosen(member: SourceMember, why: string): SourceChoice {
  const lag = member.lagSeconds === null ? '' : ` ${member.lagSeconds.toFixed(1)} s behind`;
  const what = member.state === 'primary' ? 'the primary' : `a${member.hidden ? ' hidden' : ''} secondary${lag}`;
  return { kind: 'chosen', address: member.address, says: `source: ${member.address}, ${what}${why === '' ? '' : ` (${why})`}` };
}

const isArbiter = (member: SourceMember): boolean => member.isArbiter || member.state === 'arbiter';

function unfitness(member: SourceMember, wishes: SourceWishes, primaryAllowed: boolean): string | undefined {
  if (isArbiter(member)) return 'is an arbiter, which has no data';
  if (!member.health || member.state === 'down') return 'is down';
  if (member.state !== 'primary' && member.state !== 'secondary') return `is ${member.state}`;
  if (member.isLeftOut === true) return 'is on a computer that is out of the scope of its group';
  if (!member.withinReach) return 'runs where no copy can be taken';
  if (member.state === 'primary') return primaryAllowed ? undefined : 'is primary, which is not allowed as a source';
  if (member.delaySeconds > 0) return `is delayed by ${member.delaySeconds} s`;
  if (member.lagSeconds === null) return 'is behind by nobody knows how much';
  if (member.lagSeconds >= wishes.lagLimitSeconds) return `is ${member.lagSeconds.toFixed(0)} s behind`;
  return undefined;
}
