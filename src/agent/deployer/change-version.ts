/**
 * Installing and updating: one change of version at a time, the old one running until the new one is complete on disk.
 *
 *   checked ─▶ unpacked ─▶ prepared ─▶ (sessions ended) ─▶ begun ─▶ switched ─▶ started ─▶ healthy ─▶ ended
 *                                                            │         └─ not healthy: switched back ─▶ old one started ─▶ ended
 *                                                            └─ the journal's entry: who is killed from here on finds it at
 *                                                               the next start and goes on to one version or the other
 *
 * Killed before `begun`: nothing shows but a complete version that nobody points to. `switched` is one rename.
 */
import type { Clock } from '../../base/clock.ts';
import { describe } from '../../base/failure.ts';
import type { Log } from '../../base/log.ts';
import type { PackageManifest, PackageName } from '../../contract/packages.ts';
import { serviceNotHealthy, sessionsStillRunning } from '../failures.ts';
import type { Incoming } from './incoming.ts';
import type { Begun, Journal, Outcome } from './journal.ts';
import { whyUnhealthy } from './health.ts';
import type { ServiceControl } from './service-control.ts';
import type { Versions } from './versions.ts';

export type Changing = {
  readonly versions: Versions;
  readonly incoming: Incoming;
  readonly journal: Journal;
  readonly control: ServiceControl;
  readonly clock: Clock;
  readonly log: Log;
  readonly healthWithinMs: number;
  /** The version of this program. */
  readonly ownVersion: string;
};

/** Told before each step is taken. */
export type Step = (step: string) => Promise<void> | void;

export type ChangeOptions = { readonly manifest: PackageManifest; readonly sessionsWithinMs: number; readonly step: Step; readonly beforeStart?: () => Promise<void>; readonly signal: AbortSignal };

const own = 'tidemark-deployer';

/** Answers the version before. The change of this program itself is over only when its next process says so. */
export async function changeVersion(changing: Changing, options: ChangeOptions): Promise<string | null> {
  const { versions, incoming, journal, control } = changing;
  const { manifest, step } = options;
  const { name, version: to } = manifest;
  const from = (await versions.current(name)) ?? null;
  const directory = versions.directory(name, to);

  await step('check the archive');
  const archive = await incoming.archive(manifest);
  await step('unpack');
  await versions.unpack(manifest, archive);
  await step('prepare');
  await control.setup(directory, 'prepare');
  await options.beforeStart?.();
  if (from !== null && name !== own) {
    await step('wait for running sessions');
    await waitForSessions(changing, name, options.sessionsWithinMs, options.signal);
  }
  const begun = { kind: 'switch', name, from, to } as const;
  await step('begin');
  await journal.begin(begun);
  if (name === own && from !== null) await versions.point(name, 'previous', from);
  await step('switch');
  if (name === own) {
    await versions.point(name, 'current', to);
    await step('restart');
    await control.setup(directory, 'enable');
    restartSoon(changing);
    return from;
  }
  // Windows Installer may refuse, and then has put back what was there.
  const why = await versions.point(name, 'current', to).then(async () => await start(changing, begun, step), describe);
  if (why !== undefined) throw await goBack(changing, begun, why, step);
  await step('end');
  await succeed(changing, begun);
  await incoming.forget(manifest.sha256);
  await step('over');
  return from;
}

type Switch = Extract<Begun, { kind: 'switch' }>;

/** The answer gets away first. Where this process is not replaced, the change is over with that. */
export function restartSoon(changing: Changing): void {
  const { clock, control, journal, log } = changing;
  const notReplaced = async (error: unknown): Promise<void> => {
    log.error('this service could not be restarted', { why: describe(error) });
    const begun = await journal.begun();
    if (begun?.kind === 'switch' && begun.name === own) await resumeOwn(changing, begun, describe(error));
  };
  clock.wait(500).then(async () => await control.restartLater(own)).catch(notReplaced).catch((error: unknown) => log.error('the change of this service could not be ended', { why: describe(error) }));
}

/** Undefined when the new version is healthy. */
async function start(changing: Changing, { name, to }: Switch, step: Step): Promise<string | undefined> {
  const { control, versions } = changing;
  await step('start');
  try {
    await control.setup(versions.directory(name, to), 'enable');
    await control.restart(name);
  } catch (error) {
    changing.log.warn('a service did not start at once', { name, why: describe(error) });
  }
  await step('see that it is healthy');
  return await whyUnhealthy(control, { name, version: to }, changing.healthWithinMs, changing.clock);
}

async function succeed(changing: Changing, { name, from, to }: Switch): Promise<void> {
  const { versions, journal } = changing;
  for (const old of await versions.kept(name)) if (old !== to && old !== from) await versions.remove(name, old);
  await versions.unpoint(name, 'previous');
  await journal.end(outcome(changing, { name, from, to }, true, 'it is healthy'));
}

