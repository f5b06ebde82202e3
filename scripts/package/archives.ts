/** The three forms of a package. All of them put the same directory to /opt/tidemark/NAME/VERSION and run its setup.sh. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import type { LinuxPackage } from './layout.ts';

export type Form = 'tar' | 'deb' | 'rpm';
export type Packed = { readonly name: LinuxPackage; readonly version: string; readonly directory: string; readonly out: string };

const deadlineMs = 180_000;
const summary: Readonly<Record<LinuxPackage, string>> = {
  'tidemark-deployer': 'Tidemark deployer service: installs and updates the other services of this host',
  'tidemark-transport': 'Tidemark transport service: copies, restores and stores MongoDB data on this host',
  'tidemark-server': 'Tidemark backup server, distribution service and command line',
};

const place = ({ name, version }: Packed): string => `/opt/tidemark/${name.replace('tidemark-', '')}/${version}`;

const installed = (packed: Packed): string => `sh ${place(packed)}/setup.sh prepare
sh ${place(packed)}/setup.sh switch
sh ${place(packed)}/setup.sh enable
if [ -d /run/systemd/system ]; then systemctl restart ${packed.name}.service || true; fi`;

/** `name-version-platform.tar.gz` with one folder in it. */
export function makeTar(packed: Packed, platform: string): string {
  const file = join(packed.out, `${packed.name}-${packed.version}-${platform}.tar.gz`);
  const folder = `${packed.name}-${packed.version}`;
  const tar = ['--owner=0', '--group=0', '--numeric-owner', '--sort=name', `--transform=s,^\\./,${folder}/,;s,^\\.$,${folder},`, '-C', packed.directory, '-I', 'gzip -1 -n', '-cf', file, '.'];
  execFileSync('tar', tar, { timeout: deadlineMs });
  return file;
}

export function makeDeb(packed: Packed): string {
  const { name, version, directory, out } = packed;
  const arch = process.arch === 'arm64' ? 'arm64' : 'amd64';
  const tree = stage(packed);
  const control = join(tree, 'DEBIAN');
  mkdirSync(control);
  writeFileSync(
    join(control, 'control'),
    `Package: ${name}
Version: ${version.replace('-', '~')}
Architecture: ${arch}
Maintainer: Tidemark <tidemark@localhost>
Depends: libc6 (>= 2.28), libstdc++6, tar, passwd
Section: admin
Priority: optional
Description: ${summary[name]}
 Brings its own runtime.
`,
  );
  const scripts = {
    postinst: `#!/bin/sh\nset -e\nif [ "$1" = configure ]; then\n${installed(packed)}\nfi\n`,
    prerm: `#!/bin/sh\nset -e\nif [ "$1" = remove ]; then sh ${place(packed)}/setup.sh disable; fi\n`,
    postrm: `#!/bin/sh\nset -e\nif [ "$1" = purge ]; then\n${purge(directory)}\nfi\n`,
  };
  for (const [script, text] of Object.entries(scripts)) writeFileSync(join(control, script), text, { mode: 0o755 });
  const file = join(out, `${name}_${version}_${arch}.deb`);
  execFileSync('dpkg-deb', ['--root-owner-group', '-Zgzip', '-z1', '-b', tree, file], { stdio: 'ignore', timeout: deadlineMs });
  rmSync(tree, { recursive: true });
  return file;
}

/** Undefined, and said, where there is no rpmbuild. */
export function makeRpm(packed: Packed): string | undefined {
  const { name, version, directory, out } = packed;
  if (!existsSync('/usr/bin/rpmbuild')) {
    console.error(`no ${name} .rpm: rpmbuild is not on this machine (Debian: apt-get install rpm)`);
    return undefined;
  }
  const arch = process.arch === 'arm64' ? 'aarch64' : 'x86_64';
  const tree = stage(packed);
  const top = `${tree}.rpm`;
  mkdirSync(top, { recursive: true });
  const spec = join(top, `${name}.spec`);
  writeFileSync(
    spec,
    `%define __os_install_post %{nil}
%define debug_package %{nil}
%define _binary_payload w1.gzdio
%define _build_id_links none
Name: ${name}
Version: ${version.replace('-', '~')}
Release: 1
Summary: ${summary[name]}
License: Apache-2.0
BuildArch: ${arch}
AutoReqProv: no
Requires: glibc >= 2.28, libstdc++, tar, shadow-utils
%description
${summary[name]}. Brings its own runtime.
%install
mkdir -p %{buildroot}
cp -a ${tree}/opt %{buildroot}/
%files
${place(packed)}
%post
${installed(packed)}
%preun
if [ "$1" = 0 ]; then sh ${place(packed)}/setup.sh disable; fi
%postun
if [ "$1" = 0 ]; then
${purge(directory)}
fi
`,
  );
  execFileSync('rpmbuild', ['-bb', '--quiet', '--define', `_topdir ${top}`, '--define', `_rpmdir ${out}`, '--define', `_rpmfilename ${name}-${version}.${arch}.rpm`, spec], { stdio: ['ignore', 'ignore', 'inherit'], timeout: deadlineMs });
  rmSync(tree, { recursive: true });
  rmSync(top, { recursive: true });
  return join(out, `${name}-${version}.${arch}.rpm`);
}

/** The tree as it lies on a host. */
function stage(packed: Packed): string {
  const tree = join(packed.out, `.${basename(packed.directory)}.tree`);
  rmSync(tree, { recursive: true, force: true });
  mkdirSync(dirname(join(tree, place(packed))), { recursive: true });
  cpSync(packed.directory, join(tree, place(packed)), { recursive: true });
  return tree;
}

/** By the time it runs, the package's own copy of it is gone. */
function purge(directory: string): string {
  return readFileSync(join(directory, 'purge.sh'), 'utf8').replace(/^#!.*\n/, '').trimEnd();
}
