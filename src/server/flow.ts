/**
 * A flow: the work of one kind of session, written as if nothing ever went down.
 *
 * When the server comes back after a crash it runs the flow of every open session again from its top, with the same
 * wish. What must not happen twice goes through the context: a task is followed to its one end, a decision is noted
 * under a name and read from its note, and what the flow said before is not said again. Between those a flow does
 * nothing that matters.
 */
import * as z from 'zod';
import type { Clock } from '../base/clock.ts';
import type { Log } from '../base/log.ts';
import type { OrderGiven, OrderName, OrderOutput } from '../contract/orders.ts';
import type { SessionResult } from '../contract/sessions.ts';
import type { TaskOutput } from '../contract/tasks.ts';
import type { ArchiveReach, ArchiveTaskKind, HostTaskInput, HostTaskKind, WithoutArchive } from './archive-task.ts';
import type { OnStatus } from './session-task.ts';

export type FlowContext = {
  readonly session: string;
  readonly clock: Clock;
  readonly log: Log;
  /** Aborted when the session is to stop or the server ends. */
  readonly signal: AbortSignal;
  /** Whether the server ends: then a flow that is cut short goes on in the next one, and ends nothing. */
  isClosing(): boolean;
  step(name: string): Promise<void>;
  say(text: string, level?: 'info' | 'warning' | 'error'): Promise<void>;
  /** Says it whenever it is called: for a flow that goes round. */
  tell(text: string, level?: 'info' | 'warning' | 'error'): Promise<void>;
  /** Makes a decision once; a flow that runs again gets the same. Kept sealed. */
  note<T>(name: string, make: () => Promise<T> | T): Promise<T>;
  /** Changes a note: for a flow that goes round. */
  setNote(name: string, value: unknown): Promise<void>;
  /** A quick order to a host. One that rests on a look just taken is given `promptly` or not at all: a host that is away is not waited for. */
  order<N extends OrderName>(host: string, name: N, input: OrderGiven<N>, how?: 'promptly'): Promise<OrderOutput<N>>;
  /**
   * A task that works with an archive, run once whatever happens in between, on the host that is named. `name` is unique in
   * the session. Where the archive is on another host, a data session there serves it for as long as the task lives.
   */
  task<K extends ArchiveTaskKind>(name: string, kind: K, at: ArchiveReach, input: () => Promise<WithoutArchive<K>>, onStatus?: OnStatus, side?: Side): Promise<TaskOutput<K>>;
  /** A task that needs no archive. `evenWhenStopped` is for ending what was begun: it runs though the session is to stop. */
  hostTask<K extends HostTaskKind>(name: string, kind: K, host: string, input: HostTaskInput<K>, side: Side & { readonly evenWhenStopped?: true }): Promise<TaskOutput<K>>;
  /** Removes the record of a task that is over, and every note whose name is the task's and `: ` and more: for a flow that goes round. */
  dropTask(name: string): Promise<void>;
};

/** Of a task that runs beside others of its session: the host it is known by, and what ends it besides a stop of the session. */
export type Side = { readonly name: string; readonly stop: AbortSignal };

/** The note of a flow that chooses its restore point itself: `{point, at}`. Whoever asks what is in use reads it. */
export const chosenMoment = 'moment';

/** Said where people look at a replayed mongod (docs/design/native-replay.md, "Not covered"). */
export const fastCounts = 'fast counts (estimatedDocumentCount, collStats) are those of the checkpoint until validate corrects them; countDocuments is exact';

export type Finished = { readonly state: 'success' | 'warning'; readonly result: SessionResult };

/** `wish` is the schema of what the flow was asked for, as it is kept. */
export type Flow<W = never> = {
  readonly wish: z.ZodType<W>;
  run(wish: W, context: FlowContext): Promise<Finished>;
  /** What asks for those alone that failed of a session which ended with a warning; null: none did. Without it such a session is not tried again. */
  failedOnly?(wish: W, result: SessionResult): unknown;
  /** What it has for itself, where that is not the same for all of its kind. */
  laneOf?(wish: W): string | null;
  /** Whether it only says what it would do: then its end is no news, and no report counts it. */
  isPlan?(wish: W): boolean;
};
