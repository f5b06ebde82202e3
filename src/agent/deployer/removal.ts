/** Removing what was installed. Every step can be taken again, so an interrupted removal is simply done once more. */
import type { PackageName } from '../../contract/packages.ts';
import { packageNotInstalled } from '../failures.ts';
import type { Changing, Step } from './change-version.ts';

export async function remove(changing: Changing, name: PackageName, data: boolean, step: Step): Promise<void> {
  if ((await changing.versions.kept(name)).length === 0) throw packageNotInstalled({ name });
  await step('begin');
  await changing.journal.begin({ kind: 'remove', name, data });
  await finishRemoval(changing, name, data, step);
}

export async function finishRemoval(changing: Changing, name: PackageName, data: boolean, step: Step): Promise<void> {
  const { versions, control, journal, clock } = changing;
  const version = (await versions.current(name)) ?? (await versions.kept(name))[0];
  if (version !== undefined) {
    await step('stop');
    await control.setup(versions.directory(name, version), 'disable');
    if (data) {
      await step('remove settings and data');
      await control.setup(versions.directory(name, version), 'purge');
    }
    await control.forgetPackage(name);
  }
  await step('remove programs');
  await versions.removeAll(name);
  await journal.end({ what: `remove ${name}`, atMs: clock.now(), ok: true, says: data ? 'nothing of it is left' : 'its settings and data are left' });
}
