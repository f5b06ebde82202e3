/**
 * The life of a session.
 *
 *              start                  succeed            ┌▶ success
 *   waiting ──────────▶ working ─────────────────────────┼▶ warning   something is less than asked for, and says so
 *      │                   │                             ├▶ failed
 *      │                   │  stop                       └▶ stopped
 *      │                   └──▶ working, stopping ──────────▶ stopped | success | warning | failed
 *      ├── stop ──▶ stopped
 *      └── fail ──▶ failed
 *
 * An end state is never left. A stop is a request: the work cleans up after itself and may have been done before it
 * heard, and then the truth is told. A restart of the server is no move: what was working is taken up as it was.
 */
export type SessionState = 'waiting' | 'working' | 'success' | 'warning' | 'failed' | 'stopped';

export type SessionMove = { readonly kind: 'start' } | { readonly kind: 'ask-to-stop' } | { readonly kind: 'end'; readonly as: 'success' | 'warning' | 'failed' | 'stopped' };

export type SessionStanding = { readonly state: SessionState; readonly stopping: boolean };

export function hasEnded(state: SessionState): boolean {
  return state === 'success' || state === 'warning' || state === 'failed' || state === 'stopped';
}

/** Where a move leads, or `refused`: a move out of an end state, or success of work that never started. */
export function moveSession(from: SessionStanding, move: SessionMove): SessionStanding | 'refused' {
  if (hasEnded(from.state)) return 'refused';
  switch (move.kind) {
    case 'start':
      return from.state === 'waiting' && !from.stopping ? { state: 'working', stopping: false } : 'refused';
    case 'ask-to-stop':
      return from.state === 'waiting' ? { state: 'stopped', stopping: true } : { state: 'working', stopping: true };
    case 'end':
      if (from.state === 'waiting' && (move.as === 'success' || move.as === 'warning')) return 'refused';
      return { state: move.as, stopping: from.stopping };
  }
}
