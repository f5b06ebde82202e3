/** What became of a set's members between two looks at it. */

export type ComparedMember = {
  readonly id: number;
  readonly host: string;
  readonly port: number;
  readonly state: string;
  readonly health: boolean;
  readonly priority: number;
  readonly votes: number;
  readonly hidden: boolean;
  readonly delaySeconds: number;
  readonly isArbiter: boolean;
  readonly tags: Readonly<Record<string, string>>;
  readonly version: string | null;
};

export type MemberChanges<M> = {
  readonly joined: readonly M[];
  readonly left: readonly M[];
  /** Of those that stayed, what is other now, in words. */
  readonly changed: readonly { readonly member: M; readonly what: string }[];
};

/**
 * Members are the same by `host:port`, whatever their `_id`: that of a removed member is given to the next one. Only where
 * one left and one joined with the same `_id` at the same host did a member move, to another port.
 */
export function compareMembers<M extends ComparedMember>(before: readonly M[], after: readonly M[]): MemberChanges<M> {
  const known = new Map(before.map((member) => [nameOf(member), member]));
  const now = new Set(after.map(nameOf));
  const gone = before.filter((member) => !now.has(nameOf(member)));
  const fresh = after.filter((member) => !known.has(nameOf(member)));
  const moved = fresh.flatMap((member) => {
    const was = gone.find(({ id, host }) => id === member.id && host === member.host);
    return was === undefined ? [] : [{ was, member }];
  });
  const stayed = after.flatMap((member) => {
    const was = known.get(nameOf(member));
    return was === undefined ? [] : [{ was, member }];
  });
  return {
    joined: fresh.filter((member) => !moved.some((one) => one.member === member)),
    left: gone.filter((member) => !moved.some((one) => one.was === member)),
    changed: [...moved, ...stayed].flatMap(({ was, member }) => {
      const words = differences(was, member);
      return words.length === 0 ? [] : [{ member, what: words.join(', ') }];
    }),
  };
}

const nameOf = ({ host, port }: ComparedMember): string => `${host} ${port}`;

function differences(was: ComparedMember, is: ComparedMember): string[] {
  const words: string[] = [];
  const put = (name: string, from: string | number, to: string | number): void => {
    if (from !== to) words.push(`${name} ${from} → ${to}`);
  };
  put('address', `${was.host}:${was.port}`, `${is.host}:${is.port}`);
  put('state', was.state, is.state);
  put('health', was.health ? 'good' : 'bad', is.health ? 'good' : 'bad');
  put('priority', was.priority, is.priority);
  put('votes', was.votes, is.votes);
  put('delay', `${was.delaySeconds} s`, `${is.delaySeconds} s`);
  put('hidden', was.hidden ? 'yes' : 'no', is.hidden ? 'yes' : 'no');
  put('arbiter', was.isArbiter ? 'yes' : 'no', is.isArbiter ? 'yes' : 'no');
  put('tags', tagsOf(was), tagsOf(is));
  // A member that could not be asked has not lost its version.
  if (was.version !== null && is.version !== null) put('version', was.version, is.version);
  return words;
}

function tagsOf({ tags }: ComparedMember): string {
  const all = Object.entries(tags).sort(([a], [b]) => (a < b ? -1 : 1));
  return all.length === 0 ? 'none' : all.map(([name, value]) => `${name}:${value}`).join(' ');
}
