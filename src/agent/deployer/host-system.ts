/** What a deployer changes a host with: systemd and directories on Linux, Windows Installer and the service control manager on Windows. */
import type { PackageName } from '../../contract/packages.ts';
import { systemdControl, type ServiceControl } from './service-control.ts';
import type { Places } from './service-settings.ts';
import { openVersions, type Versions } from './versions.ts';

export type HostSystem = { readonly versions: Versions; readonly control: ServiceControl; readonly places: Places };

/** `programs`: on Windows the folder that all packages are installed in. */
export async function openHostSystem(statusSockets: Partial<Record<PackageName, string>>, programs: string): Promise<HostSystem> {
  if (process.platform === 'win32') return (await import('./windows-system.ts')).openWindowsSystem(statusSockets, programs);
  return {
    versions: openVersions('/opt/tidemark'),
    control: systemdControl(statusSockets),
    places: { settings: '/etc/tidemark', units: '/etc/systemd/system', state: (name) => `/var/lib/${name}` },
  };
}
