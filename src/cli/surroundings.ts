import type { Clock } from '../base/clock.ts';
import type { DirectRepository } from './direct-repository.ts';
import type { WrittenPlace } from './repository-place.ts';

/** Where the words go. `columns` is asked each time: windows are resized. */
export type Terminal = {
  stdout(text: string): void;
  stderr(text: string): void;
  /** Whether stderr is watched by a person: then progress is a bar. */
  readonly isWatched: boolean;
  columns(): number;
};

export type RecoveredServer = { readonly dataDir: string; readonly madeAtMs: number; readonly version: string; readonly sets: number; readonly hosts: number; readonly repositories: number; readonly sessions: number };

/** A configuration that is kept in a repository. `id` sorts by when it was stored; what cannot be opened has no time. */
export type KeptConfiguration = { readonly id: string; readonly installation: string; readonly madeAtMs: number | null; readonly version: string | null };

/** What the front door knows and the room does not look for itself: environment, terminal, signals, other rooms. */
export type Surroundings = {
  readonly version: string;
  readonly terminal: Terminal;
  readonly clock: Clock;
  readonly timeZone: string;
  /** From TIDEMARK_SERVER, TIDEMARK_TOKEN_FILE, TIDEMARK_CA_FILE. */
  readonly settings: { readonly server?: string; readonly tokenFile?: string; readonly caFile?: string };
  /** Data directories where a local server may have left its address and token, the likeliest first. */
  readonly dataDirectories: readonly string[];
  /** Where `login` keeps what it got. */
  readonly signInFile: string;
  /** Asks on the terminal without showing what is typed; undefined where nobody sits at one. */
  askSecret(question: string): Promise<string | undefined>;
  /** Calls `act` for every Ctrl-C and SIGTERM until the answered function is called; then they have their usual effect again. */
  onInterrupt(act: () => void): () => void;
  /** The programs `up` starts. */
  readonly programs: { readonly node: readonly string[]; readonly server: string; readonly transport: string; readonly depot: string };
  readonly processId: number;
  tryLock(fd: number): Promise<boolean>;
  /** What this machine has and lacks. */
  inspectMachine(directory: string): Promise<readonly { what: string; ok: boolean; says: string }[]>;
  /** Puts a package into the directory of a distribution server; with `isVouchedFor` its key signs what others have built. */
  addPackage(depotDirectory: string, file: string, isVouchedFor: boolean): Promise<{ name: string; version: string; platform: string; bytes: number; before: boolean }>;
  /** Makes a server in an empty data directory of a configuration in a repository, the newest one where none is named. */
  recoverServer(place: WrittenPlace, passphrase: string, data: string, which: { readonly installation?: string; readonly copy?: string }): Promise<RecoveredServer>;
  /** The newest first. */
  listConfigurations(place: WrittenPlace, passphrase: string): Promise<readonly KeptConfiguration[]>;
  openRepositoryDirect(place: WrittenPlace, passphrase: string): Promise<DirectRepository>;
};
