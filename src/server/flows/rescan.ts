/**
 * A rescan: looks at a group's computers and sets again, and brings services where they are wanted.
 *
 *   read settings ─▶ computers ─▶ sets ─▶ new computers ─▶ names ─▶ done
 *
 * What each computer and each set came to is noted before it is saved, so that a rescan that is taken up after a restart
 * saves the same and visits nobody twice. One that fails has its own outcome and stops no other.
 */
import * as z from 'zod';
import type { GroupComputerRow, GroupRow, GroupSetRow } from '../../catalog/groups.ts';
import { atOnce } from '../../base/at-once.ts';
import { withDeadline } from '../../base/deadline.ts';
import { sentenceOf } from '../../base/failure.ts';
import type { ComputerOutcome, SetOutcome } from '../../contract/groups.ts';
import { setLook, type SetLook } from '../../contract/values.ts';
import { compareMembers } from '../../domain/set-members.ts';
import { setChanged } from '../failures.ts';
import { rescanReachedNothing } from '../group-failures.ts';
import type { Finished, Flow, FlowContext } from '../flow.ts';
import { lookOf, optionsOf, type Groups } from '../groups.ts';
import { isNameBad, type NamedMachine } from '../../domain/name-records.ts';
import type { LookAtNames } from '../name-checks.ts';
import type { Placement } from '../placement.ts';
import type { ProtectedSets } from '../protected-sets.ts';
import type { ServiceVersions } from '../service-versions.ts';
import type { LookAtSet } from '../set-looks.ts';
import { visitComputer, type Visit, type VisitDeadlines, type VisitServices } from '../computer-visit.ts';

/** `only`: those alone, by their names: what failed before. */
const only = z.object({ computers: z.array(z.string()), sets: z.array(z.string()) });
const wish = z.object({ group: z.string(), computer: z.string().nullable(), set: z.string().nullable(), only: only.nullable().default(null) });
export type RescanWish = z.infer<typeof wish>;

export type RescanServices = VisitServices & { groups: Groups; lookAtSet: LookAtSet; lookAtNames: LookAtNames; sets: ProtectedSets; placement: Placement; versions: ServiceVersions; rescanMs?: Partial<VisitDeadlines> };

const limit = 8;
const setMs = 120_000;

export function rescanFlow(services: RescanServices): Flow<RescanWish> {
  const { groups, catalog } = services;
  return {
    wish,
    async run(asked, context) {
      await context.step('read settings');
      const group = await groups.find(asked.group);
      const unseen = optionsOf(group).updateServices ? await services.versions.look(0) : null;
      if (unseen !== null) await context.tell(`whether there are newer packages is not known: ${unseen}`, 'warning');
      const sets = asked.computer === null ? (await catalog.groups.sets(group.id)).filter((set) => (asked.set === null || set.set_id === asked.set) && (asked.only?.sets.includes(lookOf(set).name) ?? true)) : [];
      const scope = async (): Promise<GroupComputerRow[]> => {
        const ofSet = asked.set === null ? null : lookOf(await groups.findSet(group, asked.set)).members.map(({ host }) => host);
        return (await catalog.groups.computers(group.id)).filter(({ name }) => asked.only?.computers.includes(name) ?? true).filter(({ name, in_scope }) => (asked.computer === null ? in_scope === 1 && (ofSet?.includes(name) ?? true) : name === asked.computer));
      };
      const visited = new Map<string, ComputerOutcome>();
      const visit = async (step: string, computers: readonly GroupComputerRow[]): Promise<void> => {
        if (computers.length > 0) await context.step(step);
        await atOnce(limit, computers, async (computer) => void visited.set(computer.name, await oneComputer(group, computer, context, services)));
      };
      // Noted, so that a rescan that is taken up again takes the same steps in the same order.
      const first = await context.note('computers', async () => (await scope()).map(({ name }) => name));
      await visit('computers', (await scope()).filter(({ name }) => first.includes(name)));
      if (sets.length > 0) await context.step('sets');
      const seen = await atOnce(limit, sets, async (set) => await oneSet(group, set, context, services));
      await visit('new computers', (await scope()).filter(({ name }) => !visited.has(name)));
      await sayNames(await scope(), context, services);
      const there = new Set((await catalog.groups.computers(group.id)).map(({ name }) => name));
      return conclude(group, [...visited.values()].filter(({ computer }) => there.has(computer)), seen);
    },
    failedOnly(asked, result): RescanWish | null {
      if (result.kind !== 'rescan') return null;
      const [computers, sets] = [result.computers.filter(({ ok }) => !ok).map(({ computer }) => computer), result.sets.filter(({ ok }) => !ok).map(({ set }) => set)];
      return computers.length + sets.length === 0 ? null : { ...asked, only: { computers, sets } };
    },
  };
}

