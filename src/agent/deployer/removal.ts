/** Removing what was installed. Every step can be taken again, so an interrupted removal is simply done once more. */
import { rm } from 'node:fs/promises';
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

/** The deployer cannot remove the ground it stands on: a shell that outlives it does. */
export async function removeSelf(changing: Changing, opt: string): Promise<void> {
  const place = `${opt}/deployer`;
  await rm(`${opt}/transport`, { recursive: true, force: true });
  await changing.control.runAside(`sleep 1
systemctl stop tidemark-deployer.service
cp ${place}/current/purge.sh /run/tidemark-purge.sh
sh ${place}/current/setup.sh disable
if [ -x /usr/bin/dpkg ] && dpkg-query -W tidemark-deployer >/dev/null 2>&1; then dpkg --purge tidemark-deployer; fi
if [ -x /usr/bin/rpm ] && rpm -q tidemark-deployer >/dev/null 2>&1; then rpm -e --noscripts tidemark-deployer; fi
rm -rf ${place}
sh /run/tidemark-purge.sh
rm -f /run/tidemark-purge.sh
systemctl reset-failed 2>/dev/null`);
}
