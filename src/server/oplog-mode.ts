/** How the oplog of a set is taken: all the time, or every so many minutes, and whether an operator has paused it (docs/design/oplog-continuity.md). */
import * as z from 'zod';
import type { Catalog } from '../catalog/catalog.ts';
import type { SetRow } from '../catalog/sets.ts';
import type { Clock } from '../base/clock.ts';
import { oplogNotPaused } from './failures.ts';
import type { SessionEngine } from './session-engine.ts';

const pause = z.object({ sinceMs: z.number(), by: z.string(), reason: z.string() });
const mode = z.object({
  /** Null: all the time. */
  everyMinutes: z.int().nullable().default(null),
  paused: pause.nullable().default(null),
  /** The pause before: what a gap that it left behind is told with. */
  last: pause.extend({ untilMs: z.number() }).nullable().default(null),
});
export type OplogMode = z.infer<typeof mode>;

export function oplogModeOf({ oplog_mode }: Pick<SetRow, 'oplog_mode'>): OplogMode {
  return mode.parse(JSON.parse(oplog_mode));
}

/** Why the chain broke, where it is a pause that outlasted the oplog of the set. */
export function blameOf({ last }: OplogMode, afterSeconds: number): string {
  const isCause = last !== null && afterSeconds * 1000 <= last.untilMs && afterSeconds * 1000 >= last.sinceMs - 3_600_000;
  return isCause ? `; it was paused by ${last.by} from ${new Date(last.sinceMs).toISOString()} to ${new Date(last.untilMs).toISOString()} (${last.reason})` : '';
}

export type OplogModes = ReturnType<typeof openOplogModes>;

type Options = { catalog: Catalog; engine: SessionEngine; keepOplog: (set: SetRow) => Promise<void>; clock: Clock };

export function openOplogModes({ catalog, engine, keepOplog, clock }: Options) {
  /** The keeper reads how it is to go on when it begins. */
  async function change(set: SetRow, changed: OplogMode): Promise<void> {
    await catalog.sets.setOplogMode(set.id, JSON.stringify(changed));
    for (const { id, kind, set_id } of await catalog.sessions.unfinished()) if (kind === 'oplog' && set_id === set.id) await engine.end(id);
    await keepOplog(set);
  }

  return {
    /** Pausing what is paused changes the reason and not the time. */
    async pause(set: SetRow, by: string, reason: string): Promise<void> {
      const now = oplogModeOf(set);
      await change(set, { ...now, paused: { sinceMs: now.paused?.sinceMs ?? clock.now(), by, reason } });
    },
    async resume(set: SetRow): Promise<void> {
      const now = oplogModeOf(set);
      if (now.paused === null) throw oplogNotPaused({ set: set.name });
      await change(set, { ...now, paused: null, last: { ...now.paused, untilMs: clock.now() } });
    },
    async every(set: SetRow, everyMinutes: number | null): Promise<void> {
      await change(set, { ...oplogModeOf(set), everyMinutes });
    },
  };
}