/** What is wrong with names is in the log; nothing of the rescan has failed for it. */
async function sayNames(computers: readonly GroupComputerRow[], context: FlowContext, { lookAtNames }: RescanServices): Promise<void> {
  const places = new Set(computers.flatMap(({ name, address }) => [name, address]));
  const isWanted = ({ machine, names, addresses, isServer }: NamedMachine): boolean => isServer || [machine, ...names, ...addresses].some((place) => places.has(place));
  await context.note('names', async () => {
    try {
      const found = await lookAtNames(isWanted, context.signal);
      if (found === null) return false;
      await context.step('names');
      for (const finding of found) if (finding.kind !== 'good') await context.tell(`name ${finding.kind}: ${finding.says}${finding.record === null ? '' : `; mend it with ${finding.record}`}`, isNameBad(finding) ? 'warning' : 'info');
      if (!found.some(isNameBad)) await context.tell('all names are as they should be');
    } catch (error) {
      context.signal.throwIfAborted();
      await context.tell(`names could not be checked: ${sentenceOf(error)}`, 'warning');
    }
    return true;
  });
}

function conclude(group: GroupRow, computers: readonly ComputerOutcome[], sets: readonly SetOutcome[]): Finished {
  const all = [...computers, ...sets];
  const failed = all.filter(({ ok }) => !ok);
  const isReached = sets.some(({ ok }) => ok) || computers.some(({ way }) => way !== null);
  if (all.length > 0 && !isReached) throw rescanReachedNothing({ group: group.name, first: failed[0]?.says ?? '' });
  const byName = [...computers].sort((a, b) => (a.computer < b.computer ? -1 : 1));
  return { state: failed.length === 0 ? 'success' : 'warning', result: { kind: 'rescan', group: group.name, computers: byName, sets: [...sets] } };
}

async function oneComputer(group: GroupRow, computer: GroupComputerRow, context: FlowContext, services: RescanServices): Promise<ComputerOutcome> {
  const { outcome, change } = await context.note<Visit>(`computer:${computer.name}`, async () => {
    const visit = await visitComputer({ group: group.name, options: optionsOf(group), computer }, context, services, services.rescanMs);
    const { ok, way, services: brought, mongods, says } = visit.outcome;
    const found = mongods.map(({ port, version, replicaSet }) => `${version ?? 'unknown version'} on port ${port}${replicaSet === null ? '' : ` (${replicaSet})`}`);
    const words = way === null ? [] : [`reached over ${way === 'link' ? 'its link' : 'SSH'}`, `mongod ${found.join(', ') || 'none'}`, `services ${brought}`];
    await context.tell(`${computer.name}: ${[...words, ...(says === null ? [] : [says])].join('; ')}`, ok ? 'info' : 'warning');
    return visit;
  });
  await services.catalog.groups.updateComputer(group.id, computer.name, change);
  return outcome;
}

type Seen = { outcome: SetOutcome; look: SetLook | null };

async function oneSet(group: GroupRow, set: GroupSetRow, context: FlowContext, services: RescanServices): Promise<SetOutcome> {
  const { groups, catalog } = services;
  const { outcome, look } = await context.note<Seen>(`set:${set.set_id}`, async () => await lookAgain(group, set, context, services));
  if (look === null) await catalog.groups.updateSet(set.set_id, { says: outcome.says });
  else await groups.saveLook(group, set.set_id, setLook.parse(look));
  if (look !== null) await refreshProtected(set.set_id, context, services);
  return outcome;
}

async function lookAgain(group: GroupRow, set: GroupSetRow, context: FlowContext, { groups, lookAtSet }: RescanServices): Promise<Seen> {
  const known = lookOf(set);
  try {
    const look = await withDeadline(`the look at ${known.name}`, setMs, async (signal) => await lookAtSet(await groups.target(set, known), signal), context.signal);
    if (look.setId !== set.set_id) throw setChanged({ set: known.name, expected: set.set_id, found: look.setId });
    const { joined, left, changed } = compareMembers(known.members, look.members);
    const names = (members: SetLook['members']): string[] => members.map(({ host, port }) => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`));
    const outcome: SetOutcome = { set: look.name, ok: true, members: look.members.length, joined: names([...joined]), left: names([...left]), changed: changed.map(({ member, what }) => ({ member: names([member])[0]!, what })), says: null };
    await context.tell(`${look.name}: ${look.members.length === 1 ? 'one member' : `${look.members.length} members`}`);
    for (const member of outcome.joined) await context.tell(`${look.name}: ${member} joined${optionsOf(group).newMembers === 'include' ? '' : '; its computer waits to be included'}`);
    for (const member of outcome.left) await context.tell(`${look.name}: ${member} left`);
    for (const { member, what } of outcome.changed) await context.tell(`${look.name}: ${member}: ${what}`);
    return { outcome, look };
  } catch (error) {
    context.signal.throwIfAborted();
    const says = sentenceOf(error);
    await context.tell(`${known.name}: ${says}`, 'warning');
    return { outcome: { set: known.name, ok: false, members: known.members.length, joined: [], left: [], changed: [], says }, look: null };
  }
}

/** A protected set is looked at from the hosts, too: by then they may have services that they had not, and other ways of copying. */
async function refreshProtected(setId: string, context: FlowContext, { catalog, sets, placement }: RescanServices): Promise<void> {
  const row = await catalog.sets.find(setId);
  if (row === undefined) return;
  try {
    await sets.refresh(row, await placement.discover(sets.target(row)));
  } catch (error) {
    context.signal.throwIfAborted();
    await context.tell(`${row.name}: its ways of copying could not be looked at: ${sentenceOf(error)}`, 'warning');
  }
}
