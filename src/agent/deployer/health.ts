/** When a service counts as healthy: systemd has it active, and it says so itself twice in a row from one process. */
import type { Clock } from '../../base/clock.ts';
import type { PackageName } from '../../contract/packages.ts';
import type { ServiceControl } from './service-control.ts';

export type HealthWanted = { readonly name: PackageName; readonly version: string; /** The process before, which does not count. */ readonly notPid?: number };

const everyMs = 300;
/** What has ended so often by itself will not come up, and the host waits for what was there before. */
const hopelessRestarts = 3;

/** Undefined when healthy; otherwise why not: at the deadline, as soon as systemd has given it up, or after its third restart. */
export async function whyUnhealthy(control: ServiceControl, wanted: HealthWanted, deadlineMs: number, clock: Clock): Promise<string | undefined> {
  const untilMs = clock.monotonicMs() + deadlineMs;
  let seenPid: number | undefined;
  for (let why = 'it was not looked at'; ; ) {
    const state = await control.state(wanted.name);
    const status = state === 'active' ? await control.status(wanted.name) : undefined;
    if (status === undefined) why = state === 'active' ? 'it runs and does not answer' : `systemd says ${state}`;
    else if (status.version !== wanted.version) why = `version ${status.version} answers`;
    else if (status.pid === wanted.notPid) why = 'it was not restarted';
    else if (status.pid === seenPid) return undefined;
    seenPid = status?.version === wanted.version && status.pid !== wanted.notPid ? status.pid : undefined;
    if (state === 'failed' || clock.monotonicMs() >= untilMs || (status === undefined && (await control.restarts(wanted.name)) >= hopelessRestarts)) {
      const words = await control.lastWords(wanted.name);
      return words === '' ? why : `${why} (${words})`;
    }
    await clock.wait(everyMs);
  }
}
