/**
 * Storage: named, immutable objects in one place. What the repository asks of a disk, a share or a bucket.
 *
 * Names are segments of [a-z0-9._-] joined by '/'. An object is there whole or not at all: `put` and `commit` resolve
 * when it is durable, and before that it is neither listed nor readable. Only objects written with `put … 'replace'`
 * ever change. `test/conformance/storage.ts` holds every implementation to this page.
 */
export type StoredObject = { readonly name: string; readonly bytes: number; readonly modifiedMs: number };

/** Something a place does to objects, or does not tell. `bad`: a repository there would be lost. */
export type PlaceFinding = { readonly what: string; readonly level: 'good' | 'doubtful' | 'bad'; readonly says: string };

/** For how long a repository keeps its objects, whoever asks; `mode` is a bucket's (docs/design/immutable.md). */
export type Immutable = { readonly days: number; readonly mode: LockMode | null };

/** `governance`: a key with a right of its own could lift a lock; `compliance`: no key. */
export type LockMode = 'compliance' | 'governance';

/**
 * Keeps objects from being changed or deleted, by a clock that is not the caller's. What is put under the names of
 * `isKeptFromPut` is retained when `put` or `commit` resolves; everything else when `retain` does.
 */
export type Retention = Immutable & {
  /** None of these can be changed or deleted for the repository's days from now, at least. Never shortens anything. */
  retain(names: readonly string[]): Promise<void>;
  /** Until when, by our clock; null: it can be deleted now, or is not there. Absent over a data channel: who may delete nothing has no use for it. */
  until?(names: readonly string[]): Promise<(number | null)[]>;
  /** For the shortest time there is, and what a lock here does when clocks are turned. For trials. */
  tryLock?(name: string): Promise<PlaceFinding[]>;
};

export type Storage = {
  /** For messages. */
  readonly place: string;
  /** Only what this holder itself made can be deleted or replaced here. */
  readonly appendOnly?: boolean;
  /** Present where the repository is immutable, and over a data channel, where the host that serves knows whether it is. */
  readonly retention?: Pick<Retention, 'retain'> & Partial<Retention>;
  /** Every object whose name starts with `prefix`, at any depth and in any order. */
  list(prefix: string): AsyncIterable<StoredObject>;
  stat(name: string): Promise<StoredObject | undefined>;
  /** All of an object, or exactly `range`: `repository.object-missing`, `repository.object-short`. Its memory is the caller's alone, to be handed to a thread. */
  read(name: string, range?: { from: number; bytes: number }): Promise<Uint8Array>;
  /** Durable and atomic when it resolves. `new` never replaces: of two at once exactly one is `stored`. */
  put(name: string, bytes: Uint8Array, how: 'new' | 'replace'): Promise<'stored' | 'exists'>;
  /** An object written piece by piece, invisible until `commit`. */
  create(name: string): Promise<StorageWriter>;
  /** An absent object is fine. */
  delete(name: string): Promise<void>;
  /** Null where the place does not say. */
  freeBytes(): Promise<number | null>;
  /** What the place does by itself: rules, versions, locks. Absent where there is no such thing. */
  findings?(): Promise<PlaceFinding[]>;
  /** Gives connections back. Absent where there are none. */
  close?(): Promise<void>;
};

export type StorageWriter = {
  /** The bytes are the caller's again when it resolves. */
  append(bytes: Uint8Array): Promise<void>;
  commit(): Promise<void>;
  /** After a failure, or instead of `commit`. */
  abort(): Promise<void>;
};