/** Back to the version before, or to none. Answers the failure to tell. */
async function goBack(changing: Changing, begun: Switch, why: string, step: Step): Promise<Error> {
  const { name, from, to } = begun;
  await step('go back');
  // Whatever goes wrong from here on is told, and the entry ends: one that stays has every later change refused.
  const now = from === null ? await takeAway(changing, begun) : await putBack(changing, name, from);
  await dropUnlessCurrent(changing, begun);
  await changing.journal.end(outcome(changing, begun, false, `${why}; ${now}`));
  return serviceNotHealthy({ name, version: to, why, now });
}

/** Answers what is there now. */
async function takeAway({ control, versions }: Changing, { name, to }: Switch): Promise<string> {
  try {
    await control.setup(versions.directory(name, to), 'disable');
    await versions.unpoint(name, 'current');
    return 'nothing of it is left';
  } catch (error) {
    return `and it could not be taken away: ${describe(error)}`;
  }
}

/** Answers what is there now. */
async function putBack(changing: Changing, name: PackageName, version: string): Promise<string> {
  const still = await changing.versions.point(name, 'current', version).then(async () => await startAgain(changing, name, version), describe);
  return still === undefined ? `${version} runs again` : `and ${version} does not run again either: ${still}`;
}

/** Of a version that nobody runs. Whatever holds it still is no reason to leave a change open. */
async function dropUnlessCurrent({ versions, log }: Changing, { name, from, to }: Switch): Promise<void> {
  if (from === to || (await versions.current(name)) === to) return;
  await versions.remove(name, to).catch((error: unknown) => log.warn('a version that is not needed could not be removed', { name, version: to, why: describe(error) }));
}

async function startAgain({ control, versions, healthWithinMs, clock }: Changing, name: PackageName, version: string): Promise<string | undefined> {
  await control.setup(versions.directory(name, version), 'enable').catch(() => {});
  await control.restart(name).catch(() => {});
  return await whyUnhealthy(control, { name, version }, healthWithinMs, clock);
}

function outcome({ clock }: Changing, { name, from, to }: Omit<Switch, 'kind'>, ok: boolean, says: string): Outcome {
  return { what: from === null ? `install ${name} ${to}` : `update ${name} from ${from} to ${to}`, atMs: clock.now(), ok, says };
}

/** Has the service take no new task and waits for those that end by themselves. A service that is down has none. */
export async function waitForSessions({ control, clock }: Changing, name: PackageName, withinMs: number, signal: AbortSignal): Promise<void> {
  const startedMs = clock.monotonicMs();
  for (;;) {
    const tasks = (await control.drain(name, true))?.tasks ?? [];
    if (tasks.length === 0) return;
    const waitedMs = clock.monotonicMs() - startedMs;
    if (signal.aborted || waitedMs >= withinMs) {
      await control.drain(name, false);
      signal.throwIfAborted();
      throw sessionsStillRunning({ count: tasks.length, kinds: [...new Set(tasks.map(({ kind }) => kind))].join(', '), seconds: Math.round(waitedMs / 1000) });
    }
    await clock.wait(500, signal).catch(() => {});
  }
}

/** After a start of the deployer: goes on with a change that was begun and not ended. */
export async function resumeChange(changing: Changing, begun: Switch, step: Step): Promise<void> {
  const { versions, control, journal } = changing;
  const { name, from, to } = begun;
  const current = await versions.current(name);
  if (name === own) return await resumeOwn(changing, begun);
  if (current !== to) {
    // Where one version is taken away before the other is installed there may be neither.
    const isGone = from !== null && current !== from;
    const now = isGone ? await putBack(changing, name, from) : `${from ?? 'nothing'} stays`;
    if (from !== null && !isGone && (await control.state(name)) !== 'active') await control.restart(name).catch(() => {});
    return await journal.end(outcome(changing, begun, false, `interrupted ${isGone ? 'in' : 'before'} the switch; ${now}`));
  }
  const why = (await whyUnhealthy(control, { name, version: to }, 2_000, changing.clock)) === undefined ? undefined : await start(changing, begun, step);
  if (why === undefined) await succeed(changing, begun);
  else await goBack(changing, begun, why, step);
}

/** This process is the answer to its own update. */
async function resumeOwn(changing: Changing, begun: Switch, why?: string): Promise<void> {
  const { versions, control, journal, ownVersion } = changing;
  const { name, to } = begun;
  if (ownVersion === to) {
    await control.setup(versions.directory(name, to), 'enable');
    return await succeed(changing, begun);
  }
  await versions.unpoint(name, 'previous');
  await dropUnlessCurrent(changing, begun);
  await journal.end(outcome(changing, begun, false, `${to} did not come up; ${ownVersion} runs${why === undefined ? '' : ` (${why})`}`));
}
