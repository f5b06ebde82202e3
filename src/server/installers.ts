/**
 * Installers: a first installation without SSH. The file holds a token for the installer service of the distribution server
 * (11731), which answers it with the host's kit and the package; so what lies around is worth nothing after its hour. On Windows there is
 * nothing that is sure to fetch it: kit and package are carried there with the program, and the kit is worth nothing after its day.
 */
import type { HostRow } from '../catalog/hosts.ts';
import type { PackageManifest } from '../contract/packages.ts';
import type { HostKit } from '../contract/routes/hosts.ts';
import { installerProgram } from './deployer-install.ts';
import { windowsInstallerProgram } from './windows-installer-program.ts';
import type { Distribution } from './distribution.ts';
import { noDepot } from './failures.ts';
import type { Hosts } from './hosts.ts';

export type Installers = { make(host: HostRow, platform: PackageManifest['platform']): Promise<Installer> };
type Installer = { host: string; program: string; version: string; expiresAtMs: number; carried: { kit: HostKit; package: PackageManifest } | null };

export function openInstallers({ hosts, distribution, caPem }: { hosts: Hosts; distribution: Distribution; caPem: string }): Installers {
  return {
    async make(host, platform) {
      if (distribution.at === null) throw noDepot({});
      const { manifest } = await distribution.find({ name: 'tidemark-deployer', version: 'latest', platform });
      if (platform === 'windows-x64') {
        const kit = await hosts.kitFor(host, 'deployer');
        return { host: host.name, program: windowsInstallerProgram({ host: host.name, deployerPort: host.deployer_port, package: manifest }), version: manifest.version, expiresAtMs: kit.expiresAtMs, carried: { kit, package: manifest } };
      }
      const kit = Buffer.from(JSON.stringify(await hosts.kitFor(host, 'deployer'))).toString('base64');
      const { token, expiresMs } = await distribution.makeInstallToken({ name: manifest.name, version: manifest.version, platform, host: host.name, kit });
      const address = distribution.at.host.includes(':') ? `[${distribution.at.host}]` : distribution.at.host;
      const program = installerProgram({ host: host.name, deployerPort: host.deployer_port, from: `${address}:${distribution.at.installerPort}`, caPem, token, version: manifest.version, sha256: manifest.sha256 });
      return { host: host.name, program, version: manifest.version, expiresAtMs: expiresMs, carried: null };
    },
  };
}
