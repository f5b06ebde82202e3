import type { Catalog } from '../catalog/catalog.ts';
import type { SessionRow } from '../catalog/sessions.ts';
import { sessionProgress, sessionResult, type Session } from '../contract/sessions.ts';
import { wireFailure } from '../contract/values.ts';
import type { SessionLog } from './session-log.ts';

/** A session as the contract shows it: the record, its steps with times, the freshest progress. */
export async function viewSession(row: SessionRow, catalog: Catalog, sessionLog: SessionLog): Promise<Session> {
  const said = await catalog.sessions.steps(row.id);
  const steps = said.map(({ at_ms, event }, index) => ({
    name: (JSON.parse(event) as { step: string }).step,
    startedAtMs: at_ms,
    endedAtMs: said[index + 1]?.at_ms ?? row.ended_ms,
  }));
  return {
    id: row.id,
    kind: row.kind as Session['kind'],
    object: { kind: row.object_kind as Session['object']['kind'], id: row.object_id, name: row.object_name },
    state: row.state as Session['state'],
    createdAtMs: row.created_ms,
    startedAtMs: row.started_ms,
    endedAtMs: row.ended_ms,
    steps,
    progress: sessionLog.progressOf(row.id) ?? (row.progress === null ? null : sessionProgress.parse(JSON.parse(row.progress))),
    warnings: row.warnings,
    result: row.result === null ? null : sessionResult.parse(JSON.parse(row.result)),
    failure: row.failure === null ? null : wireFailure.parse(JSON.parse(row.failure)),
    reason: row.reason,
    retryOf: row.retry_of,
    isPlan: row.is_plan === 1,
  };
}
