/** What a policy that is not saved yet would change for the sets it has, said before it does. */
import type { Catalog } from '../catalog/catalog.ts';
import type { PolicyRow } from '../catalog/policies.ts';
import type { NamedSet } from '../catalog/sets.ts';
import type { Clock } from '../base/clock.ts';
import { hostLabel } from '../base/host-label.ts';
import type { PolicyDocument } from '../contract/policies.ts';
import { discovered } from '../contract/values.ts';
import { pointHoursOf, strictest, usualPromise } from '../domain/protection.ts';
import { documentOf, policiesOf, protectedBy } from './policy-objects.ts';
import type { Retention } from './retention.ts';

type Around = { readonly catalog: Catalog; readonly retention: Pick<Retention, 'plan'>; readonly clock: Clock };

/** Of a group of thousands nobody reads more. */
const mostSets = 20;

/** `document`: with ids. `own`: the policy as it is now. */
export async function effectsOf(document: PolicyDocument, own: PolicyRow | undefined, around: Around): Promise<string[]> {
  const sets = await protectedBy(document, around.catalog);
  const had = new Set(own === undefined ? [] : (await protectedBy(documentOf(own), around.catalog)).map(({ id }) => id));
  const added = sets.filter(({ id }) => !had.has(id));
  const says: string[] = [];
  for (const set of added.slice(0, mostSets)) says.push(await onFirst(set, document, own, around));
  if (added.length > mostSets) says.push(`${added.length - mostSets} more sets come to ${document.name}`);
  return [...says, ...(await strangers(document, around)), ...withoutProof(document, around.clock.now()), ...protectsNothing(document)];
}

/** What becomes of points and oplog of a set that the policy did not have. */
async function onFirst(set: NamedSet, { name, retention: rule, timeZone }: PolicyDocument, own: PolicyRow | undefined, { catalog, retention }: Around): Promise<string> {
  const others = (await policiesOf(set.id, catalog)).filter(({ row }) => row.id !== own?.id).map(({ row }) => `policy ${row.name}`);
  const former = (await catalog.policies.orphans(set.id)).map(({ policy_name }) => `its former policy ${policy_name}`);
  const keepers = [...new Set([...others, ...former])];
  if (keepers.length > 0) return `set ${set.name} is retained by ${keepers.join(', ')} already: a point, and its oplog, will stay for as long as any of them or ${name} keeps it; nothing goes sooner than now`;
  const { stays, goes } = await retention.plan(set, [{ name, timeZone, retention: rule }]);
  const now = stays.length + goes.length === 0 ? 'it has no point yet' : `as it is now, ${goes.length} of its ${stays.length + goes.length} points would go`;
  return `set ${set.name} has no policy: its oplog is followed and nothing of it goes by itself; with ${name} its points and its oplog go by the retention of ${name} (${now}), and its oplog is taken from the members that ${name} allows`;
}

function protectsNothing({ name, sets, groups }: PolicyDocument): string[] {
  return sets.length + groups.length > 0 ? [] : [`${name} names no set and no group: it protects nothing`];
}

/** Preferred nodes that were no members when their set was looked at last. */
async function strangers({ overrides, source }: PolicyDocument, { catalog }: Around): Promise<string[]> {
  const says: string[] = [];
  for (const [id, { preferredNode }] of Object.entries(overrides)) {
    const set = preferredNode === undefined ? undefined : await catalog.sets.find(id);
    if (set === undefined || preferredNode === undefined) continue;
    const members = discovered.parse(JSON.parse(set.discovered)).members.map(({ host, port }) => hostLabel({ host, port }));
    if (!members.includes(preferredNode)) says.push(`the preferred ${preferredNode} is no member of ${set.name} (${members.join(', ')})${source.failOver ? ': another one is taken' : ', and no other is allowed: its backups will fail'}`);
  }
  return says;
}

/** Nothing but a verification proves its points then. */
function withoutProof({ proof, promise, schedule, timeZone, verification }: PolicyDocument, nowMs: number): string[] {
  if (proof === 'open') return [];
  if (verification.schedule.kind === 'manual') return ['with "proof: none" and a manual verification nothing proves its points: they protect nothing, and none that is newer than the last proved one goes'];
  const promised = promise.pointHours ?? strictest([{ lossSeconds: 0, pointHours: pointHoursOf(schedule, timeZone, nowMs) ?? Infinity }], usualPromise).pointHours;
  const between = pointHoursOf(verification.schedule, timeZone, nowMs);
  if (between === null || between <= promised) return [];
  return [`with "proof: none" a point counts once a verification has proved it: these are up to ${between} h apart, and ${promised} h are promised, so its sets will be told as unprotected in between`];
}
