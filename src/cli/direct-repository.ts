import type { RouteAnswer, RouteAsked } from '../contract/routes.ts';
import type { TaskEvent, TaskOutput } from '../contract/tasks.ts';
import type { Window } from '../contract/values.ts';

export type DirectSet = { readonly setId: string; readonly setName: string; readonly window: Window };
export type DirectWatch = { readonly signal: AbortSignal; onEvent(event: TaskEvent): void };

type SetRestore = Pick<RouteAsked<'restore.set'>['body'], 'at' | 'members' | 'name' | 'start' | 'apply'>;
type CollectionRestore = Pick<RouteAsked<'restore.collections'>['body'], 'at' | 'namespaces' | 'existing' | 'apply'> & {
  readonly into: NonNullable<RouteAsked<'restore.collections'>['body']['into']>;
};

/**
 * A repository opened with its passphrase alone, on this machine, without a server. It only reads the repository; its
 * questions are those of the REST routes.
 */
export type DirectRepository = {
  readonly id: string;
  readonly place: string;
  sets(): Promise<DirectSet[]>;
  /** `set` by name or id. */
  restoreSet(set: string, question: SetRestore, watch: DirectWatch): Promise<TaskOutput<'restore-set'> & { point: string; uri: string | null }>;
  restoreCollections(set: string, question: CollectionRestore, watch: DirectWatch): Promise<TaskOutput<'restore-collections'> & { point: string }>;
  close(): Promise<void>;
};

/** The moments as the server would answer them. */
export type DirectWindow = Pick<RouteAnswer<'set.window'>, 'from' | 'to' | 'gaps' | 'barriers' | 'points'>;
