/**
 * A repository without a server: opened with its passphrase, its moments chosen by the same rules as the server's, its
 * restores run by the same tasks in the same kind of child process as on a managed host. Reads the repository only.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { withArchiveHere, withStorage } from '../agent/archive-access.ts';
import { openTaskRunner, type TaskRunner } from '../agent/task-runner.ts';
import { windowOf } from '../agent/window.ts';
import { systemClock } from '../base/clock.ts';
import type { ClusterTime } from '../base/cluster-time.ts';
import { fromWire } from '../base/failure.ts';
import { randomId } from '../base/ids.ts';
import { silentLog } from '../base/log.ts';
import type { DirectRepository, DirectWatch } from '../cli/direct-repository.ts';
import { setNotInRepository } from '../cli/failures.ts';
import type { WrittenPlace } from '../cli/repository-place.ts';
import { uriOfSet } from '../contract/mongo-uri.ts';
import { showPlace } from '../contract/repository-place.ts';
import { taskKinds, type TaskEvent, type TaskKind, type TaskOutput } from '../contract/tasks.ts';
import type { ArchiveAccess, Window } from '../contract/values.ts';
import { momentUnreachable } from '../domain/failures.ts';
import { parseMoment } from '../domain/moment.ts';
import { chooseRestore, unproved } from '../domain/restore-choice.ts';
import { listArchives, openRepository } from '../repository/repository.ts';
import { removeStaleMongods } from '../mongo/mongod-marker.ts';
import { removeStaleMounts } from '../mount/stale.ts';
import { programs } from './installation.ts';

type Opened = { readonly setId: string; readonly setName: string; readonly access: ArchiveAccess };

export async function openRepositoryDirect(place: WrittenPlace, passphrase: string): Promise<DirectRepository> {
  const { id, archives } = await withStorage(place, { create: false }, async (storage) => {
    const opened = await openRepository(storage, passphrase);
    const found = (await listArchives(storage, opened.key)).map(({ setId, setName, key }): Opened => ({ setId, setName, access: { ...place, setId, keyHex: Buffer.from(key).toString('hex') } }));
    return { id: opened.id, archives: found };
  });
  const workDirectory = await mkdtemp(join(tmpdir(), 'tidemark-open-'));
  const cleanUp = async (task: string): Promise<void> => {
    await removeStaleMongods(task, silentLog);
    await removeStaleMounts(task, silentLog);
  };
  const runner = await openTaskRunner({ workDirectory, programs, log: silentLog, cleanUp, quiet: true });

  const find = (set: string): Opened => {
    const found = archives.find((archive) => archive.setId === set || archive.setName === set);
    if (found === undefined) throw setNotInRepository({ set, sets: archives.map(({ setName }) => setName) });
    return found;
  };
  return {
    id,
    place: showPlace(place.location),
    sets: async () => await Promise.all(archives.map(async ({ setId, setName, access }) => ({ setId, setName, window: await lookAt(access) }))),
    async restoreSet(set, question, watch) {
      const { access, setName } = find(set);
      const { point, at, notes } = await choose(access, question.at);
      const input = { archive: access, point, at, setName: question.name ?? setName, members: question.members, start: question.start, apply: question.apply };
      const output = await runTask(runner, 'restore-set', input, watch);
      const uri = output.applied && question.start ? uriOfSet(input.setName, input.members) : null;
      return { ...output, plan: [...notes, ...output.plan], uri, point };
    },
    async restoreCollections(set, question, watch) {
      const { access } = find(set);
      const { point, at, notes } = await choose(access, question.at);
      const input = { archive: access, point, at, namespaces: question.namespaces, into: question.into, existing: question.existing ?? 'refuse', apply: question.apply };
      const output = await runTask(runner, 'restore-collections', input, watch);
      return { ...output, plan: [...notes, ...output.plan], point };
    },
    async close() {
      await runner.close();
      await rm(workDirectory, { recursive: true, force: true });
    },
  };
}

async function lookAt(access: ArchiveAccess): Promise<Window> {
  return await withArchiveHere(access, async (archive) => await windowOf(archive, systemClock.now()));
}

async function choose(access: ArchiveAccess, at: string): Promise<{ point: string; at: ClusterTime; notes: string[] }> {
  const window = await lookAt(access);
  const wanted = parseMoment(at, new Set(window.points.map((point) => point.id)));
  const facts = { ...window, points: window.points.map((point) => ({ ...point, proved: point.proof?.ok ?? null })) };
  const choice = chooseRestore(facts, wanted);
  if (choice.kind === 'refused') throw momentUnreachable({ at: choice.at, why: choice.why, lastSafe: choice.lastSafe });
  const isUnproved = facts.points.find(({ id }) => id === choice.point)?.proved === null;
  return { ...choice, notes: isUnproved ? [unproved(choice.point)] : [] };
}

/** As a server would: a task that says nothing for so long is stopped. */
const longestSilenceMs = 12 * 3_600_000;

/** Runs a task to its end. A stop is passed on, and the end is still waited for: the task cleans up after itself. */
async function runTask<K extends TaskKind>(runner: TaskRunner, kind: K, input: unknown, watch: DirectWatch): Promise<TaskOutput<K>> {
  const taskId = randomId();
  await runner.start(taskId, kind, taskKinds[kind].input.parse(input));
  const stop = (): void => runner.stop(taskId);
  watch.signal.addEventListener('abort', stop, { once: true });
  if (watch.signal.aborted) stop();
  const silent = setTimeout(stop, longestSilenceMs);
  const onEvent = (event: TaskEvent): void => {
    silent.refresh();
    watch.onEvent(event);
  };
  const state = await runner.watch(taskId, 0, (_, event) => onEvent(event), new AbortController().signal);
  clearTimeout(silent);
  watch.signal.removeEventListener('abort', stop);
  if (state.state === 'failed') throw fromWire(state.failure);
  return taskKinds[kind].output.parse(state.state === 'finished' ? state.output : undefined) as TaskOutput<K>;
}
