import { stopped } from '../../base/failures.ts';
import type { TaskEvent } from '../../contract/tasks.ts';
import { isGiven, listOf, textOf, type Invocation } from '../command.ts';
import { readTarget } from '../database-target.ts';
import type { DirectRepository, DirectSet, DirectWatch } from '../direct-repository.ts';
import { exitCodes, type ExitCode } from '../exit-codes.ts';
import { setNotInRepository } from '../failures.ts';
import { isApplied, usageOf } from '../numbers.ts';
import { openProgress, type Progress } from '../progress.ts';
import { describeRestore } from '../restore-text.ts';
import { readMembers, readNamespaces } from '../restore-words.ts';
import { readPlace } from '../repository-place.ts';
import { readFileOf } from '../secret-file.ts';
import { describeWindow } from './window.ts';

export async function openWithPassphrase(invocation: Invocation): Promise<ExitCode> {
  const wants = wantedWork(invocation);
  const passphrase = await readFileOf('passphrase file', textOf(invocation, 'passphraseFile')!);
  const place = await readPlace(invocation.args[0]!, invocation, { isLocal: true, straight: true });
  const repository = await invocation.surroundings.openRepositoryDirect(place, passphrase);
  try {
    if (wants === 'list') await list(invocation, repository);
    else await restore(invocation, repository, wants);
    return exitCodes.done;
  } finally {
    await repository.close();
  }
}

type Work = 'list' | 'set' | 'collections';

/** Which of the three it is, before a passphrase is read; words that do not fit together are refused. */
function wantedWork(invocation: Invocation): Work {
  const [dirs, names] = [listOf(invocation, 'toDir'), listOf(invocation, 'ns')];
  const at = textOf(invocation, 'at');
  if (dirs.length === 0 && names.length === 0) {
    if (at !== undefined || invocation.options['apply'] === true) throw usageOf(invocation, 'a restore needs --to-dir, or --ns and --into');
    return 'list';
  }
  if (dirs.length > 0 && names.length > 0) throw usageOf(invocation, '--to-dir and --ns exclude each other');
  if (at === undefined) throw usageOf(invocation, 'a restore needs --at');
  if (names.length > 0 && textOf(invocation, 'into') === undefined) throw usageOf(invocation, 'without a server, --ns needs --into');
  return dirs.length > 0 ? 'set' : 'collections';
}

async function list(invocation: Invocation, repository: DirectRepository): Promise<void> {
  const wanted = textOf(invocation, 'set');
  const all = await repository.sets();
  const sets = all.filter((set) => wanted === undefined || set.setName === wanted || set.setId === wanted);
  if (wanted !== undefined && sets.length === 0) throw setNotInRepository({ set: wanted, sets: all.map(({ setName }) => setName) });
  const document = { repository: repository.id, path: repository.place, sets: sets.map(({ setId, setName, window }) => ({ setId, setName, ...window })) };
  invocation.answer(document, () => [`repository ${repository.id} in ${repository.place}`, ...sets.map((set) => describeSet(set, invocation.surroundings.timeZone))].join('\n\n'));
}

function describeSet({ setName, window }: DirectSet, timeZone: string): string {
  return describeWindow({ ...window, set: setName }, timeZone);
}

async function restore(invocation: Invocation, repository: DirectRepository, work: 'set' | 'collections'): Promise<void> {
  const set = textOf(invocation, 'set') ?? (await onlySet(invocation, repository));
  const common = { at: textOf(invocation, 'at')!, apply: isApplied(invocation) };
  const restored = await watched(invocation, `restore ${set}`, async (watch) => {
    if (work === 'set') {
      const question = { ...common, members: readMembers(invocation), name: textOf(invocation, 'name'), start: isGiven(invocation, 'start') };
      return { kind: 'restore-set', ...(await repository.restoreSet(set, question, watch)) };
    }
    const namespaces = readNamespaces(invocation, listOf(invocation, 'ns'));
    const existing = textOf(invocation, 'existing') as 'refuse' | 'aside' | 'replace' | undefined;
    const into = await readTarget(textOf(invocation, 'into')!, invocation);
    return { kind: 'restore-collections', ...(await repository.restoreCollections(set, { ...common, namespaces, existing, into }, watch)) };
  });
  invocation.answer({ state: 'success', ...restored }, () => describeRestore(restored, invocation.surroundings.timeZone));
}

async function onlySet(invocation: Invocation, repository: DirectRepository): Promise<string> {
  const sets = await repository.sets();
  if (sets.length === 1) return sets[0]!.setName;
  throw usageOf(invocation, `the repository holds ${sets.length} sets (${sets.map((set) => set.setName).join(', ')}); name one with --set`);
}

/** Work in this process's own children: Ctrl-C stops it and waits until it has cleaned up. */
async function watched<T>(invocation: Invocation, title: string, work: (watch: DirectWatch) => Promise<T>): Promise<T> {
  const progress = openProgress(title, invocation.terminal, invocation.clock);
  const ends = new AbortController();
  const release = invocation.surroundings.onInterrupt(() => {
    progress.say('stopping');
    ends.abort(stopped({ what: title }));
  });
  try {
    return await work({ signal: ends.signal, onEvent: (event) => showTaskEvent(progress, event) });
  } finally {
    release();
    progress.end();
  }
}

function showTaskEvent(progress: Progress, event: TaskEvent): void {
  if (event.kind === 'status') return;
  if (event.kind !== 'progress') return progress.show(event, event.atMs);
  progress.show({ kind: 'progress', progress: { ...event, bytesPerSecond: null, secondsLeft: null } }, event.atMs);
}
