/** Hooks of sets and of policies: which programs run before and after backups, where, and what their failure means (docs/design/hooks.md). */
import type { Catalog } from '../catalog/catalog.ts';
import type { HookRow } from '../catalog/hooks.ts';
import type { SetRow } from '../catalog/sets.ts';
import type { Clock } from '../base/clock.ts';
import { describe, isFailure } from '../base/failure.ts';
import { sortableId } from '../base/ids.ts';
import type { PolicyHook } from '../contract/policies.ts';
import type { Hook, HookOfPolicy } from '../contract/routes/hooks.ts';
import { hookFailed, hookUnknown } from './hook-failures.ts';
import type { FlowContext } from './flow.ts';
import type { Hosts } from './hosts.ts';
import type { Links } from './links.ts';
import { documentOf } from './policy-objects.ts';

export type Hooks = ReturnType<typeof openHooks>;
/** Of another room: only its code is known here. */
const hookNotTrusted = { code: 'agent.hook-not-trusted' };
const judgedWithinMs = 5_000;
type HookWish = Pick<Hook, 'moment' | 'program' | 'args' | 'deadlineSeconds' | 'onFailure'> & { readonly host: string };
/** `id`: its name in a session. */
type AroundHook = Pick<HookRow, 'id' | 'moment' | 'host' | 'program' | 'args' | 'deadline_s' | 'on_failure'>;
type Ended = { readonly state: 'success' | 'failed' | 'stopped'; readonly point: string | null; readonly failure: string | null };

function hooksOf(hooks: readonly PolicyHook[]): AroundHook[] {
  return hooks.map(({ when, on, program, args, deadlineSeconds, onFailure }, at) => ({ id: `policy ${at + 1}`, moment: when, host: on, program, args: JSON.stringify(args), deadline_s: deadlineSeconds, on_failure: onFailure }));
}

export function openHooks({ catalog, hosts, links, clock }: { catalog: Catalog; hosts: Pick<Hosts, 'find'>; links: Pick<Links, 'of'>; clock: Clock }) {
  const hostName = async (id: string): Promise<string> => (await catalog.hosts.find(id))?.name ?? id;

  async function view(row: HookRow): Promise<Hook> {
    const [set, host] = [await catalog.sets.find(row.set_id), await hostName(row.host)];
    return { id: row.id, set: set?.name ?? row.set_id, moment: row.moment as Hook['moment'], host, program: row.program, args: JSON.parse(row.args) as string[], deadlineSeconds: row.deadline_s, onFailure: row.on_failure as Hook['onFailure'] };
  }

  /** Those of one moment, each once; a failure that counts is thrown after the moment's others have run where they are to run anyway. */
  async function run(all: readonly AroundHook[], set: SetRow, moment: Hook['moment'], context: FlowContext, ended?: Ended): Promise<void> {
    let counts: unknown;
    for (const row of all) {
      if (row.moment !== moment) continue;
      const environment = { TIDEMARK_HOOK: moment, TIDEMARK_SESSION: context.session, TIDEMARK_SET: set.name, TIDEMARK_SET_ID: set.id, TIDEMARK_HOST: await hostName(row.host), ...(ended !== undefined && { TIDEMARK_STATE: ended.state, ...(ended.point !== null && { TIDEMARK_POINT: ended.point }), ...(ended.failure !== null && { TIDEMARK_FAILURE: ended.failure }) }) };
      const input = { program: row.program, args: JSON.parse(row.args) as string[], environment, deadlineSeconds: row.deadline_s };
      const side = moment === 'after' ? { name: row.id, stop: new AbortController().signal, evenWhenStopped: true as const } : { name: row.id, stop: context.signal };
      try {
        const { ok, status } = await context.hostTask(`hook ${moment} ${row.id}`, 'run-hook', row.host, input, side);
        if (!ok) throw hookFailed({ program: row.program, moment, status, isStored: moment === 'after' && ended?.point != null });
      } catch (error) {
        if (context.isClosing() || (moment === 'before' && context.signal.aborted)) throw error;
        const failed = isFailure(error, hookFailed) ? error : hookFailed({ program: row.program, moment, status: describe(error), isStored: moment === 'after' && ended?.point != null }, error);
        await context.tell(describe(failed), 'warning');
        if (row.on_failure !== 'fail') continue;
        if (moment === 'before') throw failed;
        counts ??= failed;
      }
    }
    if (counts !== undefined) throw counts as Error;
  }

  return {
    view,
    list: async (): Promise<HookRow[]> => await catalog.hooks.list(),
    /** Why programs would not run as things stand on their hosts. A host that is away, or older than the question, says nothing. */
    async notesOn(programs: readonly { readonly host: string; readonly program: string }[]): Promise<string[]> {
      const judge = async ({ host, program }: { host: string; program: string }): Promise<string[]> => {
        const { id, name } = await hosts.find(host);
        try {
          await links.of(id).ask('hook.judge', { program }, { waitMs: judgedWithinMs });
          return [];
        } catch (error) {
          return isFailure(error, hookNotTrusted) ? [`on host ${name} ${error.message}; ${error.hint}`] : [];
        }
      };
      return (await Promise.all(programs.map(judge))).flat();
    },
    async ofPolicies(): Promise<HookOfPolicy[]> {
      const found: HookOfPolicy[] = [];
      for (const row of await catalog.policies.list()) for (const { when, on, ...hook } of documentOf(row).hooks) found.push({ ...hook, policy: row.name, moment: when, host: await hostName(on) });
      return found;
    },
    async find(id: string): Promise<HookRow> {
      const row = (await catalog.hooks.list()).find((one) => one.id === id);
      if (row === undefined) throw hookUnknown({ hook: id });
      return row;
    },
    async add(set: SetRow, wish: HookWish): Promise<HookRow> {
      const host = await hosts.find(wish.host);
      const row: HookRow = { id: sortableId(clock), set_id: set.id, moment: wish.moment, host: host.id, program: wish.program, args: JSON.stringify(wish.args), deadline_s: wish.deadlineSeconds, on_failure: wish.onFailure, added_ms: clock.now() };
      await catalog.hooks.add(row);
      return row;
    },
    remove: async (row: HookRow): Promise<void> => await catalog.hooks.remove(row.id),

    /** The work of a session between the set's hooks and those of its policy. `pointOf` names what the work made. */
    async around<T>(set: SetRow, ofItsPolicy: readonly PolicyHook[], context: FlowContext, work: () => Promise<T>, pointOf: (made: T) => string): Promise<T> {
      // Those that there are when it begins: what was quieted is woken, though somebody removed a hook meanwhile.
      const hooks = await context.note<AroundHook[]>('hooks', async () => [...(await catalog.hooks.list(set.id)), ...hooksOf(ofItsPolicy)]);
      let made: T;
      try {
        await run(hooks, set, 'before', context);
        made = await work();
      } catch (error) {
        if (context.isClosing()) throw error;
        const state = context.signal.aborted ? 'stopped' : 'failed';
        // What went wrong first is what the session tells.
        await run(hooks, set, 'after', context, { state, point: null, failure: state === 'failed' && isFailure(error) ? error.code : null }).catch(() => {
          if (context.isClosing()) throw error;
        });
        throw error;
      }
      await run(hooks, set, 'after', context, { state: 'success', point: pointOf(made), failure: null });
      return made;
    },
  };
}
