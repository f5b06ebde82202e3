/**
 * The installer of Windows: everything of the package to C:\Program Files\Tidemark\transport, and the service `tidemark-transport`,
 * which starts with the machine. It takes no token and asks for nothing: the kit is a file (docs/design/windows.md).
 *
 * Signed with the certificate that is given, or with one of an authority made here, which its file beside the package names.
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';

export type CodeSigning = { readonly certificate: string; readonly key: string };

const upgradeCode = '6c1f9f2e-4f0b-5a3d-9a53-0d8f6f1b2a77';
const deadlineMs = 180_000;

/** What is missing on this machine to make one, or undefined. */
export function whyNoMsi(): string | undefined {
  const missing = ['wixl', 'osslsigncode', 'openssl'].filter((name) => !existsSync(`/usr/bin/${name}`));
  return missing.length === 0 ? undefined : `not on this machine: ${missing.join(', ')} (Debian: apt-get install ${missing.join(' ')})`;
}

export function makeMsi(options: { directory: string; version: string; out: string; signing: CodeSigning }): string {
  const { directory, version, out, signing } = options;
  const file = join(out, `tidemark-transport-${version}-windows-x64.msi`);
  const plain = `${file}.unsigned`;
  const text = sourceOf(directory, version);
  // It finds files by paths from where its source is.
  const source = join(directory, 'tidemark.wxs');
  writeFileSync(source, text);
  run('wixl', ['-a', 'x64', '-o', plain, source], directory);
  rmSync(file, { force: true });
  run('osslsigncode', ['sign', '-certs', signing.certificate, '-key', signing.key, '-h', 'sha256', '-n', 'Tidemark transport service', '-in', plain, '-out', file]);
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
  run('openssl', ['req', '-x509', ...key, '-keyout', made.key, '-out', made.certificate, '-days', '3650', '-subj', '/CN=Tidemark transport service', '-CA', made.authority, '-CAkey', at('-ca.key'), '-addext', 'basicConstraints=critical,CA:FALSE', '-addext', 'extendedKeyUsage=codeSigning']);
  return made;
}

function run(program: string, args: readonly string[], cwd?: string): void {
  execFileSync(program, args, { cwd, stdio: ['ignore', 'ignore', 'pipe'], timeout: deadlineMs });
}

/** The same for the same path in every version: Windows then knows a file that stays from one that goes. */
function guidOf(path: string): string {
  const hex = createHash('sha256').update(`tidemark-transport ${path}`).digest('hex');
  return [hex.slice(0, 8), hex.slice(8, 12), `5${hex.slice(13, 16)}`, `a${hex.slice(17, 20)}`, hex.slice(20, 32)].join('-');
}

function sourceOf(directory: string, version: string): string {
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
        const service = name === 'bin/node.exe' ? serviceOf : '';
        return `<Component Id="c${id}" Guid="${guidOf(name)}" Win64="yes"><File Id="f${id}" Name="${entry.name}" Source="${name}" KeyPath="yes"/>${service}</Component>`;
      })
      .join('\n');
  const files = folder(directory);
  return `<?xml version="1.0" encoding="utf-8"?>
<Wix xmlns="http://schemas.microsoft.com/wix/2006/wi">
<Product Id="*" Name="Tidemark transport" Language="1033" Version="${version.replace(/-.*$/, '')}" Manufacturer="Tidemark" UpgradeCode="${upgradeCode}">
<Package InstallerVersion="500" Compressed="yes" InstallScope="perMachine"/>
<MajorUpgrade DowngradeErrorMessage="A newer version of Tidemark transport is installed."/>
<Media Id="1" Cabinet="tidemark.cab" EmbedCab="yes"/>
<Directory Id="TARGETDIR" Name="SourceDir"><Directory Id="ProgramFiles64Folder"><Directory Id="TIDEMARK" Name="Tidemark"><Directory Id="INSTALLDIR" Name="transport">
${files}
</Directory></Directory></Directory></Directory>
<Feature Id="Main" Level="1">${components.map((id) => `<ComponentRef Id="${id}"/>`).join('')}</Feature>
</Product>
</Wix>
`;
}

const programData = 'C:\\ProgramData\\Tidemark';
const words = `&quot;[INSTALLDIR]lib\\main\\transport.js&quot; --service tidemark-transport --settings ${programData}\\transport.json --log ${programData}\\transport.log`;
const serviceOf = `<ServiceInstall Id="Service" Name="tidemark-transport" DisplayName="Tidemark transport" Description="Keeps backups of MongoDB on this host, and takes them to shares." Type="ownProcess" Start="auto" ErrorControl="normal" Arguments="${words}"/>
<ServiceControl Id="Control" Name="tidemark-transport" Start="install" Stop="both" Remove="uninstall" Wait="yes"/>`;
