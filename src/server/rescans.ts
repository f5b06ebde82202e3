import type { GroupRow } from '../catalog/groups.ts';
import type { SessionRow } from '../catalog/sessions.ts';
import type { RescanWish } from './flows/rescan.ts';
import { laneOf, type SessionEngine } from './session-engine.ts';

/** How rescans begin: by hand and by schedule, one at a time for each group. */
export type Rescans = {
  /** Fails with catalog.lane-taken while another rescan of the group is open. */
  start(group: GroupRow, of?: { computer?: string | null; set?: string | null; reason?: string }): Promise<SessionRow>;
  /** Has the schedules looked at, because a group was changed. */
  wake(): void;
  onWake(listener: () => void): void;
};

export function openRescans(engine: SessionEngine): Rescans {
  let listener = (): void => {};
  return {
    async start(group, { computer = null, set = null, reason } = {}) {
      const wish: RescanWish = { group: group.id, computer, set, only: null };
      return await engine.start({ kind: 'rescan', object: { kind: 'group', id: group.id, name: group.name }, setId: null, lane: laneOf('rescan', group.id), wish, reason });
    },
    wake: () => listener(),
    onWake: (given) => void (listener = given),
  };
}
