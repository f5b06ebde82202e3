/**
 * The installers of Windows: everything of a package to C:\Program Files\Tidemark\transport, deployer or depot, and its service, called
 * as the package, which starts with the machine. They take no token and ask for nothing: the kit is a file (docs/design/windows.md).
 *
 * Signed with the certificate that is given, or with one of an authority made here, which its file beside the package names.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { packageFile, upgradeCodes } from '../../src/contract/packages.ts';
import type { WindowsPackage } from './windows-layout.ts';

export type CodeSigning = { readonly certificate: string; readonly key: string };

/** How the service is called and described, and what it is started with beyond its name and its log. */
const services: Readonly<Record<WindowsPackage, { readonly title: string; readonly says: string; readonly words: string }>> = {
  'tidemark-transport': { title: 'Tidemark transport', says: 'Keeps backups of MongoDB on this host, and takes them to shares.', words: '--settings C:\\ProgramData\\Tidemark\\transport.json' },
  'tidemark-deployer': { title: 'Tidemark deployer', says: 'Installs and updates the other services of Tidemark on this host.', words: '--settings C:\\ProgramData\\Tidemark\\deployer.json' },
  'tidemark-depot': { title: 'Tidemark distribution', says: 'Keeps signed packages of Tidemark and hands them to hosts.', words: '--data C:\\ProgramData\\Tidemark\\depot --identity C:\\ProgramData\\Tidemark\\depot\\identity.json' },
};
const deadlineMs = 180_000;

/** What is missing on this machine to make one, or undefined. */
export function whyNoMsi(): string | undefined {
  const missing = ['wixl', 'osslsigncode', 'openssl'].filter((name) => !existsSync(`/usr/bin/${name}`));
  return missing.length === 0 ? undefined : `not on this machine: ${missing.join(', ')} (Debian: apt-get install ${missing.join(' ')})`;
}

export function makeMsi(options: { directory: string; name: WindowsPackage; version: string; out: string; signing: CodeSigning }): string {
  const { directory, name, version, out, signing } = options;
  const file = join(out, `${packageFile({ name, version, platform: 'windows-x64' })}.msi`);
  const plain = `${file}.unsigned`;
  const text = sourceOf(directory, name, version);
  // It finds files by paths from where its source is.
  const source = join(directory, 'tidemark.wxs');
  writeFileSync(source, text);
  run('wixl', ['-a', 'x64', '-o', plain, source], directory);
  rmSync(file, { force: true });
  run('osslsigncode', ['sign', '-certs', signing.certificate, '-key', signing.key, '-h', 'sha256', '-n', services[name].title, '-in', plain, '-out', file]);
  for (const made of [source, plain]) rmSync(made);
  return file;
}

/** An authority and a certificate that signs code, made once in `folder`: `code-signing-ca.pem` is what a host is told to trust. */
export function openCodeSigning(folder: string): CodeSigning & { readonly authority: string } {
  const at = (name: string): string => join(folder, `code-signing${name}`);
  const made = { certificate: at('.pem'), key: at('.key'), authority: at('-ca.pem') };
  if (existsSync(made.certificate)) return made;
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-noenc'];
  run('openssl', ['req', '-x509', ...key, '-keyout', at('-ca.key'), '-out', made.authority, '-days', '3650', '-subj', '/CN=Tidemark packages', '-addext', 'keyUsage=critical,keyCertSign']);
  run('openssl', ['req', '-x509', ...key, '-keyout', made.key, '-out', made.certificate, '-days', '3650', '-subj', '/CN=Tidemark services', '-CA', made.authority, '-CAkey', at('-ca.key'), '-addext', 'basicConstraints=critical,CA:FALSE', '-addext', 'extendedKeyUsage=codeSigning']);
  return made;
}

function run(program: string, args: readonly string[], cwd?: string): void {
  execFileSync(program, args, { cwd, stdio: ['ignore', 'ignore', 'pipe'], timeout: deadlineMs });
}

/** The same for the same path in every version: Windows then knows a file that stays from one that goes. */
function guidOf(name: WindowsPackage, path: string): string {
  const hex = createHash('sha256').update(`${name} ${path}`).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), `5${hex.slice(13, 16)}`, `a${hex.slice(17, 20)}`, hex.slice(20, 32)].join('-');
}

function sourceOf(directory: string, packageName: WindowsPackage, version: string): string {
  const { title } = services[packageName];
  const components: string[] = [];
  const folder = (path: string): string =>
    readdirSync(path, { withFileTypes: true })
      // Removed in this order: the program last, so that its process has ended.
      .sort((a, b) => Number(a.name === 'bin') - Number(b.name === 'bin'))
      .map((entry) => {
        const [full, name] = [join(path, entry.name), relative(directory, join(path, entry.name)).split(sep).join('/')];
        const id = `x${createHash('sha256').update(name).digest('hex').slice(0, 24)}`;
        if (entry.isDirectory()) return `<Directory Id="d${id}" Name="${entry.name}">${folder(full)}</Directory>`;
        components.push(`c${id}`);
        const service = name === 'bin/node.exe' ? serviceOf(packageName) : '';
        return `<Component Id="c${id}" Guid="${guidOf(packageName, name)}" Win64="yes"><File Id="f${id}" Name="${entry.name}" Source="${name}" KeyPath="yes"/>${service}</Component>`;
      })
      .join('\n');
  const files = folder(directory);
  return `<?xml version="1.0" encoding="utf-8"?>
<Wix xmlns="http://schemas.microsoft.com/wix/2006/wi">
<Product Id="*" Name="${title}" Language="1033" Version="${version.replace(/-.*$/, '')}" Manufacturer="Tidemark" UpgradeCode="${upgradeCodes[packageName]}">
<Package InstallerVersion="500" Compressed="yes" InstallScope="perMachine"/>
<MajorUpgrade DowngradeErrorMessage="A newer version of ${title} is installed."/>
<Media Id="1" Cabinet="tidemark.cab" EmbedCab="yes"/>
<Directory Id="TARGETDIR" Name="SourceDir"><Directory Id="ProgramFiles64Folder"><Directory Id="TIDEMARK" Name="Tidemark"><Directory Id="INSTALLDIR" Name="${packageName.replace('tidemark-', '')}">
${files}
</Directory></Directory></Directory></Directory>
<Feature Id="Main" Level="1">${components.map((id) => `<ComponentRef Id="${id}"/>`).join('')}</Feature>
</Product>
</Wix>
`;
}

function serviceOf(name: WindowsPackage): string {
  const { title, says, words } = services[name];
  const short = name.replace('tidemark-', '');
  const started = `&quot;[INSTALLDIR]lib\\main\\${short}.js&quot; --service ${name} ${words} --log C:\\ProgramData\\Tidemark\\${short}.log`;
  return `<ServiceInstall Id="Service" Name="${name}" DisplayName="${title}" Description="${says}" Type="ownProcess" Start="auto" ErrorControl="normal" Arguments="${started}"/>
<ServiceControl Id="Control" Name="${name}" Start="install" Stop="both" Remove="uninstall" Wait="yes"/>`;
}
